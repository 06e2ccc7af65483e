"""A ladder of kernels as a table: is a version right, what does it ask of memory, how fast is it.

Without a GPU the emulator counts the requests and sectors of the CUDA C++ versions, and Numba's
simulator runs the Numba-CUDA versions, in a process of its own. With a GPU all are timed there.
"""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from minires import backend, cuda
from minires.benchmarks.clocks import CupyClock
from minires.kernels import KernelFileError, ladders
from minires.kernels.ladders import Rung

ROUNDS, RUNS = 7, 20


@dataclass
class Row:
    """What was found out about a version; None where nothing on this machine can tell it.

    Attributes
    ----------
    rung : Rung
    error : float
        The largest one, relative to the largest result.
    counts : minires.cuda.Counts
    seconds : float
        On a GPU: the median of ROUNDS means of RUNS runs.
    problem : str
        Why there is no error.
    """

    rung: Rung
    error: float | None = None
    counts: cuda.Counts | None = None
    seconds: float | None = None
    problem: str = ""


def tolerance(ladder, rung: Rung) -> float:
    """What the rung's `error` may be."""
    return ladder.TENSOR_CORE_ERROR if "tensor" in rung.title else 1e-5


def ladder_table(name: str) -> str:
    """The table of the ladder of this name.

    Raises
    ------
    LookupError
        If there is no such ladder.
    """
    ladder, rows = ladders.load(name), measure(name)
    arrays = ladder.inputs(np.random.default_rng(0), ladder.SIZE)
    least = ladder.least_bytes(*arrays)
    lines = [
        f"{name}: {ladder.flops(*arrays) / 1e6:.2f} million operations on {least / 1e3:.0f} kB, "
        f"if each is read or written once",
        "",
        f"{'version':<18}{'language':<12}{'correct':<12}{'loads':>9}{'stores':>8}"
        f"{'asked for':>12}{'sectors':>11}{'moved':>11}{'of the least':>14}{'on a GPU':>11}",
    ]
    lines.append("-" * len(lines[-1]))
    for row in rows:
        counted = f"{'':>9}{'':>8}{'':>12}{'':>11}{'':>11}{'':>14}"
        if (c := row.counts) is not None:
            sectors = c.sectors_loaded + c.sectors_stored
            counted = (
                f"{c.loads:>9,}{c.stores:>8,}{(c.bytes_loaded + c.bytes_stored) / 1e3:>9,.0f} kB"
                f"{sectors:>11,}{sectors * 32 / 1e3:>8,.0f} kB{sectors * 32 / least:>12.1f} x"
            )
        correct = "?"
        if row.error is not None:
            right = row.error <= tolerance(ladder, row.rung)
            correct = f"{'yes' if right else 'NO'}, {row.error:.0e}"
        time = f"{1e3 * row.seconds:.3f} ms" if row.seconds is not None else "-"
        lines.append(f"{row.rung.title:<18}{row.rung.language:<12}{correct:<12}{counted}{time:>11}")
    lines += ["", *_notes(ladder, rows)]
    return "\n".join(lines)


def _notes(ladder, rows: list[Row]) -> list[str]:
    notes = [
        "loads, stores: what the lanes of a warp ask for together; sectors: the pieces of 32 bytes",
        "that this touches; counted by the emulator, and what Numba-CUDA asks for is the same",
    ]
    notes += sorted({f"Numba's simulator failed: {row.problem}" for row in rows if row.problem})
    if any(row.seconds is not None for row in rows):
        return [*notes, f"on a GPU: {ladder.GPU_SIZE}, median of {ROUNDS} x {RUNS} runs"]
    why = backend.problem("cupy")
    return [*notes, f"on a GPU: not timed, {why}" if why else ""]


def measure(name: str) -> list[Row]:
    """A row for each rung."""
    ladder = ladders.load(name)
    arrays = ladder.inputs(np.random.default_rng(0), ladder.SIZE)
    rows = [Row(rung) for rung in ladders.rungs(name)]
    on_gpu = backend.problem("cupy") is None
    numba_on_gpu = on_gpu and backend.problem("numba_cuda") is None
    in_numba = [row.rung for row in rows if row.rung.language == "Numba-CUDA"]
    simulated = {} if numba_on_gpu else simulate(name, in_numba)
    for row in rows:
        is_numba = row.rung.language == "Numba-CUDA"
        if not is_numba and backend.problem("emulator") is None:
            with cuda.count() as row.counts:
                row.error = error(ladder, row.rung, arrays)
        if is_numba and not numba_on_gpu:
            row.error, row.problem = simulated.get(row.rung.path.stem), simulated.get("problem", "")
        if numba_on_gpu if is_numba else on_gpu:
            _time(ladder, row)
    return rows


def error(ladder, rung: Rung, arrays) -> float:
    """The rung's largest error, relative to the largest result."""
    exact = ladder.reference(*arrays)
    result = rung.run(*arrays)
    if getattr(result, "shape", None) != exact.shape:
        found = getattr(result, "shape", f"a {type(result).__name__}")
        raise KernelFileError(f"{rung.path}: run must return {exact.shape}, but returned {found}")
    result = backend.to_numpy(result)
    return float(np.abs(result - exact).max() / np.abs(exact).max())


def simulate(name: str, rungs: list[Rung]) -> dict:
    """The errors of Numba-CUDA rungs on a small input, in Numba's simulator; or its problem."""
    program = (
        "import json, numpy, pathlib, sys\n"
        "from minires.benchmarks.ladder import error\n"
        "from minires.kernels import ladders\n"
        "name, *paths = sys.argv[1:]\n"
        "ladder = ladders.load(name)\n"
        "arrays = ladder.inputs(numpy.random.default_rng(0), ladder.SHAPES[0])\n"
        "rungs = [ladders.rung(name, pathlib.Path(path)) for path in paths]\n"
        "print(json.dumps({r.path.stem: error(ladder, r, arrays) for r in rungs}))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, name, *(str(rung.path) for rung in rungs)],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        return {"problem": (result.stderr.strip() or "it ended without a word").splitlines()[-1]}
    return json.loads(result.stdout.splitlines()[-1])


def _time(ladder, row: Row) -> None:
    """The median of some runs on the GPU, and the error there."""
    import cupy

    host = ladder.inputs(np.random.default_rng(0), ladder.GPU_SIZE)
    arrays = [cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in host]
    exact = ladder.reference(*host)
    row.error = float(np.abs(row.rung.run(*arrays).get() - exact).max() / np.abs(exact).max())

    def run() -> None:
        for _ in range(RUNS):  # one waits for the other on the GPU, not for Python
            row.rung.run(*arrays)

    clock = CupyClock()
    row.seconds = statistics.median(clock.seconds_of(run) / RUNS for _ in range(ROUNDS))
