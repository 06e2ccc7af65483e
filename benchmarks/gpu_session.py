"""A machine with a GPU, used in one command: is it right, how fast is it, does it reach the paper?

    python benchmarks/gpu_session.py --part correctness|bench|train

Each part ends by itself after --seconds (500), leaves JSON and logs in --out, and goes on where it
stopped when it is called again with the same --out. --tiny does the same in small on the emulator,
without a GPU: whether the command works, not how fast anything is.

correctness   50 steps of ResNet-20 against numpy, in float64 and float32; the GPU tests, those
              under compute-sanitizer by themselves
bench         training steps of ResNet-20, 56 and 110 at batch 128 and 1024: ours in tf32, float32,
              bf16 and fp16, each as plain launches and as a CUDA graph, and PyTorch's, by turns;
              where the time goes, kernel by kernel; the bytes that go through memory, by ncu.
              bench.md is the page of it, a picture for each race lies beside it
train         the paper's recipe on CIFAR-10, network after network, seed after seed
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from itertools import product
from pathlib import Path

import numpy as np

from minires import backend, models, optim
from minires.benchmarks.entries import COMPILED_ON_GPU, GPU_WAYS, SGD, Entry, entries
from minires.benchmarks.gpu_kernels import by_kernel, counted, measured, torchs_by_kernel
from minires.benchmarks.gpu_page import page
from minires.benchmarks.machine import copied_bytes_per_second, machine
from minires.benchmarks.race import race
from minires.benchmarks.report import chart, row
from minires.tensor import Tensor
from minires.training import step
from minires.training.directory import write_atomically

ROOT = Path(__file__).parent.parent
NETWORKS, BATCHES = ("resnet20", "resnet56", "resnet110"), (128, 1024)
RESNETS = ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110")
PLAIN = ("plain20", "plain32", "plain44", "plain56")
PRECISIONS = ("tf32", "float32", "bf16", "fp16")
ROUNDS, STEPS = 7, 20
COMPILING = 240  # seconds that must be left to begin with one of PyTorch's compiled ways


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
        self.longest = 0.0  # item so far, in seconds
        path.parent.mkdir(parents=True, exist_ok=True)
        self.done = json.loads(path.read_text())["items"] if path.exists() else {}

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()

    def _failed(self, name: str) -> bool:
        return isinstance(self.done[name], dict) and "error" in self.done[name]

    def item(self, name: str, work: Callable[[], object], needs: float = 0.0) -> None:
        """Do `work` and note what it returns; or what went wrong, to be tried again next time.

        It is not begun if less than `needs` seconds are left.
        """
        if name in self.done and not self._failed(name):
            print(f"{name}: done before", flush=True)
            return
        if self.left <= needs:
            print(f"{name}: no time left; call the same command again", flush=True)
            return
        started = time.monotonic()
        try:
            result = work()
        except Exception as error:  # one item must not take the others with it
            result = {"error": f"{type(error).__name__}: {error}"}
        seconds = time.monotonic() - started
        self.longest = max(self.longest, seconds)
        print(f"{name}: {json.dumps(result)[:600]} ({seconds:.1f} s)", flush=True)
        self.done[name] = result
        facts = {"command": " ".join(sys.argv), "date": str(date.today())}
        facts |= {"machine": machine(on_gpu=backend.problem("cupy") is None)}
        self.path.write_text(json.dumps(facts | {"items": self.done}, indent=1) + "\n")


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
    """A trace against numpy, and the tests that need a GPU; last those under compute-sanitizer."""
    network, steps, size = ("resnet8", 3, 8) if tiny else ("resnet20", 50, 32)
    for precision, dtype, lr in (("float32", "float64", 0.1), ("float32", "float32", 0.001)):

        def compare(precision=precision, dtype=dtype, lr=lr):
            ours, expected = (
                trace(name, network, steps, size, dtype, lr, precision)
                for name in (engine, "numpy")
            )
            return {"steps": steps, "largest relative difference": _difference(ours, expected)}

        session.item(f"{network}, {steps} steps in {dtype} against numpy", compare)

    def tests(*chosen: str) -> None:
        command = [sys.executable, "-m", "pytest", "-q", *chosen]

        def finish():
            result = run(command, session.path.with_name("tests.log"), session.left)
            if result["exit"] not in (0, 1):  # passed or failed
                raise RuntimeError(f"not finished: {result['last']}")
            return result

        session.item(" ".join(["tests", *chosen]), finish)

    if tiny:
        tests("-m", "emulator", "tests/cuda/test_graph.py", "-k", "computes_nothing")
    else:
        sanitizers = "tests/cuda/test_sanitizers.py"
        tests("-m", "gpu", f"--ignore={sanitizers}")
        tests("-m", "gpu", sanitizers)


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
            loss, _ = step(model, sgd, Tensor(x), backend.asarray(rng.integers(0, 10, 16)))
            losses.append(loss.item())
    return losses


def bench(session: Session, engine: str, tiny: bool) -> None:
    """Every network and batch: all entries by turns; then where our time goes, and the bytes.

    What compiles for minutes comes last, each by itself, and then what PyTorch's profiler sees,
    which may slow down what comes after it.
    """
    networks, batches, size = (("resnet8",), (4,), 8) if tiny else (NETWORKS, BATCHES, 32)
    rounds, steps = (2, 1) if tiny else (ROUNDS, STEPS)
    folder = session.path.parent
    more = {"device": "cpu" if tiny else "cuda", "image_size": size}
    ways = ("eager", "channels_last") if tiny else GPU_WAYS  # what needs no GPU, and no minutes
    session.item(
        "copied, bytes/s",
        lambda: copied_bytes_per_second(8, 1) if tiny else copied_bytes_per_second(),
    )

    def races(ways: tuple[str, ...], compiled: bool = False) -> None:
        for batch, network in product(batches, networks):
            name = f"{network}, batch {batch}" + f", torch {''.join(ways)}" * compiled
            racing = entries(
                [network],
                [batch],
                [engine],
                precisions=PRECISIONS,
                graph=(True,) if compiled else (False, True),
                torch_ways=() if tiny and compiled else ways,
                **more,
            )

            def one(name=name, racing=racing):
                rows = [row(result) for result in race(racing, rounds, steps)]
                timed = [r for r in rows if "problem" not in r]
                if not timed:
                    raise RuntimeError("; ".join(r["problem"] for r in rows))
                picture = chart(timed, machine(on_gpu=not tiny))
                write_atomically(
                    folder / f"{name.replace(', ', '-').replace(' ', '-')}.png", picture
                )
                return rows

            session.item(name, one, max(session.longest, COMPILING * compiled * (not tiny)))

    def written_page() -> str:
        text = page(session.done)
        (folder / "bench.md").write_text(text)
        return text

    def kernels(entry: Entry) -> None:
        find = torchs_by_kernel if entry.is_torch else by_kernel
        name = f"{entry.model}, batch {entry.batch_size}, by kernel: {entry.name}"
        session.item(name, lambda: find(entry))

    def bytes_of(entry: Entry, flush: bool) -> None:
        def count():
            if tiny:
                return counted(entry)
            words = ["ncu", entry.model, str(entry.batch_size), *entry.name.split()]
            log = folder / ("-".join([*words, *["flushed"] * flush]) + ".csv")
            return measured(entry, log, flush, session.left)

        caches = "caches emptied" if flush else "caches as they are"
        what = f"bytes of memory, {caches}: {entry.name}"
        session.item(f"{entry.model}, batch {entry.batch_size}, {what}", count)

    def ours(network: str, batch: int) -> list[Entry]:
        return entries([network], [batch], [engine], precisions=("tf32", "bf16"), **more)

    def theirs(network: str, batch: int, *ways: str) -> list[Entry]:
        return entries([network], [batch], [], torch_ways=ways, **more)

    shallow_and_deep = [(network, batch) for batch in batches for network in networks[::2]]
    races(ways)
    for what in shallow_and_deep:
        for entry in ours(*what):
            kernels(entry)
    for batch in batches:
        for flush in (True, False):
            for entry in ours(networks[0], batch):
                bytes_of(entry, flush)
            if not tiny:
                bytes_of(theirs(networks[0], batch, "channels_last")[0], flush)
    written_page()  # should the rest not come to its end
    for way in COMPILED_ON_GPU[:1] if tiny else COMPILED_ON_GPU:
        races((way,), compiled=True)
    for what in shallow_and_deep:
        for entry in theirs(*what, "channels_last", "bf16"):
            kernels(entry)
    print(written_page(), flush=True)


def train(session: Session, engine: str, tiny: bool, data_dir: str) -> None:
    """The paper's recipe for each network and seed, resumed until it is finished.

    The runs lie where `minires reproduce --budget full --out` (the session's directory) finds them.
    """
    runs = [(network, 0) for network in RESNETS + PLAIN]
    runs += [(network, seed) for seed in range(1, 5) for network in RESNETS]
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
