"""A kernel of one's own, run and looked at: `check` answers what is wrong with it, and where.

>>> report = cuda.check("add.cu", "add", grid=4, block=256, args=dict(x=x, y=y, n=1000))
>>> print(report)
kernel add of add.cu: 1 fault
  line 3: thread (232,0,0) of block (3,0,0) reads x[1000], but x has 1000 elements

The kernel runs in a process of its own, so a notebook lives on. It runs several times: once while
every access of memory is looked at, then under other orders of blocks, warps and threads.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minires.arguments import real
from minires.cuda import host, textbook
from minires.cuda.checking import build
from minires.cuda.checking.compare import compare, differ
from minires.cuda.checking.counts import requests
from minires.cuda.checking.job import (
    ARRAY,
    DYNAMIC,
    OBJECT,
    SHARED_ARRAY,
    Job,
    Memory,
    Outcome,
    Run,
)
from minires.cuda.checking.numba_front import check_numba
from minires.cuda.checking.program import check_program
from minires.cuda.checking.report import KINDS, Fault, Report, Requests
from minires.cuda.checking.sentences import Teller
from minires.cuda.parameter import LaunchError
from minires.cuda.signature import Signature, kernels, parse, read_source

__all__ = ["KINDS", "Empty", "Fault", "Report", "Requests", "check"]

MOST_STATIC_SHARED = 48 << 10
RUNS = [
    Run(shadow=True),
    *(Run(seed=seed, preempt=preempt) for seed, preempt in ((1, 0), (2, 61), (3, 7))),
    Run(tally=True),
]
"""Faults are looked for first; then three other orders; then requests are counted."""


@dataclass(frozen=True)
class Empty:
    """An array as cudaMalloc leaves it: nothing is written there yet, and nobody may read it."""

    shape: Any
    dtype: Any = np.float32


def check(
    path_or_source: str | Path | Callable,
    kernel: str | None = None,
    grid: Any = 1,
    block: Any = 1,
    args: Any = None,
    expect: dict[str, Any] | None = None,
    seconds: float = 10,
    shared: int = 0,
) -> Report:
    """Run a kernel, or a whole program, look at all it does, and tell what is wrong.

    A .cu file with a function main is run as a program, unless `kernel` names one of its kernels.

    Parameters
    ----------
    path_or_source : str, Path or function
        A .cu file, or its text; or a .py file with `@cuda.jit` functions, or such a function, which
        Numba's simulator runs (see `numba_front`).
    kernel : str, optional
        Its name, a template's with arguments: ``"scale<float>"``. Not needed if the file has one.
    grid, block : int or tuple of up to 3 ints
    args : dict, or list of str
        By the names of the kernel's parameters: arrays, `Empty` ones, and numbers. Arrays are
        copied, never changed. __constant__ and __device__ variables may be given here, too. For a
        whole program a list: its words on the command line.
    expect : dict, optional
        What arrays must hold afterwards, by name.
    seconds : float
        How long a run may take before it counts as endless.
    shared : int
        Bytes of dynamic shared memory.

    Returns
    -------
    Report
    """
    real("check", "seconds", seconds, above=0)
    if callable(path_or_source) or str(path_or_source).endswith(".py"):
        given = args or {}
        empty = {name: _made(value) for name, value in given.items() if isinstance(value, Empty)}
        return check_numba(
            path_or_source,
            kernel,
            _shape(grid),
            _shape(block),
            given,
            expect or {},
            seconds,
            shared,
            empty,
        )
    text = str(path_or_source)
    is_source = "\n" in text or "__global__" in text
    path = Path("kernel.cu" if is_source else path_or_source)
    source = text if is_source else read_source(path)
    whole = kernel is None and textbook.is_program(source)
    report = Report(path.name, "" if whole else kernel or "?", source)
    if why := host.problem():
        raise RuntimeError(f"the emulator does not work here: {why}")
    try:
        if whole:
            check_program(report, path, [str(word) for word in args or []], seconds)
        else:
            given, wanted = dict(args or {}), expect or {}
            _check(
                report, path, kernel, _shape(grid), _shape(block), given, wanted, seconds, shared
            )
    except textbook.NotThere as missing:
        what = str(missing).partition(": ")[2]
        report.faults.append(Fault("compile", missing.line, what, checker="compiler"))
    except build.DoesNotCompile as error:
        report.faults.append(Fault("compile", error.line or None, error.what, checker="compiler"))
    except LaunchError as error:
        report.faults.append(Fault("launch", None, str(error), checker="launch"))
    return report


def _shape(given) -> tuple:
    return tuple(given) if isinstance(given, tuple | list) else (given,)


def _check(report, path, kernel, grid, block, args, expect, seconds, shared) -> None:
    signature = parse(report.source, _named(report, kernel), report.file)
    folder = path.resolve().parent
    library = build.compile_watched(report.file, report.source, {kernel: signature}, folder)
    variables = build.variables(library)
    own = {v.name for v in variables if not v.is_shared} - {p.name for p in signature.parameters}
    bound = signature.bind({name: _made(args[name]) for name in args if name not in own})
    signature.check_shape(grid, block, shared)
    grid, block = (*grid, 1, 1)[:3], (*block, 1, 1)[:3]
    signature.check_threads(block, _most_threads(signature))
    _check_static(signature, variables)
    arrays = {p.name: bound[p.name] for p in signature.pointers if bound[p.name] is not None}
    memory = [
        Memory(name, array.nbytes, array.itemsize, ARRAY, i, isinstance(args[name], Empty))
        for i, (name, array) in enumerate(arrays.items())
    ]
    memory += [
        Memory(v.name, v.size, None, SHARED_ARRAY if v.is_shared else OBJECT, v.place, v.is_shared)
        for v in variables
    ]
    dynamic = textbook.dynamic_arrays(report.source) or ["dynamic shared memory"]
    memory.append(Memory(dynamic[0], shared, None, DYNAMIC, 0, True))
    values = [None if p.name in arrays else _bytes(bound[p.name]) for p in signature.parameters]
    job = Job(
        str(library),
        "minires_kernel_0",
        grid,
        block,
        shared,
        list(arrays.values()),
        values,
        memory,
        _given_objects(memory, {name: args[name] for name in args if name in own}),
        RUNS,
        max(1, round(seconds)),
    )
    outcomes, report.printed = _run(job, seconds)
    _tell(report, job, outcomes, library, expect, seconds)


def _named(report: Report, kernel: str | None) -> str:
    """The kernel's name, or that of the only one."""
    names = kernels(report.source)
    if kernel is None and len(names) != 1:
        several = ", ".join(names) or "(none)"
        raise LaunchError(f"{report.file} has the kernels {several}; name one")
    report.kernel = kernel or names[0]
    return report.kernel


