"""A process that runs a Numba-CUDA kernel in Numba's simulator and looks at every access.

    NUMBA_ENABLE_CUDASIM=1 python -m minires.cuda.checking.numba_worker FOLDER

FOLDER has `job.pickle`, a NumbaJob; this process writes `outcome.pickle`, a NumbaOutcome. Arrays
are `Watched` ones, which stand for the simulator's; its threads are asked who they are.
"""

import importlib.util
import os
import pickle
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minires.cuda.checking.job import NumbaJob, NumbaOutcome
from minires.cuda.checking.report import Fault


@dataclass(frozen=True)
class Access:
    """Who touched an element: block, thread, how many barriers it had passed, where."""

    block: tuple
    thread: tuple
    number: int
    barriers: int
    warp_barriers: int
    line: int | None
    store: bool
    atomic: bool

    def __str__(self) -> str:
        return f"thread {_short(self.thread)} of block {_short(self.block)}"

    def collides(self, other: "Access") -> bool:
        """Whether nothing orders the two, and one of them writes."""
        if not (self.store or other.store) or (self.atomic and other.atomic):
            return False
        if self.block != other.block:
            return True
        if self.number == other.number or self.barriers != other.barriers:
            return False
        same_warp = self.number // 32 == other.number // 32
        return not (same_warp and self.warp_barriers != other.warp_barriers)


class Watch:
    """Everything that was seen; one lock for all, since the simulator's threads are real ones."""

    def __init__(self, file: str, outcome: NumbaOutcome):
        self.file, self.outcome, self.lock = file, outcome, threading.RLock()
        self.seen: set = set()
        self.shared: dict[tuple, Watched] = {}

    def line(self) -> int | None:
        """The line of the kernel's file that is being executed by this thread."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != self.file:
            frame = frame.f_back  # type: ignore[assignment]
        return None if frame is None else frame.f_lineno

    def access(self, store: bool) -> Access:
        """The access that this thread is making."""
        t: Any = threading.current_thread()
        atomic, passed = getattr(t, "atomic", False), getattr(t, "passed", [])
        warp = getattr(t, "warp_barriers", 0)
        at, block = tuple(t.threadIdx), tuple(t.blockIdx)
        return Access(block, at, t.thread_id, len(passed), warp, self.line(), store, atomic)

    def tell(self, kind: str, by: Access, message: str, array=None, other_line=None) -> None:
        """Keep a fault, once for each place."""
        key = kind, frozenset((by.line, other_line)), array
        if key not in self.seen:
            self.seen.add(key)
            self.outcome.faults.append(
                Fault(kind, by.line, message, by.thread, by.block, array, other_line)
            )


class Watched:
    """An array whose elements tell who reads and writes them."""

    def __init__(self, name: str, data: np.ndarray, watch: Watch, empty: bool, shared=False):
        self.name, self.data, self.watch, self.is_shared = name, data, watch, shared
        self.written = np.full(data.shape, not empty)
        self.stored = np.zeros(data.shape, bool)
        self.last_store: dict[tuple, Access] = {}
        self.last_loads: dict[tuple, list[Access]] = {}

    shape = property(lambda self: self.data.shape)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)
    dtype = property(lambda self: self.data.dtype)
    strides = property(lambda self: self.data.strides)

    def __len__(self) -> int:
        return len(self.data)

    def _place(self, index, by: Access) -> tuple | None:
        """The element's place; None, and a fault, where there is none."""
        place = tuple(int(i) for i in (index if isinstance(index, tuple) else (index,)))
        if len(place) != self.ndim:
            raise IndexError(
                f"{self.name} has {self.ndim} axes, but {len(place)} indices are given"
            )
        if all(-n <= i < n for i, n in zip(place, self.shape, strict=True)):
            return tuple(i % n for i, n in zip(place, self.shape, strict=True))
        does = "writes" if by.store else "reads"
        what = f"{by} {does} {self._element(place)}, but {self.name} has the shape {self.shape}"
        self.watch.tell("out of bounds", by, what, self.name)
        return None

    def _element(self, place: tuple) -> str:
        return f"{self.name}[{', '.join(map(str, place))}]"

    def __getitem__(self, index):
        with self.watch.lock:
            by = self.watch.access(False)
            if (place := self._place(index, by)) is None:
                return self.data.dtype.type(0)
            if not self.written[place] and not by.atomic:
                what = f"{by} reads {self._element(place)}, which nobody has written"
                self.watch.tell("uninitialised", by, what, self.name)
            self._race(place, by, [self.last_store[place]] if place in self.last_store else [])
            loads = self.last_loads.setdefault(place, [])
            loads[:] = [one for one in loads if one.number != by.number][-3:] + [by]
            return self.data[place]

    def __setitem__(self, index, value) -> None:
        with self.watch.lock:
            by = self.watch.access(True)
            if (place := self._place(index, by)) is None:
                return
            before = [self.last_store[place]] if place in self.last_store else []
            self._race(place, by, before + self.last_loads.get(place, []))
            self.last_store[place] = by
            self.written[place] = self.stored[place] = True
            self.data[place] = value

    def _race(self, place: tuple, by: Access, others: list[Access]) -> None:
        for other in others:
            if not by.collides(other):
                continue
            does, did = (
                ("changes" if one.atomic else "writes") if one.store else "reads"
                for one in (by, other)
            )
            at = "" if other.line in (None, by.line) else f" (line {other.line})"
            what = f"{by} {does} {self._element(place)} while {other} {did} it{at}: "
            if by.block != other.block:
                what += "nothing orders blocks; an atomic operation or a second launch would"
                self.watch.tell("race between blocks", by, what, self.name, other.line)
            else:
                what += "there is no cuda.syncthreads() between"
                self.watch.tell("race", by, what, self.name, other.line)
            return


