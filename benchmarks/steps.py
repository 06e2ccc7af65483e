"""A training step that is ready to run: forward, loss, backward, SGD on one batch.

Whoever takes it, the weights and the batch are the same.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np

from minires import Tensor, amp, backend, cuda, models, optim
from minires import functional as F
from minires.benchmarks.clocks import Clock, CupyClock
from minires.benchmarks.entries import CLASSES, SGD, SIZE, Entry
from minires.benchmarks.memory import held_on_gpu, release_gpu
from minires.cuda.graph import capture
from minires.function import Function
from minires.summary import summarize

SETTLING = 3
"""Steps after the first one, until every buffer is there."""


class Step:
    """What is timed; made by `prepare`.

    Attributes
    ----------
    entry : Entry
    clock : Clock
        Of the device that computes.
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
        self._held_before = self._held()

    def start(self) -> tuple[float, float]:
        """Take the first steps: the seconds of the very first, which compiles, and its loss."""
        started = time.perf_counter()
        loss = self._first()
        seconds = time.perf_counter() - started
        self.seconds(SETTLING)
        self.gpu_bytes = self._held() - self._held_before
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

    def _held(self) -> int:
        if not self.entry.on_gpu:
            return 0
        release_gpu()
        return held_on_gpu()

    def _first(self) -> float:
        """The first step; its loss."""
        raise NotImplementedError

    def _step(self):
        """A step; on a GPU without waiting for it."""
        raise NotImplementedError

    def _select(self) -> None:
        """Before a turn: another step of the same process may have chosen otherwise."""


class MiniresStep(Step):
    """The step by minires, on the backend and in the precision of the entry."""

    def __init__(self, entry: Entry):
        backend.use(entry.engine)
        super().__init__(entry, Clock() if backend.xp() is np else CupyClock())
        self._select()
        x, labels = batch_of(entry)
        self.model = initial_model(entry)
        self.sgd = optim.SGD(self.model, **SGD)
        self.scaler = amp.GradScaler() if entry.precision == "fp16" else None
        self.x = Tensor(backend.asarray(x.astype(backend.storage())))
        self.labels = backend.asarray(labels)

    def _select(self) -> None:
        backend.use(self.entry.engine)
        backend.set_precision(self.entry.precision)

    def _first(self) -> float:
        with cuda.watch(self._count):
            if self.entry.graph:
                self._run = capture(self._step).replay
            return self._run().item()

    def _count(self, launch: cuda.Launch) -> None:
        self.launches += 1
        self.bytes += sum(launch.bytes_moved())

    def _step(self) -> Tensor:
        loss = F.cross_entropy(self.model(self.x), self.labels)
        self.sgd.zero_grad()
        if self.scaler is None:
            loss.backward()
            self.sgd.step()
        else:
            self.scaler.backward(loss)
            self.scaler.step(self.sgd)
        return loss

    def per_operation(self, steps: int) -> dict[str, float]:
        seconds = defaultdict(float)
        originals = Function.forward, Function.backward, self.sgd.step
        Function.forward = _timed(originals[0], lambda f, *arrays: _label(f, arrays), seconds)
        Function.backward = _timed(
            originals[1], lambda f, dy: f"{_label(f, f.inputs)}, backward", seconds
        )
        self.sgd.step = _timed(originals[2], lambda: "SGD", seconds)
        try:
            whole = sum(self.seconds(steps))
        finally:
            Function.forward, Function.backward, self.sgd.step = originals
        seconds["the rest"] = whole - sum(seconds.values())
        return {name: total / steps for name, total in seconds.items()}


def _timed(function: Callable, label: Callable, seconds: dict) -> Callable:
    def timed(*args):
        name, started = label(*args), time.perf_counter()
        result = function(*args)
        seconds[name] += time.perf_counter() - started
        return result

    return timed


def _label(function: Function, inputs) -> str:
    """Operation and shapes; `inputs` are arrays, or the (shape, dtype) of each."""
    shapes = [getattr(array, "shape", None) or array[0] for array in inputs]
    if function.op == "conv2d":
        (kh, kw, c, k), (sh, sw) = shapes[1], function.options["stride"]
        stride = f", stride {sh}" if (sh, sw) != (1, 1) else ""
        height, width = shapes[0][1:3]
        return f"conv2d {kh}x{kw}, {c} to {k} channels{stride}, {height}x{width} pixels"
    return f"{function.name} {'x'.join(map(str, shapes[0]))}"


def prepare(entry: Entry) -> Step:
    """The step of an entry, ready to `start`; imports what it needs."""
    if not entry.is_torch:
        return MiniresStep(entry)
    from minires.benchmarks.torch_step import TorchStep

    return TorchStep(entry)


def initial_model(entry: Entry):
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
