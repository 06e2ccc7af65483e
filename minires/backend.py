"""Which arrays, which kernels: the current backend, picked by name.

    numpy        the reference: array code, NumPy and BLAS
    numba        CPU, fast: Numba kernels on NumPy arrays
    cupy         GPU: CUDA C++ kernels through CuPy
    numba_cuda   GPU: Numba-CUDA kernels on CuPy arrays; or Numba's simulator of a GPU, in Python
    emulator     the CUDA C++ kernels, executed on the CPU

Nothing of a backend is imported before it is asked for.
"""

import importlib.util
from types import ModuleType

import numpy as np

from minires import cuda, kernels
from minires.cuda import graph, host
from minires.cuda.graph import converted as converted
from minires.cuda.graph import copied as copied
from minires.cuda.graph import refuse as refuse

BY_SPEED = ("cupy", "numba", "numba_cuda", "numpy", "emulator")
"""All backends, fastest first: the order in which `default` looks for one that works."""

TENSOR_CORES = ("cupy", "emulator")
"""Backends that can multiply in tf32."""

HALF_STORAGE = ("cupy", "emulator", "numpy")
"""Backends whose fused operations can keep images in float16 or bfloat16."""

GRAPHS = ("cupy", "emulator")
"""Backends whose steps can be captured by `minires.cuda.graph`."""

_current: str | None = None  # until the first use: `default()`, which may have to import CuPy
_generator = np.random.default_rng(0)


class BackendUnavailable(RuntimeError):
    """A backend that this machine or this version of minires cannot run; the message says why."""


def problem(name: str) -> str | None:
    """Why backend `name` does not work here and what to install; None if it works."""
    if name not in BY_SPEED:
        return f"no backend is named {name!r}; there are {', '.join(BY_SPEED)}"
    if name == "numpy":
        return None
    if name == "cupy":
        if not _installed("cupy"):
            return "CuPy is not installed (pip install 'minires[cuda12]' or 'minires[cuda13]')"
        try:
            available = importlib.import_module("cupy").cuda.is_available()
        except Exception as error:  # a CuPy for another CUDA fails in many ways
            return f"CuPy is installed but cannot be imported ({error})"
        if not available:
            return "CuPy is installed but finds no CUDA GPU (does `nvidia-smi` show one?)"
    if name in ("numba", "numba_cuda"):
        if not _installed("numba"):
            return "Numba is not installed (pip install numba)"
        try:
            numba = importlib.import_module("numba")
        except Exception as error:  # a Numba for another NumPy
            return f"Numba is installed but cannot be imported ({error})"
        if name == "numba_cuda":
            return _problem_of_numba_cuda()
        if numba.config.DISABLE_JIT:
            return "NUMBA_DISABLE_JIT is set, but these kernels cannot run as Python"
    if name == "emulator" and (why := host.problem()):
        return why
    return None


def _problem_of_numba_cuda() -> str | None:
    if simulated():
        return None
    if not _installed("numba_cuda"):
        return "numba-cuda is not installed (pip install 'minires[cuda12]' or 'minires[cuda13]')"
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


def simulated() -> bool:
    """Whether Numba simulates a GPU on the CPU: NUMBA_ENABLE_CUDASIM is set."""
    return bool(importlib.import_module("numba").config.ENABLE_CUDASIM)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def default() -> str:
    """The fastest backend that works on this machine, but for `numba_cuda`, made to be read."""
    return next(name for name in BY_SPEED if name != "numba_cuda" and problem(name) is None)


def current() -> str:
    """The name of the current backend: what `use` chose, before that the `default`."""
    global _current
    _current = _current or default()
    return _current


