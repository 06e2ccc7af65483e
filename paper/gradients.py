"""A training run that keeps the norms of its gradients."""

import json
import math
from pathlib import Path

import numpy as np

from minires import backend, nn
from minires.arguments import integer
from minires.training import Trainer, TrainingError
from minires.training.directory import write_atomically

RECORDS = 64
"""About how often the norms are kept in a run."""

FILE = "gradients.json"


class Watched(Trainer):
    """A Trainer that writes gradients.json: the gradient's norm of every convolution, over time.

    The file has "layers", the names; "steps", iterations, the first being 0, at initialisation;
    and "norms", for each of them the Euclidean norms of the gradients of all weights. The gradient
    is that of the cross-entropy of the iteration's batch, without weight decay.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.graphed = None  # norms are read on the host, for which a graph does not stop
        modules = self.model.named_modules()
        self.watched = {name: m.weight for name, m in modules if isinstance(m, nn.Conv2d)}
        self.every = max(1, self.total // RECORDS)
        self.record = {"layers": list(self.watched), "steps": [], "norms": []}
        if self.step:  # not at the checkpoint before the first step
            try:
                before = read(self.out / FILE)
                kept = [i for i, step in enumerate(before["steps"]) if step < self.step]
                self.record |= {key: [before[key][i] for i in kept] for key in ("steps", "norms")}
            except TrainingError as error:
                raise TrainingError(
                    f"{self.out / FILE} does not hold the norms of the first {self.step:,} "
                    f"iterations any more ({error}); delete {self.out} to train this network anew"
                ) from None

    def learn(self, x, labels, lr) -> None:
        """A step as ever; then a look at the gradients, which the optimizer has left in place."""
        super().learn(x, labels, lr)
        if self.step % self.every == 0:
            scaled = 1.0 if self.scaler is None else float(self.scaler.state[1])
            norms = [scaled * norm(weight.grad) for weight in self.watched.values()]
            self.record["steps"].append(self.step)
            self.record["norms"].append(norms)
            # Written at once, so that no checkpoint knows more steps than this file.
            write_atomically(self.out / FILE, json.dumps(self.record).encode())


def read(path: Path) -> dict:
    """The record in a file: "layers", names; "steps", integers; "norms", a row for each step.

    Raises
    ------
    TrainingError
        If there is no such file, or it holds something else.
    """
    try:
        found = json.loads(path.read_text())
        layers, steps, norms = (found[key] for key in ("layers", "steps", "norms"))
        if not all(isinstance(name, str) for name in layers):
            raise ValueError("a layer has no name")
        steps = [integer("the record", "a step", step, least=0) for step in steps]
        shape = (len(steps), len(layers))
        table = np.array(norms, np.float64).reshape(shape if not len(steps) else (-1, shape[1]))
        if table.shape != shape:
            raise ValueError(f"it has {table.shape} norms for {shape} steps and layers")
    except (OSError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TrainingError(f"{path}: not a record of gradient norms ({error})") from None
    return {"layers": list(layers), "steps": steps, "norms": table.tolist()}


def norm(array) -> float:
    """Euclidean norm of all elements."""
    values = backend.to_numpy(array).astype(np.float64).ravel()
    return math.sqrt(values @ values)
