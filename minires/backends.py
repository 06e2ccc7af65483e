"""The table of backends: what each is called, where its kernels lie, what it can do, if it works.

    numpy        the reference: array code, NumPy and BLAS
    numba        CPU, fast: Numba kernels on NumPy arrays
    cupy         GPU: CUDA C++ kernels through CuPy
    numba_cuda   GPU: Numba-CUDA kernels on CuPy arrays; or Numba's simulator of a GPU, in Python
    emulator     the CUDA C++ kernels, executed on the CPU

Who wants to know something of a backend asks its entry. A new backend is an entry and its kernel
files; `register` adds one from outside, here with kernels in my_kernels/relu/mine.py and so on:

>>> register("mine", folder="my_kernels")
>>> mr.use("mine")

Nothing of a backend is imported before its entry is asked.

See docs/decisions/models_and_data.md, "One table for each kind".
"""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from minires import kernels
from minires.cuda import host
from minires.hints import asked_in

INSTALL_FOR_GPU = "pip install -e '.[cuda12]' or '.[cuda13]' in the repository"


def works() -> None:
    """The problem of a backend that has none."""


def numpy_arrays() -> ModuleType:
    """The arrays of a backend that computes on the host."""
    return np


@dataclass(frozen=True)
class Backend:
    """One backend.

    Attributes
    ----------
    name : str
    kernel_file : str
        The file in an operation's folder that computes on it, without ``.py``; the reference serves
        where there is none.
    package : str
        The package whose folders these are.
    like : str
        The backend whose kernels serve where it has none of its own; if empty, the references.
    arrays : callable
        Returns the module of its arrays: numpy or cupy.
    problem : callable
        Returns why it does not work here and what to install; None if it works.
    on_gpu : bool
        Whether it computes on a GPU, not on the host.
    tf32, half_storage, graphs : bool
        Whether it can multiply in tf32; whether its fused operations can keep images in float16 or
        bfloat16; whether its steps can be captured by `minires.cuda.graph`.
    may_be_default : bool
        Whether ``"auto"`` may choose it.
    remark : callable
        Returns what else to say of it where it works.
    check : callable, optional
        Called before each kernel; raises if this process cannot run them.
    """

    name: str
    kernel_file: str = "reference"
    package: str = kernels.__name__
    like: str = ""
    arrays: Callable[[], ModuleType] = numpy_arrays
    problem: Callable[[], str | None] = works
    on_gpu: bool = False
    tf32: bool = False
    half_storage: bool = False
    graphs: bool = False
    may_be_default: bool = True
    remark: Callable[[], str] = str
    check: Callable[[], None] | None = None

    def has_kernel(self, op: str) -> bool:
        """Whether it has a file of its own for operation `op`."""
        return kernels.has_own(op, self.kernel_file, self.package)

    def own_kernels(self) -> list[str]:
        """The operations for which it has a file of its own; the reference has all."""
        if self.kernel_file == "reference":
            return kernels.operations()
        return [op for op in kernels.operations() if self.has_kernel(op)]

    def kernel(self, op: str) -> ModuleType:
        """The module that computes operation `op`; a LookupError if there is no such operation."""
        if self.check is not None:
            self.check()
        if not self.like:
            return kernels.load(op, self.kernel_file, self.package)
        if self.has_kernel(op):
            module = kernels.load(op, self.kernel_file, self.package)
            return kernels.looked_at(op, module)()
        if self.is_bypassing(op):
            kernels.refuse(op, next(part for part in kernels.PARTS[op] if self.owns(part)))
        return get(self.like).kernel(op)

    def owns(self, *ops: str) -> bool:
        """Whether it is from outside and has a file for one of these, which then must be used."""
        return bool(self.like) and any(map(self.has_kernel, ops))

    def is_bypassing(self, op: str) -> bool:
        """Whether the fused operation `op` would go around a file that it has for a part."""
        return self.owns(*kernels.PARTS.get(op, ())) and not self.has_kernel(op)


def _check_threads() -> None:
    """Raise if Numba's threads belong to the process that this one was forked from."""
    jit = sys.modules.get(f"{kernels.__name__}.jit")
    check = getattr(jit, "check_process", None)  # another thread may be about to import the file
    if check is not None:
        check()


def simulated() -> bool:
    """Whether Numba simulates a GPU on the CPU: NUMBA_ENABLE_CUDASIM is set."""
    return bool(importlib.import_module("numba").config.ENABLE_CUDASIM)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def _cupy_arrays() -> ModuleType:
    return importlib.import_module("cupy")


def _numba_cuda_arrays() -> ModuleType:
    return np if simulated() or not _installed("cupy") else _cupy_arrays()


def _problem_of_cupy() -> str | None:
    if not _installed("cupy"):
        return f"CuPy is not installed ({INSTALL_FOR_GPU})"
    try:
        available = importlib.import_module("cupy").cuda.is_available()
    except Exception as error:  # a CuPy for another CUDA fails in many ways
        return f"CuPy is installed but cannot be imported ({error})"
    if not available:
        return "CuPy is installed but finds no CUDA GPU (does `nvidia-smi` show one?)"
    return None


def _problem_of_importing_numba() -> str | None:
    if not _installed("numba"):
        return "Numba is not installed (pip install numba)"
    try:
        importlib.import_module("numba")
    except Exception as error:  # a Numba for another NumPy
        return f"Numba is installed but cannot be imported ({error})"
    return None


def _problem_of_numba() -> str | None:
    if why := _problem_of_importing_numba():
        return why
    if importlib.import_module("numba").config.DISABLE_JIT:
        return "NUMBA_DISABLE_JIT is set, but these kernels cannot run as Python"
    return None


