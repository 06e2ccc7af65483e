"""The training step by minires, on any of its backends."""

import time
from collections import defaultdict

import numpy as np

from minires import amp, backend, cuda, optim
from minires import functional as F
from minires.benchmarks.clocks import Clock, CupyClock
from minires.benchmarks.entries import SGD, Entry
from minires.benchmarks.steps import Step, batch_of, initial_model
from minires.cuda_graph import capture
from minires.function import Function
from minires.tensor import Tensor
from minires.training import step
from minires.watchers import watch


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
        loss, _ = step(self.model, self.sgd, self.x, self.labels, scaler=self.scaler)
        return loss

    def per_operation(self, steps: int) -> dict[str, float]:
        self._select()
        seconds: dict[str, float] = defaultdict(float)

        def timed(function, direction, compute, *arrays):
            started = time.perf_counter()
            results = compute(*arrays)
            taken = time.perf_counter() - started
            forward = direction == "forward"
            label = _label(function, arrays if forward else function.inputs)
            seconds[label if forward else f"{label}, {direction}"] += taken
            return results

        started = time.perf_counter()
        with watch(timed):
            for _ in range(steps):
                loss = F.cross_entropy(self.model(self.x), self.labels)
                self.sgd.zero_grad()
                loss.backward()
                before_update = time.perf_counter()
                self.sgd.step()
                seconds["SGD"] += time.perf_counter() - before_update
        seconds["the rest"] = time.perf_counter() - started - sum(seconds.values())
        return {name: total / steps for name, total in seconds.items()}


def _label(function: Function, inputs) -> str:
    """Operation and shapes; `inputs` are arrays, or the (shape, dtype) of each."""
    shapes = [getattr(array, "shape", None) or array[0] for array in inputs]
    if function.op == "conv2d":
        (kh, kw, c, k), (sh, sw) = shapes[1], function.options["stride"]
        stride = f", stride {sh}" if (sh, sw) != (1, 1) else ""
        height, width = shapes[0][1:3]
        return f"conv2d {kh}x{kw}, {c} to {k} channels{stride}, {height}x{width} pixels"
    return f"{function.name} {'x'.join(map(str, shapes[0]))}"
