"""Training steps that race on a GPU: those of minires and PyTorch's, on the same batch."""

import gc
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from minires import Tensor, amp, backend, cuda, models, optim
from minires import functional as F
from minires.cuda_graph import capture
from minires.interop import to_torch_state_dict

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
PRECISIONS = ("tf32", "float32", "bf16", "fp16")
WAYS = ("eager", "channels_last", "graph", "amp bf16", "amp fp16", "amp bf16, graph")
COMPILED = ("compile", "compile max-autotune", "amp bf16, compile max-autotune")
"""PyTorch's ways to run the step; all but eager are channels_last, max-autotune uses CUDA graphs.

What needs no autocast multiplies in tf32. Compiling takes minutes, so each of these races alone.
"""


class Ours:
    """A training step of minires: forward, loss, backward, SGD on one batch."""

    def __init__(self, engine: str, network: str, x, labels, precision: str, graphed: bool):
        backend.use(engine)
        backend.set_precision(precision)
        backend.seed(0)
        before = _held_by_cupy()
        self.precision = precision
        self.model = models.build(network)
        self.sgd = optim.SGD(self.model, **SGD)
        self.scaler = amp.GradScaler() if precision == "fp16" else None
        self.x = Tensor(backend.asarray(x.astype(backend.storage())))
        self.labels = backend.asarray(labels)
        self.launches = self.bytes = 0
        with cuda.watch(self._count):
            self.step = capture(self._step).replay if graphed else self._step
            self.first_loss = self.step().item()  # compiles
        self.seconds(2)  # after that all memory is taken
        self.memory = None if before is None else _held_by_cupy(free=False) - before

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

    def steps(self, number: int) -> None:
        """Take so many."""
        backend.set_precision(self.precision)
        for _ in range(number):
            self.step()

    def seconds(self, steps: int) -> float:
        """Of one step, the mean of so many after one; on a GPU between two events."""
        self.steps(1)
        return seconds_of(lambda: self.steps(steps)) / steps


def seconds_of(work: Callable[[], object]) -> float:
    """That `work` takes on the backend in use; on a GPU between two events."""
    if backend.xp() is np:
        return _seconds_on_host(work)
    import cupy

    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    begin.record()
    work()
    end.record()
    end.synchronize()
    return cupy.cuda.get_elapsed_time(begin, end) / 1e3


def _held_by_cupy(free: bool = True) -> int | None:
    """Bytes that CuPy has taken of the GPU's memory; None without a GPU."""
    if backend.xp() is np:
        return None
    import cupy

    pool = cupy.get_default_memory_pool()
    if free:
        gc.collect()
        pool.free_all_blocks()
    return pool.total_bytes()


def release() -> None:
    """Give back the memory of contestants that are gone, and forget what was compiled for them."""
    gc.collect()  # each holds itself, by its step
    if backend.xp() is not np:
        _held_by_cupy()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.compiler.reset()
        torch.cuda.empty_cache()