def _problem_of_numba_cuda() -> str | None:
    if why := _problem_of_importing_numba():
        return why
    if simulated():
        return None
    if not _installed("numba_cuda"):
        return f"numba-cuda is not installed ({INSTALL_FOR_GPU})"
    try:
        available = importlib.import_module("numba.cuda").is_available()
    except Exception as error:  # a numba-cuda for another Numba or another CUDA
        return f"numba-cuda is installed but cannot be imported ({error})"
    if not available:
        return (
            "numba-cuda is installed but finds no CUDA GPU (with NUMBA_ENABLE_CUDASIM=1 its "
            "simulator runs small kernels without one)"
        )
    return None


def _remark_on_numba_cuda() -> str:
    return "in Numba's simulator" if simulated() else ""


BACKENDS = {
    entry.name: entry
    for entry in (
        Backend(
            "cupy",
            kernel_file="cuda",
            arrays=_cupy_arrays,
            problem=_problem_of_cupy,
            on_gpu=True,
            tf32=True,
            half_storage=True,
            graphs=True,
        ),
        Backend("numba", "numba_cpu", problem=_problem_of_numba, check=_check_threads),
        Backend(
            "numba_cuda",
            kernel_file="numba_cuda",
            arrays=_numba_cuda_arrays,
            problem=_problem_of_numba_cuda,
            on_gpu=True,
            may_be_default=False,  # it is made to be read
            remark=_remark_on_numba_cuda,
        ),
        Backend("numpy", half_storage=True),
        Backend(
            "emulator",
            "cuda",
            problem=host.problem,
            tf32=True,
            half_storage=True,
            graphs=True,
        ),
    )
}
"""Name -> backend, the fastest first: the order in which "auto" looks for one that works."""


BUILT_IN = tuple(BACKENDS)
"""Those that cannot be removed."""

_ADDED: dict[str, kernels.AddedFolder] = {}
"""Backend -> the folder that `register` has added for it."""


def register(
    backend: Backend | str,
    *,
    kernel_file: str | None = None,
    folder: str | Path | None = None,
    package: str = kernels.__name__,
    like: str = "numpy",
) -> Backend:
    """Add a backend to the end of the table; returns it.

    Parameters
    ----------
    backend : str or Backend
        Its name; or a whole entry, with no further argument.
    kernel_file : str, optional
        What its kernels are called, without ``.py``; its name, if not given.
    folder : str or Path, optional
        Where they lie, as relu/mine.py and so on: it is given to `kernels.add_folder`.
    package : str
        The package where they lie instead, if it can be imported.
    like : str
        The backend on whose arrays it computes, and whose kernels serve where it has none.

    Raises
    ------
    ValueError
        If the name is taken or is no name, if there is no backend `like`, or no kernel at all.
    TypeError
        If `backend` is neither name nor Backend.
    """
    name = backend if isinstance(backend, str) else getattr(backend, "name", None)
    if not isinstance(backend, Backend | str):
        raise TypeError(f"register: expected a Backend, got a {type(backend).__name__}")
    if not isinstance(name, str) or not name.isidentifier() or name == "auto":
        raise ValueError(f"register: {name!r} cannot be a backend's name")
    if name in BACKENDS:
        raise ValueError(
            f"register: there is already a backend named {name!r}"
            + f"; unregister({name!r}) takes it away" * (name not in BUILT_IN)
        )
    if isinstance(backend, str):
        backend = _on_top_of(get(like), name, kernel_file or name, folder, package)
    BACKENDS[name] = backend
    return backend


def _on_top_of(base: Backend, name: str, file: str, folder, package: str) -> Backend:
    """An entry for kernels from outside, on the arrays of the backend `base`."""
    before = list(kernels.own.FOLDERS)
    added = kernels.add_folder(folder) if folder is not None else None
    if added is not None and added.path in before:
        added = None  # whoever has added it takes it away
    backend = Backend(
        name,
        file,
        package,
        like=base.name,
        arrays=base.arrays,
        problem=base.problem,
        on_gpu=base.on_gpu,
        may_be_default=False,
        remark=lambda: f"on top of {base.name}",
    )
    try:
        missing = f"no operation has a file {file}.py" if not backend.own_kernels() else ""
    except LookupError as error:
        missing = str(error)
    if missing:
        if added is not None:
            added.remove()
        place = package if folder is None and package != kernels.__name__ else folder
        where = place or "a folder that kernels.add_folder has added"
        raise ValueError(
            f"register: {missing}; backend {name!r} needs at least one, such as relu/{file}.py in "
            f"{where}"
        )
    if added is not None:
        _ADDED[name] = added
    return backend


def unregister(name: str) -> None:
    """Take a backend that `register` has added away, with its folder.

    Raises
    ------
    ValueError
        If it is none of them, or another backend stands on top of it.
    """
    if name in BUILT_IN or name not in BACKENDS:
        raise ValueError(f"unregister: {name!r} is no backend that register has added")
    if above := [entry.name for entry in BACKENDS.values() if entry.like == name]:
        raise ValueError(f"unregister: backend {above[0]!r} stands on top of {name!r}")
    del BACKENDS[name]
    if (folder := _ADDED.pop(name, None)) is not None:
        folder.remove()


def get(name: str) -> Backend:
    """The backend of this name; a ValueError if there is none."""
    if name not in BACKENDS:
        raise ValueError(f"no backend is named {name!r}; there are {', '.join(BACKENDS)}")
    return BACKENDS[name]


def able_to(ability: str) -> list[str]:
    """The names of the backends with an ability: "tf32", "half_storage" or "graphs"."""
    return [name for name, backend in BACKENDS.items() if getattr(backend, ability)]


__getattr__ = asked_in("backends")
