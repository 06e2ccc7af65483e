"""Checks of a Numba-CUDA kernel: a function with `@cuda.jit`, run in Numba's simulator.

What it sees: accesses out of bounds, races within a block and between blocks, elements that are
read before they are written, barriers that not all threads reach, wrong results, endless loops.
What it cannot see is said in the report's remarks.
"""

import inspect
import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from minires.cuda.checking.compare import compare
from minires.cuda.checking.job import ARRAY, Memory, NumbaJob, NumbaOutcome
from minires.cuda.checking.report import Fault, Report
from minires.cuda.parameter import LaunchError

BLIND = (
    "In Numba's simulator nothing is seen of registers, sectors and bank conflicts, of integer "
    "overflow, of cuda.local.array, of slices of arrays, and of warps that run in step."
)
PRELUDE = "import math\n\nimport numpy as np\nfrom numba import cuda, float32, float64, int32\n\n\n"
"""What stands before a function that is given without its file."""


def check_numba(
    given: str | Path | Callable,
    kernel: str | None,
    grid: tuple,
    block: tuple,
    args: dict[str, Any],
    expect: dict[str, Any],
    seconds: float,
    shared: int,
    empty: dict[str, Any],
) -> Report:
    """Run a kernel of a .py file, or a function, and tell what is wrong; see `check`.

    `empty` are the arrays that nobody has written: their names, and arrays of NaN.
    """
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        path, source = _source(given, Path(place))
        report = Report(path.name, kernel or "?", source)
        arrays = {
            name: np.array(value, order="C") if isinstance(value, np.ndarray) else value
            for name, value in (args | empty).items()
        }
        job = NumbaJob(str(path), kernel, grid, block, arrays, {*empty}, shared, seconds)
        outcome = _run(job, Path(place))
    report.kernel = outcome.kernel
    if outcome.refused:
        report.faults.append(Fault("launch", None, outcome.refused, checker="launch"))
        return report
    report.faults = sorted(outcome.faults, key=lambda fault: fault.line or 0)
    report.arrays, report.blocks, report.barriers = outcome.arrays, outcome.blocks, outcome.barriers
    report.remarks = [*outcome.remarks, BLIND]
    if not any(fault.kind in ("endless loop", "crash", "division") for fault in report.faults):
        memory = [
            Memory(name, array.nbytes, array.itemsize, ARRAY, i, name in empty)
            for i, (name, array) in enumerate(outcome.arrays.items())
        ]
        launch: Any = SimpleNamespace(memory=memory, grid=grid, block=block)
        written = dict(enumerate(outcome.written.values()))
        report.faults += compare(outcome.arrays, written, expect, launch)
    return report


def _source(given: str | Path | Callable, place: Path) -> tuple[Path, str]:
    """The file of a kernel, and its text; a function is written into one."""
    if not callable(given):
        path = Path(given).resolve()
        try:
            return path, path.read_text("utf-8")
        except OSError as error:
            raise LaunchError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise LaunchError(f"{path}: not a text in UTF-8 ({error})") from None
    function = getattr(given, "py_func", given)
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise LaunchError(
            f"the source of {given!r:.60} is not to be found; give the path of its file"
        ) from None
    text = text if "@" in text.split("def ")[0] else f"@cuda.jit\n{text}"
    path = place / "kernel.py"
    path.write_text(PRELUDE + text)
    return path, PRELUDE + text


def _run(job: NumbaJob, folder: Path) -> NumbaOutcome:
    (folder / "job.pickle").write_bytes(pickle.dumps(job))
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, "-m", "minires.cuda.checking.numba_worker", str(folder)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, text=True
    )
    try:
        _, said = process.communicate(timeout=job.seconds + 60)
    except subprocess.TimeoutExpired:
        said = "it did not end"
    finally:
        process.kill()
        process.wait()
    if (result := folder / "outcome.pickle").exists():
        return pickle.loads(result.read_bytes())
    why = (said.strip().split("\n") or [""])[-1]
    return NumbaOutcome(refused=f"the process ended ({process.returncode}): {why}")
