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

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent


def operations() -> list[str]:
    """The names of all operations: the folders that hold a `reference.py`."""
    return own_kernels("reference")


def own_kernels(file: str) -> list[str]:
    """The operations that have a file of this name, such as "cuda": without ``.py``."""
    return sorted(path.parent.name for path in ROOT.glob(f"*/{file}.py"))


@cache
def has_own(op: str, file: str, package: str = __name__) -> bool:
    """Whether the folder of `op` in `package` has this file beside the reference."""
    return file != "reference" and (_folder(package) / op / f"{file}.py").exists()


@cache
def load(op: str, file: str, package: str = __name__) -> ModuleType:
    """Find the module that computes `op`: the file of this name, or the reference if it is missing.

    Parameters
    ----------
    op : str
    file : str
        Such as "reference", "numba_cpu" or "cuda": a name that at least one operation has.
    package : str
        Where the folders of operations lie that hold such files; the reference lies here.

    Raises
    ------
    LookupError
        If there is no such operation, no such file in any of them, or no such package.
    """
    if not (ROOT / op / "reference.py").exists():
        raise LookupError(f"kernels/ has no operation {op!r}; there are {', '.join(operations())}")
    if has_own(op, file, package):
        return importlib.import_module(f"{package}.{op}.{file}")
    if not any(_folder(package).glob(f"*/{file}.py")):
        raise LookupError(f"no operation has a file {file}.py in the package {package}")
    return importlib.import_module(f"{__name__}.{op}.reference")


def _folder(package: str) -> Path:
    if package == __name__:
        return ROOT
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"there is no package {package} with folders of operations")
    return Path(spec.submodule_search_locations[0])
