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

Operations of your own come from outside: `add_folder("my_kernels")` adds folders like these, and
`with replaced("conv2d", my_module):` has yours compute instead of these (docs/own.md).
"""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

from minires.kernels import own
from minires.kernels.own import AddedFolder as AddedFolder
from minires.kernels.own import KernelFileError as KernelFileError
from minires.kernels.replacing import PARTS as PARTS
from minires.kernels.replacing import is_bypassing as is_bypassing
from minires.kernels.replacing import is_replaced as is_replaced
from minires.kernels.replacing import looked_at as looked_at
from minires.kernels.replacing import refuse as refuse
from minires.kernels.replacing import replaced as replaced
from minires.kernels.replacing import replacement as replacement

ROOT = Path(__file__).parent


def operations() -> list[str]:
    """The names of all operations: the folders that hold a `reference.py`."""
    return own_kernels("reference")


def own_kernels(file: str) -> list[str]:
    """The operations that have a file of this name, such as "cuda": without ``.py``."""
    return own.operations(file)


@cache
def has_own(op: str, file: str, package: str = __name__) -> bool:
    """Whether the folder of `op` in `package` has this file beside the reference."""
    return file != "reference" and _file(op, file, package) is not None


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
    KernelFileError
        If a file from outside fails, or lacks `forward` or `backward`.
    """
    reference = own.find(op, "reference")
    if reference is None:
        raise LookupError(own.no_operation(op))
    if has_own(op, file, package):
        return _module(f"{package}.{op}.{file}", _file(op, file, package))
    if not any(any(root.glob(f"*/{file}.py")) for root in _roots(package)):
        raise LookupError(f"no operation has a file {file}.py in the package {package}")
    return _module(f"{__name__}.{op}.reference", reference)


def add_folder(path: str | Path) -> AddedFolder:
    """Add a folder with folders of operations of your own, like those of `kernels/`.

    Parameters
    ----------
    path : str or Path
        It holds ``OP/reference.py`` for each new operation, and whatever else computes it:
        numba_cpu.py, cuda.cu with cuda.py, numba_cuda.py, `__init__.py` with the contract. A folder
        with the name of an operation that there is already may add files to it. A folder that was
        added before is read anew.

    Returns
    -------
    AddedFolder
        Its `remove()`, or the end of a `with` block, takes the operations away again.

    Raises
    ------
    KernelFileError
        If there is no such folder or no operation in it; if a file would stand for one that is
        there already; if a file is no Python code, or `forward` or `backward` is missing.
    """
    path = Path(path).expanduser().resolve()
    if path in own.FOLDERS:
        remove_folder(path)
    try:
        own.add(path)
    finally:
        _look_again()
    return AddedFolder(path, remove_folder)


def remove_folder(path: str | Path) -> None:
    """Undo `add_folder(path)`; a KernelFileError if it was not added."""
    path = Path(path).expanduser().resolve()
    if path not in own.FOLDERS:
        raise KernelFileError(f"remove_folder: {path} was not added by add_folder")
    own.remove(path)
    _look_again()


_CACHES = (has_own, load, looked_at)


def _look_again() -> None:
    """Forget which files there are."""
    for function in _CACHES:
        function.cache_clear()


def _module(name: str, path: Path) -> ModuleType:
    if path.is_relative_to(ROOT):
        return importlib.import_module(name)
    return own.imported(name, path)


def _file(op: str, file: str, package: str) -> Path | None:
    paths = (root / op / f"{file}.py" for root in _roots(package))
    return next((path for path in paths if path.is_file()), None)


def _roots(package: str) -> list[Path]:
    """The folders that hold a package's folders of operations."""
    if package == __name__:
        return own.roots()
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"there is no package {package} with folders of operations")
    return [Path(place) for place in spec.submodule_search_locations]
