"""What can be timed: a training step of a network, by minires or by PyTorch."""

import importlib.util
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np

from minires import backend, models, optim
from minires import functional as F
from minires.function import Function
from minires.interop import to_torch_state_dict
from minires.summary import summarize
from minires.tensor import Tensor
from minires.watchers import watch

TORCH_VARIANTS = ("eager", "channels_last", "compile", "compile channels_last", "bf16")
"""PyTorch's ways to run the step; bf16 is autocast in channels_last, not the same precision."""

CLASSES, SIZE = 10, 32
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


@dataclass(frozen=True)
class Contestant:
    """One row of the benchmark.

    Attributes
    ----------
    model : str
        A name that `models.build` knows.
    batch_size : int
    engine : str
        A backend of minires, or ``"torch "`` and one of TORCH_VARIANTS.
    threads : int
        How many threads it may use.
    """

    model: str
    batch_size: int
    engine: str
    threads: int

    @property
    def torch_variant(self) -> str:
        """One of TORCH_VARIANTS; empty for minires."""
        return self.engine.removeprefix("torch ") if self.engine.startswith("torch ") else ""

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU."""
        return not self.torch_variant and backend.get(self.engine).on_gpu

    @property
    def float32(self) -> bool:
        """Whether it computes in float32 throughout."""
        return self.torch_variant != "bf16"

    def check(self) -> None:
        """Raise a sentence if there is no such network, or no such engine on this machine."""
        models.check_image_size(self.model, SIZE)
        if self.torch_variant:
            kind, _ = models.parse_name(self.model)
            if models.is_for_imagenet(self.model) or kind == "vgg":
                raise ValueError(
                    f"PyTorch is timed with the resnets and plain nets for CIFAR, not with "
                    f"{self.model}"
                )
            if self.torch_variant not in TORCH_VARIANTS:
                raise ValueError(f"PyTorch is timed as {', '.join(TORCH_VARIANTS)}")
            if importlib.util.find_spec("torch") is None:
                raise ValueError("PyTorch is not installed (pip install '.[parity]')")
        elif why := backend.problem(self.engine):
            raise backend.BackendUnavailable(f"backend {self.engine!r} does not work here: {why}")

    def prepare(self):
        """Build network and batch; imports what it needs. Everybody gets the same of both.

        Returns
        -------
        step : callable
            Runs a training step (forward, loss, backward, SGD) and returns the loss as a number.
            `step.per_operation(n)` gives the seconds per step of each operation, over n steps.
        """
        backend.seed(0)
        backend.use("numpy" if self.torch_variant else self.engine)
        model = models.build(self.model, CLASSES)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.batch_size, SIZE, SIZE, 3), dtype=np.float32)
        labels = rng.integers(0, CLASSES, self.batch_size)
        if self.torch_variant:
            return _TorchStep(self, model, x, labels)
        return _MiniresStep(model, x, labels)


class _MiniresStep:
    def __init__(self, model, x, labels):
        self.model, self.sgd = model, optim.SGD(model, **SGD)
        self.x, self.labels = Tensor(backend.asarray(x)), backend.asarray(labels)

    def backward(self) -> Tensor:
        loss = F.cross_entropy(self.model(self.x), self.labels)
        self.sgd.zero_grad()
        loss.backward()
        return loss

    def __call__(self) -> float:
        loss = self.backward()
        self.sgd.step()
        return loss.item()

    def per_operation(self, steps: int) -> dict[str, float]:
        seconds = defaultdict(float)

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
                loss = self.backward()
                before_sgd = time.perf_counter()
                self.sgd.step()
                seconds["SGD"] += time.perf_counter() - before_sgd
                loss.item()
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


class _TorchStep:
    def __init__(self, contestant: Contestant, model, x, labels):
        import torch

        from minires.benchmarks.torch_resnet import TorchResNet

        torch.set_num_threads(contestant.threads)
        self.torch, variant = torch, contestant.torch_variant
        kind, depth = models.parse_name(contestant.model)
        self.model = TorchResNet((depth - 2) // 6, residual=kind == "resnet")
        state = to_torch_state_dict(model.state_dict())
        self.model.load_state_dict(
            {name: torch.tensor(value) for name, value in state.items()}, strict=False
        )
        self.sgd = torch.optim.SGD(self.model.parameters(), **SGD, fused=True)
        self.x = torch.tensor(x).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.tensor(labels)
        if variant in ("channels_last", "compile channels_last", "bf16"):
            self.model = self.model.to(memory_format=torch.channels_last)
            self.x = self.x.to(memory_format=torch.channels_last)
        if variant.startswith("compile"):
            self.model = torch.compile(self.model)
        self.low_precision = variant == "bf16"

    def __call__(self) -> float:
        with self.torch.autocast("cpu", self.torch.bfloat16, enabled=self.low_precision):
            loss = self.torch.nn.functional.cross_entropy(self.model(self.x), self.labels)
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return loss.item()

    def per_operation(self, steps: int) -> dict[str, float]:
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            started = time.perf_counter()
            for _ in range(steps):
                self()
            whole = time.perf_counter() - started
        events = profiler.key_averages()
        seconds = {event.key: event.self_cpu_time_total / 1e6 for event in events}
        seconds["the rest"] = max(0.0, whole - sum(seconds.values()))
        return {name: total / steps for name, total in seconds.items()}


@cache
def training_flops(model_name: str, image_size: int = SIZE) -> int:
    """Floating-point operations per image of a training step, in convolutions and linear layers.

    Two per multiply-add; once forward and once for each gradient that is needed: the first layer
    needs none for the images.
    """
    with backend.use("numpy"):
        model = models.build(model_name, CLASSES)
    return summarize(model, image_size).training_flops
