"""Which arrays, which kernels: the current backend, picked by name from the table of `backends`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

import numpy as np

from minires import cuda, kernels
from minires.arguments import integer
from minires.backends import BACKENDS, able_to, get
from minires.backends import Backend as Backend
from minires.backends import register as register
from minires.backends import unregister as unregister
from minires.cuda import graph
from minires.cuda.graph import converted as converted
from minires.cuda.graph import copied as copied
from minires.cuda.graph import refuse as refuse
from minires.threads import Choice

_current: Choice[str | None] = Choice("backend", None)
_generator: ContextVar[np.random.Generator | None] = ContextVar("generator", default=None)


class BackendUnavailable(RuntimeError):
    """A backend that this machine or this version of minires cannot run; the message says why."""


def problem(name: str) -> str | None:
    """Why backend `name` does not work here and what to install; None if it works."""
    try:
        return get(name).problem()
    except ValueError as error:  # there is none
        return str(error)


def default() -> str:
    """The fastest backend that works on this machine, of those that may be chosen unasked."""
    return next(n for n, entry in BACKENDS.items() if entry.may_be_default and problem(n) is None)


def current() -> str:
    """The name of the current backend: what `use` chose, before that the `default`."""
    name = _current.get()
    if name is None:  # the default may have to import CuPy, so nobody asks before
        _current.process = name = default()
    return name


class use:
    """Switch to a backend: `use("numpy")` from here on, `with use("numpy"):` for a block.

    A thread chooses for itself. The main thread's `use("numpy")` is also the default of threads
    that have not chosen; its `with` block is not.

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
        name = default() if name == "auto" else name
        if why := problem(name):
            raise BackendUnavailable(f"backend {name!r} does not work here: {why}")
        self._name, self._before = name, _current.state()
        _current.set(name)

    def __enter__(self) -> "use":
        _current.restore(self._before)
        _current.own.set(self._name)
        return self

    def __exit__(self, *exception) -> None:
        _current.restore(self._before)


def set_precision(name: str) -> None:
    """How convolutions multiply and what images are stored as: see `minires.cuda.set_precision`.

    Raises
    ------
    ValueError
        If there is no such precision, or the current backend does not have it.
    """
    entry = get(current())
    if name == "tf32" and not entry.tf32:
        raise ValueError(
            f"precision tf32 is for tensor cores (backend {' or '.join(able_to('tf32'))}), but the "
            f"backend is {entry.name}"
        )
    if name in cuda.HALF and not entry.half_storage:
        raise ValueError(
            f"precision {name} is half storage, for the fused operations of the backends "
            f"{', '.join(able_to('half_storage'))}, but the backend is {entry.name}"
        )
    cuda.set_precision(name)


def storage() -> np.dtype:
    """The dtype of images and their gradients in memory: float32, or as `set_precision` says."""
    return cuda.storage() if get(current()).half_storage else np.dtype(np.float32)


def is_half(dtype) -> bool:
    """Whether a dtype is one of half length, float16 or bfloat16: storage, not to compute with."""
    return dtype.itemsize == 2 and dtype.name in cuda.HALF.values()


def kernel(op: str, name: str | None = None) -> ModuleType:
    """The module that computes operation `op` on the backend `name`, by default the current one.

    Inside `kernels.replaced(op, ...)` it is what replaces it, on every backend.

    Raises
    ------
    minires.cuda.graph.GraphError
        While a step is captured as a graph, if that is not a module of CUDA C++ kernels.
    """
    entry, own = get(name or current()), kernels.replacement(op)
    if graph.capturing() and own is not None:
        raise graph.GraphError(
            f"operation {op!r} is replaced, and what its replacement computes would not be part of "
            f"the graph; train with --no-graph"
        )
    if graph.capturing() and not (entry.graphs and entry.has_kernel(op)):
        able = " or ".join(able_to("graphs"))
        raise graph.GraphError(
            f"operation {op!r} has no CUDA C++ kernel on backend {entry.name}, and what array code "
            f"computes would not be part of the graph; graphs are of backend {able}"
        )
    return entry.kernel(op) if own is None else own


def is_own(*ops: str) -> bool:
    """Whether one of these operations is replaced here, or the backend's own from outside."""
    return kernels.is_replaced(*ops) or get(current()).owns(*ops)


def is_bypassing(op: str) -> bool:
    """Whether the fused operation `op` would go around an operation that `is_own`."""
    return kernels.is_bypassing(op) or get(current()).is_bypassing(op)


def xp() -> ModuleType:
    """The array module of the current backend: numpy or cupy."""
    return get(current()).arrays()


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
    """Restart this thread's generator, which initialises weights and draws dropout masks.

    Every thread has its own and begins with seed 0, so two threads that train with the same seed
    draw the same numbers, and what one draws is nothing to the other.
    """
    _generator.set(np.random.default_rng(integer("seed", "value", value, least=0)))


def generator() -> np.random.Generator:
    """What draws initial weights and dropout masks: on the host, the same on every backend.

    Raises
    ------
    minires.cuda.graph.GraphError
        While a step is captured as a graph: all replays would have the same numbers.
    """
    graph.refuse("random numbers from the host (dropout, initial weights)")
    own = _generator.get()
    if own is None:
        own = np.random.default_rng(0)
        _generator.set(own)
    return own


@contextmanager
def own_generator(value: int) -> Iterator[None]:
    """Inside, this thread's random numbers begin at seed `value`; then they go on as before."""
    before = _generator.get()
    seed(value)
    try:
        yield
    finally:
        _generator.set(before)
