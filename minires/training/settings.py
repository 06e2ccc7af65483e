"""Settings: what a run is told, and what of it may differ where the run is resumed."""

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import ClassVar, Self, get_args, get_type_hints

from minires.arguments import flag, integer, real

NAME = "config.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every kind of run is told; a subclass adds what its own kind needs."""

    trained: ClassVar[str]
    """What such a run trains, in words."""

    chosen: ClassVar[tuple[str, ...]] = ("backend",)
    """Settings for which "auto" chooses where a run begins; it must not choose anew later."""

    may_change: ClassVar[tuple[str, ...]] = (
        *("out", "checkpoint_every"),
        *("on_nan", "detect_anomaly"),
    )
    """What a resumed run may be given anew: none of it changes a bit of what was trained."""

    limits: ClassVar[dict[str, tuple[float | None, float | None]]] = {
        "seed": (0, None),
        "checkpoint_every": (1, None),
    }
    """Least and most value of numbers, both included; None: any."""

    paths: ClassVar[tuple[str, ...]] = ("out", "data_dir", "weights")
    """Settings that are paths: "~" is the home directory there."""

    out: str = "runs/latest"
    backend: str = "auto"
    precision: str = "auto"
    seed: int = 0
    checkpoint_every: int = 500
    on_nan: str = "stop"
    detect_anomaly: bool = False

    def __post_init__(self):
        """Refuse values of another kind than the field's, and numbers beyond their limits."""
        for name, value in self.checked(asdict(self)).items():
            object.__setattr__(self, name, value)

    @classmethod
    def checked(cls, values: dict) -> dict:
        """Settings by name as Python's own numbers, texts and flags.

        Raises
        ------
        TypeError, ValueError
            If one is of the wrong kind, or beyond its limits; it is named.
        """
        hints = get_type_hints(cls)
        return {name: cls._checked(name, hints[name], value) for name, value in values.items()}

    @classmethod
    def _checked(cls, name: str, hint, value):
        kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        least, most = cls.limits.get(name, (None, None))
        if value is None and NoneType in kinds:
            return None
        if bool in kinds:
            return flag(cls.__name__, name, value)
        if int in kinds:
            return integer(cls.__name__, name, value, least, most)  # type: ignore[arg-type]
        if float in kinds:
            return real(cls.__name__, name, value, least, most=most)
        if str in kinds and isinstance(value, os.PathLike):
            value = os.fspath(value)
        if name in cls.paths and isinstance(value, str):
            return os.path.expanduser(value)
        if str in kinds and not isinstance(value, str):
            raise TypeError(f"{cls.__name__}: {name} must be a text, but is {value!r}")
        return value

    def to_json(self) -> str:
        """All settings as JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def saved(cls, out: Path) -> dict | None:
        """What a run has left in config.json of directory `out`; None if there is none.

        Raises
        ------
        ValueError
            If the file does not hold the settings of such a run.
        """
        try:
            found = json.loads((out / NAME).read_text())
            if not isinstance(found, dict):
                raise ValueError("it holds no settings by name")
            if unknown := sorted(found.keys() - {field.name for field in fields(cls)}):
                raise ValueError(f"a {cls.trained} has no setting {', '.join(unknown)}")
            found = cls.checked(found)
        except FileNotFoundError:
            return None
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"{out / NAME}: not the settings of a training run ({error})"
            ) from None
        return found

    def differences(self, earlier: dict) -> list[str]:
        """The settings in which a run that is to be resumed was started differently."""
        fixed = {name: value for name, value in earlier.items() if name not in self.may_change}
        before = asdict(type(self)(**fixed))  # a setting that was not there yet had its default
        return [
            f"{name} was {before[name]!r} and is now {value!r}"
            for name, value in asdict(self).items()
            if name not in self.may_change and before[name] != value
        ]

    def with_choices(self, **made) -> Self:
        """The same settings, with what was `made` of them in place of "auto"."""
        open_ones = [name for name in self.chosen if getattr(self, name) == "auto"]
        return replace(self, **{name: made[name] for name in open_ones if name in made})
