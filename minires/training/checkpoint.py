"""Checkpoints: all that a run needs to go on to the same bits, in one file.

The file `checkpoint` is a safetensors file: the model's arrays under `model.`, what the optimizer
keeps under `optimizer.`, everything else as JSON in its metadata. It is replaced atomically, so a
run that is killed at any moment leaves the last complete one.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from minires import backend
from minires.training.config import Config
from minires.training.weights import WeightsError, read_arrays, write_arrays

NAME = "checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """What `read` found; `config` holds the settings of the run that wrote it."""

    arrays: dict
    state: dict
    config: dict

    def restore(self, trainer) -> None:
        """Put a Trainer, made with the same settings, where the saved one was."""
        trainer.model.load_state_dict(self._below("model."))
        trainer.optimizer.load_state(self._below("optimizer."))
        if trainer.scaler is not None:
            trainer.scaler.state[...] = backend.asarray(self.arrays["grad_scaler"])
        trainer.step, trainer.best = self.state["step"], self.state["best"]
        trainer.history, trainer.seconds = self.state["history"], self.state["seconds"]
        trainer.metrics.reset(**self.state["metrics"])
        backend.generator().bit_generator.state = self.state["generator"]

    def _below(self, prefix: str) -> dict:
        """The arrays whose names begin with `prefix`, without it."""
        return {k.removeprefix(prefix): v for k, v in self.arrays.items() if k.startswith(prefix)}


def write(trainer) -> None:
    """Save the state of `trainer` in its output directory."""
    arrays = {f"model.{name}": array for name, array in trainer.model.state_dict().items()}
    arrays |= {f"optimizer.{name}": a for name, a in trainer.optimizer.state().items()}
    if trainer.scaler is not None:
        arrays["grad_scaler"] = backend.to_numpy(trainer.scaler.state)
    state = {
        "step": trainer.step,
        "best": trainer.best,
        "history": trainer.history,
        "seconds": trainer.seconds,
        "metrics": trainer.metrics.state(),
        "generator": backend.generator().bit_generator.state,
    }
    metadata = {"state": json.dumps(state), "config": json.dumps(asdict(trainer.config))}
    write_arrays(trainer.out / NAME, arrays, metadata)


def holds_run(out: Path) -> bool:
    """Whether a run has left something in directory `out` that another would overwrite."""
    return (out / NAME).exists() or (out / "metrics.csv").exists()


def read(out: Path) -> Checkpoint | None:
    """The checkpoint in directory `out`; None if there is none.

    Raises
    ------
    WeightsError
        If the file is damaged, no checkpoint, or of another version.
    """
    if not (out / NAME).exists():
        return None
    arrays, metadata = read_arrays(out / NAME)
    if "state" not in metadata:
        raise WeightsError(f"{out / NAME}: a safetensors file, but not a checkpoint of minires")
    config = json.loads(metadata["config"])
    if not config.keys() <= {field.name for field in fields(Config)}:  # it may lack newer ones
        raise WeightsError(f"{out / NAME}: the checkpoint of another version of minires")
    return Checkpoint(arrays, json.loads(metadata["state"]), config)
