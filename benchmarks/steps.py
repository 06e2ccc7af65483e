"""A training step that is ready to run: forward, loss, backward, SGD on one batch.

Whoever takes it, the weights and the batch are the same.
"""

import time
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np

from minires import backend, models, nn
from minires.benchmarks.clocks import Clock
from minires.benchmarks.entries import CLASSES, SIZE, Entry
from minires.benchmarks.memory import held_on_gpu, release_gpu
from minires.summary import summarize

SETTLING = 2
"""Steps after the first one, until every buffer is there."""


class Step:
    """What is timed.

    Attributes
    ----------
    entry : Entry
    clock : Clock
        The clock of the device that computes.
    launches, bytes : int
        Launches of minires' CUDA kernels in a step, and the bytes that they state to move; 0
        elsewhere.
    gpu_bytes : int
        What the step's library has taken of a GPU's memory for it; 0 on a CPU.
    """

    launches = bytes = gpu_bytes = 0

    def __init__(self, entry: Entry, clock: Clock):
        self.entry, self.clock = entry, clock
        self._run: Callable[[], object] = self._step
        if entry.on_gpu:
            release_gpu()
        self._held_before = held_on_gpu()

    def start(self) -> tuple[float, float]:
        """Take the first steps: the seconds of the very first, which compiles, and its loss."""
        started = time.perf_counter()
        loss = self._first()
        seconds = time.perf_counter() - started
        self.seconds(SETTLING)
        self.gpu_bytes = held_on_gpu() - self._held_before
        return seconds, loss

    def seconds(self, number: int) -> list[float]:
        """Seconds of each of `number` steps, taken in a row; the host waits after the last."""
        self._select()
        moments = [self.clock.now()]
        for _ in range(number):
            self._run()
            moments.append(self.clock.now())
        return [self.clock.seconds(*pair) for pair in pairwise(moments)]

    def per_operation(self, steps: int) -> dict[str, float]:
        """Seconds per step of each operation, over `steps` steps on the CPU."""
        raise NotImplementedError

    def _first(self) -> float:
        """The first step; its loss."""
        raise NotImplementedError

    def _step(self):
        """A step; on a GPU without waiting for it."""
        raise NotImplementedError

    def _select(self) -> None:
        """Before a turn: another step of the same process may have chosen otherwise."""


def initial_model(entry: Entry) -> nn.Module:
    """The network with the weights that every engine begins with, on the current backend."""
    backend.seed(0)
    return models.build(entry.model, CLASSES, recompute=entry.recompute)


def batch_of(entry: Entry) -> tuple[np.ndarray, np.ndarray]:
    """The batch of every engine: random images (N, H, W, 3) in float32, and labels."""
    rng, size = np.random.default_rng(0), entry.image_size
    images = rng.standard_normal((entry.batch_size, size, size, 3), dtype=np.float32)
    return images, rng.integers(0, CLASSES, entry.batch_size)


@cache
def training_flops(model_name: str, image_size: int = SIZE) -> int:
    """Floating-point operations per image of a training step, in convolutions and linear layers.

    Two per multiply-add; once forward and once for each gradient that is needed: the first layer
    needs none for the images.
    """
    with backend.use("numpy"):
        model = models.build(model_name, CLASSES)
    return summarize(model, image_size).training_flops
