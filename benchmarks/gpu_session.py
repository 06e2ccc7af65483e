"""A machine with a GPU, used in one command: is it right, how fast is it, does it reach the paper?

    python benchmarks/gpu_session.py --part correctness|bench|train

Each part ends by itself after --seconds (500), leaves JSON and logs in --out, and goes on where it
stopped when it is called again with the same --out. --tiny does the same in small on the emulator,
without a GPU: whether the command works, not how fast anything is.

correctness   the GPU tests; 50 steps of ResNet-20 against numpy, in float64
bench         training steps of ResNet-20, 56 and 110 at batch 128 and 1024: ours in tf32, float32,
              bf16 and fp16, each as plain launches and as a graph, and PyTorch's, by turns
train         the paper's recipe on CIFAR-10, network after network, seed after seed
"""

import argparse
import json
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

from minires import Tensor, amp, backend, models, optim
from minires import functional as F
from minires.bench.account import account
from minires.cuda import graph

ROOT = Path(__file__).parent.parent
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
PRECISIONS = ("tf32", "float32", "bf16", "fp16")
TORCH = ("eager", "channels_last", "amp bf16", "amp fp16", "compile max-autotune", "graph")
NETWORKS, BATCHES = ("resnet20", "resnet56", "resnet110"), (128, 1024)
TRAINED = ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110")
TRAINED += ("plain20", "plain32", "plain44", "plain56")
ROUNDS, STEPS = 7, 20


class Session:
    """What is done is noted in a JSON file after each item; what is noted is not done again.

    Parameters
    ----------
    path : Path
        The JSON file.
    seconds : float
        After which no item is begun any more.
    """

    def __init__(self, path: Path, seconds: float):
        self.path, self.end = path, time.monotonic() + seconds
        path.parent.mkdir(parents=True, exist_ok=True)
        self.done = json.loads(path.read_text())["items"] if path.exists() else {}

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()

    def _failed(self, name: str) -> bool:
        return isinstance(self.done[name], dict) and "error" in self.done[name]

    def item(self, name: str, work: Callable[[], object]) -> None:
        """Do `work` and note what it returns; or what went wrong, to be tried again next time."""
        if name in self.done and not self._failed(name):
            print(f"{name}: done before", flush=True)
            return
        if self.left <= 0:
            print(f"{name}: no time left; call the same command again", flush=True)
            return
        started = time.monotonic()
        try:
            result = work()
        except Exception as error:  # one item must not take the others with it
            result = {"error": f"{type(error).__name__}: {error}"}
        print(
            f"{name}: {json.dumps(result)[:600]} ({time.monotonic() - started:.1f} s)", flush=True
        )
        self.done[name] = result
        facts = {"command": " ".join(sys.argv), "date": str(date.today()), "machine": machine()}
        self.path.write_text(json.dumps(facts | {"items": self.done}, indent=1) + "\n")


def machine() -> str:
    """The GPU's name, or the processor's architecture."""
    if backend.problem("cupy"):
        return f"{platform.machine()}, no GPU"
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()


