"""Settings: what a run is told, and what of it may differ where the run is resumed."""

import json
from dataclasses import asdict, dataclass, replace
from typing import ClassVar, Self


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every kind of run is told; a subclass adds what its own kind needs."""

    trained: ClassVar[str]
    """What such a run trains, in words."""

    chosen: ClassVar[tuple[str, ...]] = ("backend",)
    """Settings for which "auto" chooses where a run begins; it must not choose anew later."""

    may_change: ClassVar[tuple[str, ...]] = ("out", "checkpoint_every")
    """What a resumed run may be given anew: none of it changes a bit."""

    out: str = "runs/latest"
    backend: str = "auto"
    precision: str = "auto"
    seed: int = 0
    checkpoint_every: int = 500

    def to_json(self) -> str:
        """All settings as JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"

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