class use:
    """Switch to a backend: `use("numpy")` from here on, `with use("numpy"):` for a block.

    Parameters
    ----------
    name : str
        A backend's name, or ``"auto"`` for the fastest that works here.

    Raises
    ------
    BackendUnavailable
        If the backend does not work here; the message says why and what to install.
    """

    def __init__(self, name: str):
        global _current
        name = default() if name == "auto" else name
        if why := problem(name):
            raise BackendUnavailable(f"backend {name!r} does not work here: {why}")
        self._before, _current = _current, name

    def __enter__(self) -> "use":
        return self

    def __exit__(self, *exception) -> None:
        global _current
        _current = self._before


def set_precision(name: str) -> None:
    """How convolutions multiply and what images are stored as: see `minires.cuda.set_precision`.

    Raises
    ------
    ValueError
        If there is no such precision, or the current backend does not have it.
    """
    if name == "tf32" and current() not in TENSOR_CORES:
        raise ValueError(
            f"precision tf32 is for tensor cores (backend {' or '.join(TENSOR_CORES)}), but the "
            f"backend is {current()}"
        )
    if name in cuda.HALF and current() not in HALF_STORAGE:
        raise ValueError(
            f"precision {name} is half storage, for the fused operations of the backends "
            f"{', '.join(HALF_STORAGE)}, but the backend is {current()}"
        )
    cuda.set_precision(name)


def storage() -> np.dtype:
    """The dtype of images and their gradients in memory: float32, or as `set_precision` says."""
    return cuda.storage() if current() in HALF_STORAGE else np.dtype(np.float32)


def kernel(op: str, name: str | None = None) -> ModuleType:
    """The module that computes operation `op` on the backend `name`, by default the current one.

    Raises
    ------
    minires.cuda.graph.GraphError
        While a step is captured as a graph, if that is not a module of CUDA C++ kernels.
    """
    name = name or current()
    if graph.capturing() and not (name in GRAPHS and kernels.has_own(op, name)):
        raise graph.GraphError(
            f"operation {op!r} has no CUDA C++ kernel on backend {name}, and what array code "
            f"computes would not be part of the graph; graphs are of backend {' or '.join(GRAPHS)}"
        )
    return kernels.load(op, name)


def xp() -> ModuleType:
    """The array module of the current backend: numpy or cupy."""
    on_gpu = current() == "cupy" or (
        current() == "numba_cuda" and not simulated() and _installed("cupy")
    )
    return importlib.import_module("cupy") if on_gpu else np


def asarray(array, dtype=None):
    """`array` (a host array, a list, a number) on the current backend, C-contiguous."""
    return xp().ascontiguousarray(xp().asarray(array, dtype)).reshape(np.shape(array))


def to_numpy(array) -> np.ndarray:
    """An array of any backend as a NumPy array on the host (no copy if it is one already).

    Raises
    ------
    minires.cuda.graph.GraphError
        While a step is captured as a graph: its results are not there yet.
    """
    graph.refuse("a result that is read on the host (item(), numpy(), to_numpy(), read(), print)")
    return array.get() if hasattr(array, "get") else np.asarray(array)


def is_array(value) -> bool:
    """Whether `value` is an array that the current backend computes on."""
    return isinstance(value, xp().ndarray)


def check_array(op: str, array) -> None:
    """Raise a TypeError that names operation `op` if another backend has made `array`."""
    if not is_array(array):
        own, other = (f"{kind.__module__}.{kind.__name__}" for kind in (xp().ndarray, type(array)))
        raise TypeError(
            f"{op}: the current backend {current()!r} computes on {own}, but an input of shape "
            f"{array.shape} is a {other}, made under another backend"
        )


def seed(value: int) -> None:
    """Restart the generator that initialises weights and draws dropout masks."""
    global _generator
    _generator = np.random.default_rng(value)


def generator() -> np.random.Generator:
    """What draws initial weights and dropout masks: on the host, the same on every backend.

    Raises
    ------
    minires.cuda.graph.GraphError
        While a step is captured as a graph: all replays would have the same numbers.
    """
    graph.refuse("random numbers from the host (dropout, initial weights)")
    return _generator
