"""A training run that keeps the norms of its gradients."""

import json
import math

import numpy as np

from minires import backend, nn
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
                before = json.loads((self.out / FILE).read_text())
                kept = [i for i, step in enumerate(before["steps"]) if step < self.step]
                self.record |= {key: [before[key][i] for i in kept] for key in ("steps", "norms")}
            except (OSError, KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
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


def norm(array) -> float:
    """Euclidean norm of all elements."""
    values = backend.to_numpy(array).astype(np.float64).ravel()
    return math.sqrt(values @ values)