def run(command: list[str], log: Path, seconds: float) -> dict:
    """A command with its output in a file; interrupted like by Ctrl-C when its time is over."""
    with log.open("a") as file:
        file.write(f"+ {' '.join(command)}\n")
        file.flush()
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        try:
            process.wait(max(1, seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait()
    return {"exit": process.returncode, "last": log.read_text().strip().split("\n")[-1][-300:]}


def correctness(session: Session, engine: str, tiny: bool) -> None:
    """The tests of this end, and a trace against numpy."""
    chosen = (
        ["-m", "emulator", "tests/test_graph.py", "-k", "computes_nothing"]
        if tiny
        else ["-m", "gpu"]
    )
    command = [sys.executable, "-m", "pytest", "-q", *chosen]
    log = session.path.with_name("tests.log")
    session.item("tests", lambda: run(command, log, session.left))
    network, steps, size = ("resnet8", 3, 8) if tiny else ("resnet20", 50, 32)
    for precision, dtype, lr in (("float32", "float64", 0.1), ("float32", "float32", 0.001)):

        def compare(precision=precision, dtype=dtype, lr=lr):
            ours, expected = (
                trace(name, network, steps, size, dtype, lr, precision)
                for name in (engine, "numpy")
            )
            return {"steps": steps, "largest relative difference": _difference(ours, expected)}

        session.item(f"{network}, {steps} steps in {dtype} against numpy", compare)


def _difference(a: list[float], b: list[float]) -> float:
    return float(np.max(np.abs(np.array(a) - b) / np.abs(b)))


def trace(engine, network, steps, size, dtype, lr, precision) -> list[float]:
    """Losses of some steps on random images, 16 at a time."""
    rng = np.random.default_rng(0)
    with backend.use(engine):
        backend.set_precision(precision)
        backend.seed(0)
        model = models.build(network)
        model = model.double() if dtype == "float64" else model
        sgd, losses = optim.SGD(model, **SGD | {"lr": lr}), []
        for _ in range(steps):
            x = backend.asarray(rng.standard_normal((16, size, size, 3)).astype(dtype))
            loss = F.cross_entropy(model(Tensor(x)), backend.asarray(rng.integers(0, 10, 16)))
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            losses.append(loss.item())
    return losses


class Ours:
    """A training step of minires: forward, loss, backward, SGD on one batch."""

    def __init__(self, engine: str, network: str, x, labels, precision: str, graphed: bool):
        backend.use(engine)
        backend.set_precision(precision)
        backend.seed(0)
        self.precision = precision
        self.model = models.build(network)
        self.sgd = optim.SGD(self.model, **SGD)
        self.scaler = amp.GradScaler() if precision == "fp16" else None
        self.x = Tensor(backend.asarray(x.astype(backend.storage())))
        self.labels = backend.asarray(labels)
        self.step = graph.capture(self._step).replay if graphed else self._step

    def _step(self) -> None:
        loss = F.cross_entropy(self.model(self.x), self.labels)
        self.sgd.zero_grad()
        if self.scaler is None:
            loss.backward()
            self.sgd.step()
        else:
            self.scaler.backward(loss)
            self.scaler.step(self.sgd)

    def seconds(self, steps: int) -> float:
        """Of one step, the mean of so many; on a GPU between two events."""
        backend.set_precision(self.precision)
        if backend.xp() is np:
            return _seconds_on_host(self.step, steps)
        import cupy

        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        for _ in range(steps):
            self.step()
        end.record()
        end.synchronize()
        return cupy.cuda.get_elapsed_time(begin, end) / 1e3 / steps


class Torchs:
    """The same step of PyTorch, in one of its ways."""

    def __init__(self, network: str, x, labels, way: str):
        import torch

        from minires.bench.torch_resnet import TorchResNet

        self.torch, self.device = torch, "cuda" if torch.cuda.is_available() else "cpu"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        kind, depth = models.parse_name(network)
        self.model = TorchResNet((depth - 2) // 6, residual=kind == "resnet").to(self.device)
        self.x = torch.tensor(x, device=self.device).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.tensor(labels, device=self.device)
        if way != "eager":
            self.model = self.model.to(memory_format=torch.channels_last)
            self.x = self.x.to(memory_format=torch.channels_last)
        self.sgd = torch.optim.SGD(self.model.parameters(), **SGD, fused=True)
        self.half = {"amp bf16": torch.bfloat16, "amp fp16": torch.float16}.get(way)
        self.scaler = torch.amp.GradScaler(self.device, enabled=way == "amp fp16")
        self.forward = self.model
        if way.startswith("compile"):
            self.forward = torch.compile(self.model, mode="max-autotune")
        self.step = self._captured() if way == "graph" else self._step

    def _step(self) -> None:
        torch = self.torch
        with torch.autocast(self.device, self.half, enabled=self.half is not None):
            loss = torch.nn.functional.cross_entropy(self.forward(self.x), self.labels)
        self.sgd.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.sgd)
        self.scaler.update()

    def _captured(self) -> Callable[[], None]:
        torch = self.torch
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            self._step()
        return captured.replay

    def seconds(self, steps: int) -> float:
        """Of one step, the mean of so many; on a GPU between two events."""
        if self.device == "cpu":
            return _seconds_on_host(self.step, steps)
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(steps):
            self.step()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / steps


def _seconds_on_host(step: Callable[[], None], steps: int) -> float:
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps


def bench(session: Session, engine: str, tiny: bool) -> None:
    """Every network and batch: all contestants by turns, medians, what ours ask of memory."""
    networks, batches, size = (("resnet8",), (4,), 8) if tiny else (NETWORKS, BATCHES, 32)
    rounds, steps = (2, 1) if tiny else (ROUNDS, STEPS)
    session.item("copy bandwidth, bytes/s", lambda: copied_per_second(tiny))
    for network in networks:
        for batch in batches:
            session.item(
                f"{network}, batch {batch}",
                lambda n=network, b=batch: race(engine, n, b, size, rounds, steps, tiny),
            )


def race(engine, network, batch, size, rounds, steps, tiny) -> dict:
    """Median seconds a step of every contestant that works here."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, size, size, 3), dtype=np.float32)
    labels = rng.integers(0, 10, batch)
    makers = {
        f"minires {precision}{', graph' * graphed}": lambda p=precision, g=graphed: Ours(
            engine, network, x, labels, p, g
        )
        for precision in PRECISIONS
        for graphed in (False, True)
    }
    ways = TORCH[:2] if tiny else TORCH
    makers |= {f"torch {way}": lambda w=way: Torchs(network, x, labels, w) for way in ways}
    contestants, rows = {}, {}
    for name, make in makers.items():
        try:
            contestants[name] = make()
            contestants[name].seconds(2)  # compiles
        except Exception as error:  # it is left out, and says so
            rows[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
            contestants.pop(name, None)
    times = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            times[name].append(contestant.seconds(steps))
    for name, seconds in times.items():
        median = statistics.median(seconds)
        rows[name] = {
            "ms": 1e3 * median,
            "images/s": batch / median,
            "all ms": [1e3 * s for s in seconds],
        }
        if name.startswith("minires"):
            asked = account(network, batch, engine, precision=contestants[name].precision)
            rows[name] |= {"launches": asked.total.launches, "bytes/image": asked.bytes_per_image}
    return rows


def copied_per_second(tiny: bool) -> float:
    """Bytes read and written by copying an array, the median of several times."""
    xp, megabytes = backend.xp(), 8 if tiny else 1024
    a = xp.zeros(megabytes << 18, np.float32)
    b, seconds = xp.empty_like(a), []
    for _ in range(9):
        started = time.perf_counter()
        b[...] = a
        if xp is not np:
            xp.cuda.Device().synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * a.nbytes / statistics.median(seconds)


def train(session: Session, engine: str, tiny: bool, data_dir: str) -> None:
    """The paper's recipe for each network and seed, resumed until it is finished.

    The runs lie where `minires reproduce --budget full --out` (the session's directory) finds them.
    """
    runs = [(network, 0) for network in TRAINED] + [
        (n, s) for s in range(1, 5) for n in TRAINED[:5]
    ]
    runs.append(("resnet1202", 0))
    small = ["--dataset", "shapes", "--image-size", "8", "--steps", "3", "--batch-size", "4"]
    small += ["--train-size", "12", "--test-size", "4"]
    whole = ["--dataset", "cifar10", "--data-dir", data_dir, "--no-download"]
    for network, seed in [("resnet8", 0)] if tiny else runs:
        out = session.path.parent / "runs" / f"{network}-seed{seed}"
        command = [
            sys.executable,
            "-m",
            "minires",
            "train",
            "--model",
            network,
            "--seed",
            str(seed),
        ]
        out.parent.mkdir(parents=True, exist_ok=True)
        command += ["--backend", engine, "--out", str(out), "--resume", *(small if tiny else whole)]

        def finish(command=command, out=out):
            result = run(command, out.with_suffix(".log"), session.left)
            if result["exit"] != 0:
                raise RuntimeError(f"not finished: {result['last']}")
            return result

        session.item(f"{network}, seed {seed}", finish)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--part", required=True, choices=("correctness", "bench", "train"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "gpu")
    parser.add_argument("--seconds", type=float, default=500, help="(default: 500)")
    parser.add_argument("--tiny", action="store_true", help="in small, on the emulator")
    parser.add_argument("--data-dir", default="data", help="where CIFAR-10 lies")
    options = parser.parse_args()
    engine = "emulator" if options.tiny else "cupy"
    backend.use(engine)
    session = Session(options.out / f"{options.part}.json", options.seconds)
    if options.part == "correctness":
        correctness(session, engine, options.tiny)
    elif options.part == "bench":
        bench(session, engine, options.tiny)
    else:
        train(session, engine, options.tiny, options.data_dir)


if __name__ == "__main__":
    main()