def _check_static(signature: Signature, variables: list[build.Variable]) -> None:
    name = signature.expression.partition("<")[0]
    used = sum(v.size for v in variables if v.is_shared and v.kernel == name)
    if used > MOST_STATIC_SHARED:
        raise LaunchError(
            f"kernel {name} declares {used} bytes of static shared memory, but a block has "
            f"{MOST_STATIC_SHARED}; more is dynamic"
        )


def _given_objects(memory: list[Memory], given: dict) -> list[tuple[int, bytes]]:
    """The __constant__ and __device__ variables that were given: which, and their bytes."""
    found = []
    for i, m in enumerate(memory):
        if m.space == OBJECT and m.name in given:
            data = np.ascontiguousarray(given[m.name]).tobytes()
            if len(data) != m.size:
                raise LaunchError(f"{m.name} has {m.size} bytes, but {len(data)} were given")
            found.append((i, data))
    return found


def _most_threads(signature: Signature) -> int:
    """What __launch_bounds__ says, where it says a number."""
    first = signature.bounds.partition(",")[0].strip()
    return int(first) if first.isdigit() else 1024


def _made(value):
    """An argument as it is; for an `Empty` one an array of NaN."""
    if not isinstance(value, Empty):
        return value
    array = np.empty(value.shape, value.dtype)
    array.reshape(-1).view(np.uint8)[:] = 0xFF  # NaN
    return array


def _bytes(value) -> bytes:
    return b"\0" * 8 if value is None else value.tobytes().ljust(8, b"\0")


def _run(job: Job, seconds: float) -> tuple[list[Outcome], str]:
    """Execute a job in a process of its own -> the outcomes of its runs, and what it printed."""
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        folder = Path(place)
        (folder / "job.pickle").write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", "minires.cuda.checking.worker", place]
        with open(folder / "printed", "w+b") as printed, open(folder / "errors", "w+b") as errors:
            process = subprocess.Popen(
                command, stdout=printed, stderr=errors, env={**os.environ, "PYTHONPATH": path}
            )
            try:
                process.wait(len(job.runs) * (seconds + 2) + 20)
            except subprocess.TimeoutExpired:
                pass
            finally:
                process.kill()
                process.wait()
        outcomes = []
        for i in range(len(job.runs)):
            if (result := folder / f"result-{i}.pickle").exists():
                outcomes.append(pickle.loads(result.read_bytes()))
        if not outcomes:
            why = (folder / "errors").read_text().strip().split("\n")[-1]
            outcomes.append(Outcome(stopped=f"the process ended ({process.returncode}): {why}"))
        return outcomes, (folder / "printed").read_text(errors="replace")


def _tell(report, job, outcomes, library, expect, seconds) -> None:
    names = [m.name for m in job.memory if m.space == ARRAY]
    places = {part["where"] for o in outcomes for e in o.events for part in (e["one"], e["other"])}
    places |= {o.where for o in outcomes} | {row["where"] for o in outcomes for row in o.rows}
    lines = build.lines(library, report.file, sorted(places - {0}))
    teller = Teller(job.grid, job.block, job.memory, lines)
    first = outcomes[0]
    report.faults += teller.faults(first)
    report.arrays = dict(zip(names, first.arrays, strict=False))
    if first.stopped:
        return
    report.faults += compare(report.arrays, first.written, expect, job)
    racing = any(fault.kind.startswith("race") for fault in report.faults)
    for outcome, run in zip(outcomes[1:], job.runs[1:], strict=False):
        if outcome.stopped and run.seed:
            report.remarks.append(f"order {run.seed} of threads did not end within {seconds:g} s")
        elif run.seed and not racing:
            other = dict(zip(names, outcome.arrays, strict=True))
            if (fault := differ(report.arrays, other)) is not None:
                report.faults.append(fault)
                racing = True
        elif run.tally and not outcome.stopped:
            report.blocks, report.barriers = outcome.blocks, outcome.barriers
            report.requests = requests(job.memory, outcome.rows, lines)
