"""What a training step asks of a GPU: launches, and bytes that must come from memory and go there.

The step is the one of `minires train`: a batch is chosen and augmented, then come forward, cross
entropy, backward, SGD and metrics. None of its kernels is executed, since which are launched, and
what they move, follows from shapes alone. So an account takes a second, and needs no GPU.

Bytes are what the launchers state (`minires.cuda.Launch.bytes_moved`): every byte of a kernel's
inputs read once, every byte of its outputs written once, which is what a GPU with large enough
caches moves. `tests/cuda/test_account.py` compares them with what the emulator counts.

Array code is launches on a GPU, too, but states nothing. What is found of it are the operations and
the parts of the step that launch no kernel at all; array code beside a kernel (the batch's labels
are picked, tables are sent to the GPU) is not seen.

See docs/decisions/cuda.md, "Bytes are stated, then counted".
"""

from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from minires import backend, cuda, models, optim
from minires import functional as F
from minires.benchmarks.entries import SGD
from minires.cuda.signature import DTYPES
from minires.data import Dataset, Loader, Normalization
from minires.training.evaluate import Metrics
from minires.watchers import watch

TARGETS = {("resnet20", 128): (100, 9e6)}
"""(network, batch size) -> most launches of a step and most bytes per image that it may have."""

BYTES_PER_SECOND = 4.3e12
"""What an H200 copies, read and written together."""

SECONDS_PER_LAUNCH = 3e-6

CLASSES, SIZE = 10, 32


@dataclass
class Traffic:
    """Launches of a kernel, and the bytes that they read and write."""

    launches: int = 0
    read: int = 0
    written: int = 0

    def add(self, launches: int, read: int, written: int) -> None:
        """Count some more."""
        self.launches += launches
        self.read += read
        self.written += written

    @property
    def moved(self) -> int:
        """Bytes read and written."""
        return self.read + self.written


@dataclass
class Account:
    """What a training step was found to ask for.

    Attributes
    ----------
    model : str
    batch_size : int
    backend : str
    kernels : dict
        Traffic of a step by kernel, each named by its file and its name there.
    array_code : Counter
        What was computed by array code, and how often. It is not in `kernels`; on a GPU it consists
        of launches, too: at least one each time.
    """

    model: str
    batch_size: int
    backend: str
    kernels: dict[str, Traffic] = field(default_factory=lambda: defaultdict(Traffic))
    array_code: Counter = field(default_factory=Counter)

    @property
    def total(self) -> Traffic:
        """Launches and bytes of all kernels together."""
        total = Traffic()
        for one in self.kernels.values():
            total.add(one.launches, one.read, one.written)
        return total

    @property
    def bytes_per_image(self) -> float:
        """Read and written."""
        return self.total.moved / self.batch_size

    def watch(self, launch: cuda.Launch) -> bool:
        """A watcher of launches: notes them, and lets none be executed."""
        read, written = launch.bytes_moved()
        name = f"{launch.module.name} {launch.instance.partition('<')[0]}"
        self.kernels[name].add(1, read, written)
        return clear_results(launch)


def clear_results(launch: cuda.Launch) -> bool:
    """A watcher that puts zeros in the place of a launch's results."""
    for array in launch.arrays(written=True):
        array.fill(0)
    return True


def account(
    model_name: str,
    batch_size: int = 128,
    engine: str = "auto",
    fused: bool | None = None,
    precision: str = "float32",
) -> Account:
    """Take account of a training step of a network, on random images of 32 x 32.

    Parameters
    ----------
    model_name : str
        A name that `models.build` knows.
    batch_size : int
    engine : str
        A backend that launches CUDA C++ kernels; ``"auto"`` for the first that works here.
    fused : bool, optional
        As in `models.build`: False computes every operation on its own.
    precision : str
        As in `cuda.set_precision`: bf16 and fp16 keep images in half the memory.

    Returns
    -------
    Account

    Raises
    ------
    ValueError, BackendUnavailable
        If there is no such network, or the backend has no CUDA C++ kernels or does not work here.
    """
    engine = chosen_engine(engine)
    found = Account(model_name, batch_size, engine)
    with backend.use(engine), _precision(precision):
        step = _Step(model_name, batch_size, fused)
        with cuda.watch(clear_results):
            step.run(Account(model_name, batch_size, engine))  # tables that are made once are there
        with cuda.watch(found.watch):
            step.run(found)
    return found


@contextmanager
def _precision(name: str):
    before = cuda.set_precision(name)
    try:
        yield
    finally:
        cuda.set_precision(before)


def chosen_engine(name: str) -> str:
    """The backend of this name; for ``"auto"`` the first with CUDA C++ kernels that works here."""
    able = backend.able_to("graphs")  # what a graph records are launches of CUDA C++ kernels
    if name == "auto":
        return next((engine for engine in able if backend.problem(engine) is None), able[-1])
    if name not in able:
        raise ValueError(
            f"an account is of CUDA C++ kernels (backend {' or '.join(able)}), but the backend is "
            f"{name}"
        )
    return name