class Torchs:
    """The same step of PyTorch, in one of its ways."""

    def __init__(self, network: str, x, labels, way: str):
        import torch

        from minires.benchmarks.torch_resnet import TorchResNet

        self.torch, self.device = torch, "cuda" if torch.cuda.is_available() else "cpu"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        before = self._held()
        kind, depth = models.parse_name(network)
        self.model = TorchResNet((depth - 2) // 6, residual=kind == "resnet")
        self.model.load_state_dict(_initial_weights(network), strict=False)
        self.model = self.model.to(self.device)
        self.x = torch.tensor(x, device=self.device).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.tensor(labels, device=self.device)
        if way != "eager":
            self.model = self.model.to(memory_format=torch.channels_last)
            self.x = self.x.to(memory_format=torch.channels_last)
        self.sgd = torch.optim.SGD(self.model.parameters(), **SGD, fused=True)
        half = {"amp bf16": torch.bfloat16, "amp fp16": torch.float16}
        self.half = next((dtype for name, dtype in half.items() if way.startswith(name)), None)
        self.scaler = torch.amp.GradScaler(self.device, enabled=self.half == torch.float16)
        self.forward = self.model
        if "compile" in way:
            mode = "max-autotune" if "max-autotune" in way else "default"
            # Otherwise the second batch size is compiled for batches of any size.
            self.forward = torch.compile(self.model, mode=mode, dynamic=False)
        self.first_loss = self._step()  # compiles
        self.step = self._captured() if way.endswith("graph") else self._step
        self.seconds(3)
        self.memory = None if before is None else torch.cuda.max_memory_reserved() - before
        self.first_loss = self.first_loss.item()

    def _held(self) -> int | None:
        """Bytes that PyTorch has taken of the GPU's memory; None without a GPU."""
        if self.device == "cpu":
            return None
        gc.collect()
        self.torch.cuda.empty_cache()
        self.torch.cuda.reset_peak_memory_stats()
        return self.torch.cuda.memory_reserved()

    def _step(self):
        torch = self.torch
        self.sgd.zero_grad()
        with torch.autocast(self.device, self.half, enabled=self.half is not None):
            loss = torch.nn.functional.cross_entropy(self.forward(self.x), self.labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.sgd)
        self.scaler.update()
        return loss.detach()

    def _captured(self) -> Callable[[], None]:
        torch = self.torch
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            self._step()
        return captured.replay

    def steps(self, number: int) -> None:
        """Take so many."""
        for _ in range(number):
            self.step()

    def seconds(self, steps: int) -> float:
        """Of one step, the mean of so many after one; on a GPU between two events."""
        self.steps(1)
        if self.device == "cpu":
            return _seconds_on_host(lambda: self.steps(steps)) / steps
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        self.steps(steps)
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / steps


def _initial_weights(network: str) -> dict:
    """Those that `Ours` starts from, too."""
    import torch

    with backend.use("numpy"):
        backend.seed(0)
        state = to_torch_state_dict(models.build(network).state_dict())
    return {name: torch.tensor(value) for name, value in state.items()}


def _seconds_on_host(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def batch_of(size: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images (N, H, W, 3) in float32, and labels."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((images, size, size, 3), dtype=np.float32), rng.integers(
        0, 10, images
    )


def contestants(engine: str, network: str, batch: int, size: int, tiny: bool, compiled: str = ""):
    """Name -> function that makes it; if it is about a compiled way, that one and our graphs."""
    x, labels = batch_of(size, batch)
    makers = {
        f"minires {precision}{', graph' * graphed}": lambda p=precision, g=graphed: Ours(
            engine, network, x, labels, p, g
        )
        for precision in PRECISIONS
        for graphed in (False, True)
        if graphed or not compiled
    }
    ways = (compiled,) if compiled else WAYS
    if tiny:  # what needs no GPU, and no minutes
        ways = () if compiled else WAYS[:2]
    return makers | {f"torch {way}": lambda w=way: Torchs(network, x, labels, w) for way in ways}


def race(makers: dict, batch: int, rounds: int, steps: int) -> dict:
    """Of every contestant that works here: median milliseconds of a step, and what it asks for.

    Launches and bytes are those of our kernels, each byte that one needs counted once. All are made
    first, then they take turns: so many rounds, so many steps each time.
    """
    release()
    racing, rows = {}, {}
    for name, make in makers.items():
        started = time.perf_counter()
        try:
            racing[name] = make()
            rows[name] = {"ready after s": round(time.perf_counter() - started, 1)}
        except Exception as error:  # it is left out, and says so
            rows[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
    times = {name: [] for name in racing}
    for _ in range(rounds):
        for name, contestant in list(racing.items()):
            try:
                times[name].append(contestant.seconds(steps))
            except Exception as error:
                rows[name]["error"] = f"{type(error).__name__}: {error}"[:300]
                del racing[name]
    for name, contestant in racing.items():
        median = statistics.median(times[name])
        rows[name] |= {
            "ms": 1e3 * median,
            "images/s": batch / median,
            "all ms": [1e3 * s for s in times[name]],
            "memory": contestant.memory,
            "first loss": contestant.first_loss,
        }
        if name.startswith("minires"):
            rows[name] |= {
                "launches": contestant.launches,
                "bytes/image": contestant.bytes / batch,
            }
    _compare_first_losses([rows[name] for name in racing])
    return rows


def _compare_first_losses(rows: list[dict]) -> None:
    """All start from the same weights; one whose loss is another's by no rounding is marked."""
    if rows:
        middle = statistics.median(row["first loss"] for row in rows)
        for row in rows:
            if not abs(row["first loss"] - middle) <= 0.02 * middle:
                row["warning"] = f"first loss {row['first loss']:.4f}, the median {middle:.4f}"
