"""What happens in a training step: each operation, forward and then backward, and its time.

    python examples/watch_a_step.py

A watcher stands between the engine and every computation. It must return what `compute` returns;
before and after, it may look at whatever it likes.
"""

import time

import numpy as np

import minires as mr
from minires import Tensor, models
from minires import functional as F
from minires.watchers import watch

spent = {"forward": 0.0, "backward": 0.0, "sum": 0.0}


def trace(function, direction, compute, *arrays):
    """Time a computation and print a line about it."""
    started = time.perf_counter()
    result = compute(*arrays)
    seconds = time.perf_counter() - started
    spent[direction] += seconds
    shapes = ", ".join(str(array.shape) for array in arrays)
    print(f"{direction:<9}{function.name:<20}{1e3 * seconds:>7.2f} ms   {shapes}")
    return result


mr.use("numpy")
mr.seed(0)
rng = np.random.default_rng(0)
model = models.resnet8()
x = Tensor(rng.standard_normal((16, 32, 32, 3), dtype=np.float32))
labels = rng.integers(0, 10, 16)

with watch(trace):
    loss = F.cross_entropy(model(x), labels)
    loss.backward()

print(", ".join(f"{direction} {1e3 * seconds:.1f} ms" for direction, seconds in spent.items()))