class _Step:
    """A network and its batches, to be trained for a few steps."""

    def __init__(self, model_name: str, batch_size: int, fused: bool | None):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (2 * batch_size, SIZE, SIZE, 3), np.uint8)
        labels = rng.integers(0, CLASSES, 2 * batch_size)
        dataset = Dataset("random", images, labels, tuple(map(str, range(CLASSES))))
        normalization = Normalization.make("per-pixel", images)
        self.batches = iter(Loader(dataset, normalization, batch_size, shuffle=True, augment=True))
        self.model = models.build(model_name, CLASSES, fused=fused)
        self.sgd = optim.SGD(self.model, **SGD)
        self.metrics = Metrics()

    def run(self, account: Account) -> None:
        """One step; what runs as array code is noted."""
        with _array_code("the batch", account):
            x, labels = next(self.batches)
        with _operations_noted(account) as gradients:
            logits = self.model(x)
            loss = F.cross_entropy(logits, labels)
            self.sgd.zero_grad()
            loss.backward()
        handed_over = set(map(id, gradients))
        copied = sum(id(parameter.grad) not in handed_over for parameter in self.sgd.params)
        if copied:
            account.array_code["copies of gradients"] += copied
        with _array_code("SGD", account):
            self.sgd.step()
        with _array_code("metrics", account):
            self.metrics.add(loss.data, logits.data, labels)


@contextmanager
def _array_code(name: str, account: Account):
    """Note `name` as array code if it launches no kernel meanwhile."""
    before = account.total.launches
    yield
    if account.total.launches == before:
        account.array_code[name] += 1


@contextmanager
def _operations_noted(account: Account):
    """Note the operations that launch no kernel; the value collects all gradients they return."""
    returned = []

    def note(function, direction, compute, *arrays):
        with _array_code(f"{function.name} {direction}", account):
            results = compute(*arrays)
        if direction == "backward":
            returned.extend(results)
        return results

    with watch(note):
        yield returned


def account_table(model_name: str, batch_size: int = 128, engine: str = "auto") -> str:
    """The account of a network's training step as a table, with and without fused operations.

    Parameters and errors are those of `account`.
    """
    found = account(model_name, batch_size, engine)
    plain = account(model_name, batch_size, engine, fused=False)
    accounts = [found] if plain.kernels == found.kernels else [found, plain]
    moved = {name: traffic.moved for one in accounts for name, traffic in one.kernels.items()}
    largest_first = sorted(moved, key=lambda name: moved[name], reverse=True)
    columns = f"{'launches':>12}{'MB read':>10}{'written':>10}"
    lines = [
        f"A training step of {model_name}, {batch_size} images, float32, backend {found.backend}; "
        f"megabytes per image",
        "",
        f"{'':<36}{'fused':>32}{'every operation on its own':>32}" * (len(accounts) > 1),
        f"{'kernel':<36}" + columns * len(accounts),
    ]
    lines.append("-" * len(lines[-1]))
    for name in largest_first:
        lines.append(
            f"{name:<36}" + "".join(_cells(one, one.kernels.get(name)) for one in accounts)
        )
    lines.append(lines[4])
    lines.append(f"{'total':<36}" + "".join(_cells(one, one.total) for one in accounts))
    lines += ["", *_notes(found)]
    if len(accounts) > 1:
        lines.append(
            f"every operation on its own: {plain.total.launches} launches, "
            f"{plain.bytes_per_image / 1e6:.2f} MB per image"
        )
    if len(accounts) > 1 and "bfloat16" in DTYPES:
        half = account(model_name, batch_size, engine, precision="bf16")
        lines.append(
            f"fused, images and their gradients in bfloat16 (--precision bf16): "
            f"{half.total.launches} launches, {half.bytes_per_image / 1e6:.2f} MB per image"
        )
    return "\n".join(lines)


def _cells(account: Account, traffic: Traffic | None) -> str:
    if traffic is None:
        return f"{'-':>12}{'-':>10}{'-':>10}"
    read, written = (size / account.batch_size / 1e6 for size in (traffic.read, traffic.written))
    return f"{traffic.launches:>12}{read:>10.3f}{written:>10.3f}"


def _notes(found: Account) -> list[str]:
    launches, size = found.total.launches, found.bytes_per_image
    notes = [
        f"a step: {launches} launches; an image: {size / 1e6:.2f} MB, every byte that a kernel "
        f"needs read once,",
        "every byte of its results written once",
    ]
    if target := TARGETS.get((found.model, found.batch_size)):
        for got, most, unit in (
            (launches, target[0], "launches"),
            (size / 1e6, target[1] / 1e6, "MB per image"),
        ):
            verdict = "met" if got <= most else "missed"
            notes.append(f"target, at most {most:g} {unit}: {verdict} ({got:.4g})")
    notes += [
        f"at {BYTES_PER_SECOND / 1e12:.1f} TB/s (about what an H200 copies) memory allows "
        f"{BYTES_PER_SECOND / size:,.0f} images/s;",
        f"at {1e6 * SECONDS_PER_LAUNCH:.0f} microseconds each, launches allow "
        f"{found.batch_size / launches / SECONDS_PER_LAUNCH:,.0f} images/s",
    ]
    if found.array_code:
        listed = ", ".join(
            f"{name} ({times})" if times > 1 else name for name, times in found.array_code.items()
        )
        notes.append(
            f"not in the table, being array code (on a GPU one launch or more each time): {listed}"
        )
    return notes
