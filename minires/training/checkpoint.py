"""Checkpoints: all that a run needs to go on to the same bits, in one file.

The file `checkpoint` is a safetensors file: the model's arrays under `model.`, what the optimizer
keeps under `optimizer.`, everything else as JSON in its metadata. It is replaced atomically, so a
run that is killed at any moment leaves the last complete one.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from minires import backend
from minires.training import history, settings
from minires.training.weights import WeightsError, read_arrays, write_arrays

NAME = "checkpoint"

RESTORING = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(RecursionError, AssertionError),
)
"""What becomes of values of another kind, at whatever place they are used."""


@dataclass(frozen=True)
class Checkpoint:
    """What `read` found; `config` holds the settings of the run that wrote it."""

    arrays: dict
    state: dict
    config: dict
    path: Path

    def restore(self, run) -> None:
        """Put a Run, made with the same settings, where the saved one was.

        Raises
        ------
        WeightsError
            If the file holds something else than such a run has written.
        """
        try:
            self._restore(run)
        except RESTORING as error:
            kind = type(error).__name__
            raise WeightsError(
                f"{self.path}: a run with these settings cannot go on from it ({kind}: {error})"
            ) from None

    def _restore(self, run) -> None:
        run.load_state(self.state["run"])
        run.model.load_state_dict(self._below("model."))
        run.optimizer.load_state(self._below("optimizer."))
        if run.scaler is not None:
            run.scaler.state[...] = backend.asarray(self.arrays["grad_scaler"])
        backend.generator().bit_generator.state = self.state["generator"]

    def _below(self, prefix: str) -> dict:
        """The arrays whose names begin with `prefix`, without it."""
        return {k.removeprefix(prefix): v for k, v in self.arrays.items() if k.startswith(prefix)}


def write(run) -> None:
    """Save the state of a Run in its output directory."""
    arrays = {f"model.{name}": array for name, array in run.model.state_dict().items()}
    arrays |= {f"optimizer.{name}": array for name, array in run.optimizer.state().items()}
    if run.scaler is not None:
        arrays["grad_scaler"] = backend.to_numpy(run.scaler.state)
    state = {"run": run.state(), "generator": backend.generator().bit_generator.state}
    metadata = {
        "trained": run.config.trained,
        "config": json.dumps(asdict(run.config)),
        "state": json.dumps(state),
    }
    write_arrays(run.out / NAME, arrays, metadata)


def holds_run(out: Path) -> bool:
    """Whether a run has left something in directory `out` that another would overwrite."""
    return any((out / name).exists() for name in (NAME, history.NAME, settings.NAME))


def settings_of(out: Path, kind: type[settings.Settings]) -> dict | None:
    """Settings of the run in directory `out`, by its checkpoint, else by its config.json.

    Raises as `read` and `Settings.saved`.
    """
    saved = read(out, kind)
    return kind.saved(out) if saved is None else saved.config


def read(out: Path, kind: type[settings.Settings]) -> Checkpoint | None:
    """The checkpoint in directory `out` of a run with settings of this kind; None if there is none.

    Raises
    ------
    WeightsError
        If the file is damaged, no such checkpoint, or of another version.
    """
    if not (out / NAME).exists():
        return None
    path = out / NAME
    arrays, metadata = read_arrays(path)
    if metadata.get("trained") != kind.trained:
        raise WeightsError(f"{path} is not the checkpoint of a {kind.trained}")
    config, state = (_parsed(path, name, metadata) for name in ("config", "state"))
    if not config.keys() <= {field.name for field in fields(kind)}:  # it may lack newer ones
        raise WeightsError(f"{path}: the checkpoint of another version of minires")
    try:
        config = kind.checked(config)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{path}: its settings are none of a {kind.trained} ({error})") from None
    return Checkpoint(arrays, state, config, path)


def _parsed(path: Path, name: str, metadata: dict) -> dict:
    """What stands as JSON under `name` in the metadata: something by name."""
    try:
        found = json.loads(metadata[name])
    except (KeyError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its {name} is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: its {name} must be values by name, but is {found!r:.60}")
    return found
