"""The arithmetic of minires: one folder per operation, one file per way to compute it.

A folder's `__init__.py` is the contract: the mathematics, the shapes and dtypes, what `saved` holds
and how the backward is derived. Every file beside it fulfils that contract with pure functions on
raw arrays

    forward(x, w, ...) -> (y, saved)
    backward(dy, saved, needs) -> (dx, dw, ...)

and knows no Tensor, no graph and no module. All arrays come C-contiguous; `saved` is a tuple of all
that the backward needs. The backward returns a tuple with one gradient per array input. `needs` has
a bool for each: where it is False, None may stand in that place instead of a gradient that nobody
asked for. It must not write into `dy`. What it returns may be `dy` itself or a view of it, but
never an array that a later call overwrites. What is in `saved` is between a file's own forward and
backward.

`reference.py` is the definition, in array code that runs on NumPy and on CuPy arrays alike. The
other files are faster ways to compute the same; where a backend has none, the reference serves.

What several files need stands beside the folders: `arrays.py` for the references; for Numba
`vectors.py` (registers by name), `register_tile.py` (the inner loop of every convolution), `jit.py`
(compile once per machine) and `memory.py` (the pool); for GPUs `grid.py` and `numba_grid.py` (how
kernels are launched), `tables.py` (one launch for many arrays) and `traffic.py` (what a launch must
move to and from memory). `ladders.py` finds the ladders: a kernel in several versions, from the
naive one up, in the folder `ladder/` of its operation.
"""

import importlib
from functools import cache
from pathlib import Path
from types import ModuleType

FILES = {
    "numpy": "reference",
    "numba": "numba_cpu",
    "cupy": "cuda",
    "numba_cuda": "numba_cuda",
    "emulator": "cuda",
}
"""Backend name -> the file in an operation's folder that computes on it."""

ROOT = Path(__file__).parent


def operations() -> list[str]:
    """The names of all operations: the folders that hold a `reference.py`."""
    return sorted(path.parent.name for path in ROOT.glob("*/reference.py"))


def own_kernels(backend: str) -> list[str]:
    """The operations for which `backend` has a file of its own; `numpy` has all of them."""
    return [op for op in operations() if backend == "numpy" or has_own(op, backend)]


@cache
def has_own(op: str, backend: str) -> bool:
    """Whether `backend` has a file of its own for `op` beside the reference."""
    return FILES[backend] != "reference" and (ROOT / op / f"{FILES[backend]}.py").exists()


@cache
def load(op: str, backend: str) -> ModuleType:
    """Find the module that computes `op` on `backend`; the reference where it has none of its own.

    Raises
    ------
    LookupError
        If there is no such operation or no such backend.
    """
    if backend not in FILES:
        raise LookupError(f"no backend is named {backend!r}; there are {', '.join(FILES)}")
    if not (ROOT / op / "reference.py").exists():
        raise LookupError(f"kernels/ has no operation {op!r}; there are {', '.join(operations())}")
    file = FILES[backend] if has_own(op, backend) else "reference"
    return importlib.import_module(f"{__name__}.{op}.{file}")