def _short(place: tuple) -> str:
    return "({},{},{})".format(*place)


def prepare(watch: Watch) -> None:
    """Have Numba's simulator tell of shared arrays, barriers and atomic operations."""
    from numba.cuda.simulator import kernel, kernelapi

    array, wait = kernelapi.FakeCUDAShared.array, kernel.BlockThread.syncthreads

    def shared_array(self, shape, dtype, alignment=None):
        with watch.lock:
            data = array(self, shape, dtype, alignment) if shape == 0 else None
            block, line = tuple(threading.current_thread().blockIdx), watch.line()  # type: ignore
            key = block, line
            if key not in watch.shared:
                if data is None:
                    kind = np.dtype(str(dtype)) if not hasattr(dtype, "itemsize") else dtype
                    data = np.zeros(shape, kind)
                name = _assigned(watch.file, line) or "a shared array"
                watch.shared[key] = Watched(name, data, watch, True, True)
            return watch.shared[key]

    def syncthreads(self):
        with watch.lock:
            self.passed = [*getattr(self, "passed", []), watch.line()]
        wait(self)

    def syncwarp(self, mask=None):
        t: Any = threading.current_thread()
        t.warp_barriers = getattr(t, "warp_barriers", 0) + 1

    def atomically(method):
        def atomic(*args):
            t: Any = threading.current_thread()
            t.atomic = True
            try:
                return method(*args)
            finally:
                t.atomic = False

        return atomic

    run = kernel.BlockManager.run
    start = kernel.BlockThread.__init__

    def started(self, f, manager, *rest):
        start(self, f, manager, *rest)
        manager.started = [*getattr(manager, "started", []), self]

    def block(self, grid_point, *args):
        run(self, grid_point, *args)
        watch.outcome.blocks += 1
        _look_at_barriers(watch, self.started)

    for owner, name, method in (
        (kernelapi.FakeCUDAShared, "array", shared_array),
        (kernelapi.FakeCUDAModule, "syncwarp", syncwarp),
        (kernel.BlockThread, "syncthreads", syncthreads),
        (kernel.BlockThread, "__init__", started),
        (kernel.BlockManager, "run", block),
    ):
        setattr(owner, name, method)
    for name, method in vars(kernelapi.FakeCUDAAtomic).copy().items():
        if not name.startswith("_"):
            setattr(kernelapi.FakeCUDAAtomic, name, atomically(method))


def _assigned(file: str, line: int | None) -> str:
    """The name on the left of an assignment in this line."""
    text = Path(file).read_text().split("\n")[line - 1] if line else ""
    left, equals, _ = text.partition("=")
    return left.strip() if equals and left.strip().isidentifier() else ""


def _look_at_barriers(watch: Watch, threads: list) -> None:
    """Whether all threads of a block passed the same barriers."""
    passed = [getattr(t, "passed", []) for t in threads]
    most = max(map(len, passed), default=0)
    watch.outcome.barriers += most
    for i in range(most):
        lines = [lines[i] if i < len(lines) else None for lines in passed]
        there = [t for t, line in zip(threads, lines, strict=True) if line is not None]
        absent = [t for t, line in zip(threads, lines, strict=True) if line is None]
        first = next(line for line in lines if line is not None)
        other = next((line for line in lines if line not in (None, first)), None)
        who = Access(
            tuple(there[0].blockIdx), tuple(there[0].threadIdx), 0, 0, 0, first, False, False
        )
        if absent:
            what = (
                f"cuda.syncthreads() is reached by {len(there)} of the block's {len(threads)} "
                f"threads only; thread {_short(tuple(absent[0].threadIdx))} ends without it"
            )
            watch.tell("barrier", who, what)
            return
        if other is not None:
            late = there[lines.index(other)]
            what = (
                f"{who} waits at this barrier while thread {_short(tuple(late.threadIdx))} waits "
                f"at that of line {other}"
            )
            watch.tell("barrier", who, what, None, other)
            return


def load(job: NumbaJob, outcome: NumbaOutcome):
    """The kernel of the file, by its name or because there is but one; None, and a reason."""
    spec = importlib.util.spec_from_file_location("kernel_file", job.file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = {
        name: value
        for name, value in vars(module).items()
        if type(value).__name__ == "FakeCUDAKernel" and not value._device
    }
    if job.kernel is None and len(found) != 1:
        outcome.refused = f"the file has the kernels {', '.join(found) or '(none)'}; name one"
        return None
    name = job.kernel or next(iter(found))
    if name not in found:
        outcome.refused = f"the file has no kernel {name}; it has {', '.join(found) or 'none'}"
        return None
    outcome.kernel = name
    return found[name]


def main(folder: Path) -> None:
    """Run the job of a folder."""
    job: NumbaJob = pickle.loads((folder / "job.pickle").read_bytes())
    outcome, finished = NumbaOutcome(), threading.Event()
    watch = Watch(job.file, outcome)
    arrays: dict[str, Watched] = {}

    def end() -> None:
        outcome.arrays = {name: array.data for name, array in arrays.items()}
        outcome.written = {name: array.stored for name, array in arrays.items()}
        (folder / "part").write_bytes(pickle.dumps(outcome))
        os.replace(folder / "part", folder / "outcome.pickle")
        os._exit(0)  # the simulator's threads may go on for ever

    def limit() -> None:
        if not finished.wait(job.seconds):
            with watch.lock:
                _stopped(watch)
                end()

    prepare(watch)
    try:
        kernel = load(job, outcome)
        if kernel is not None:
            _launch(job, kernel, arrays, watch, limit)
    except Exception as error:  # noqa: BLE001 (a student's file may raise anything)
        _failed(watch, error)
    finished.set()
    with watch.lock:
        end()


def _launch(job: NumbaJob, kernel, arrays: dict[str, Watched], watch: Watch, limit) -> None:
    code = kernel.fn.__code__
    names = code.co_varnames[: code.co_argcount]
    if missing := [name for name in names if name not in job.args]:
        watch.outcome.refused = f"the kernel's argument {missing[0]} is not given"
        return
    if unknown := [name for name in job.args if name not in names]:
        takes = ", ".join(names)
        watch.outcome.refused = f"the kernel has no argument {unknown[0]}; it takes {takes}"
        return
    given = []
    for name in names:
        value = job.args[name]
        if isinstance(value, np.ndarray):
            arrays[name] = Watched(name, value, watch, name in job.empty)
            value = arrays[name]
        given.append(value)
    threading.Thread(target=limit, daemon=True).start()
    kernel[job.grid, job.block, 0, job.shared](*given)


def _stopped(watch: Watch) -> None:
    """The time is over: what a thread of the block is doing."""
    frames = sys._current_frames()
    for t in threading.enumerate():
        frame = frames.get(t.ident or 0) if hasattr(t, "threadIdx") else None
        while frame is not None and frame.f_code.co_filename != watch.file:
            frame = frame.f_back
        if frame is not None:
            at, block = tuple(t.threadIdx), tuple(t.blockIdx)  # type: ignore[attr-defined]
            by = Access(block, at, 0, 0, 0, frame.f_lineno, False, False)
            watch.tell("endless loop", by, f"{by} still runs when the time is over")
            return
    watch.outcome.remarks.append("the launch did not end in time")


def _failed(watch: Watch, error: Exception) -> None:
    """An exception of the file or of one of its threads, as a fault."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == watch.file]
    line = frames[-1].lineno if frames else getattr(error, "lineno", None)
    kind = "division" if isinstance(error, ZeroDivisionError) else "crash"
    what = f"{type(error).__name__}: {error}".replace("tid=", "thread ").replace("ctaid=", "block ")
    by = Access((0, 0, 0), (0, 0, 0), 0, 0, 0, line, False, False)
    watch.tell(kind, by, what)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
