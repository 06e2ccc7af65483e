"""Where a tensor lies and in which dtype: `to`, `float`, `double`, `cpu`, ...

Tensors lie on the backend under which they were made; there is one at a time (`minires.use`).
"""

import numpy as np

from minires import backend, operators
from minires.tensor import Tensor

WORDS = {
    "float": np.float32,
    "double": np.float64,
    "half": np.float16,
    "short": np.int16,
    "int": np.int32,
    "long": np.int64,
    "bool": np.bool_,
}
"""PyTorch's short names of dtypes, each a method of Tensor."""


def targets(where: str, target: tuple) -> list[tuple]:
    """What `to(*target)` asks for: ("dtype", dtype) or ("backend", name), one after the other."""
    if not target:
        raise TypeError(f"{where}: give a dtype, such as np.float64, or a backend")
    return [_target(where, value) for value in target]


def _target(where: str, value) -> tuple:
    if isinstance(value, Tensor):
        return "dtype", value.dtype
    if isinstance(value, str):
        if value == backend.current() or (value == "cpu" and not _on_gpu()):
            return "backend", backend.current()
        if value in backend.BACKENDS or value.split(":")[0] in ("cpu", "cuda", "gpu", "mps"):
            gpu = "numba or numpy" if value == "cpu" else "cupy"
            name = repr(value) if value in backend.BACKENDS else f"one, such as {gpu}"
            raise ValueError(
                f"{where}: the current backend is {backend.current()!r}; choose {name} first, "
                f"before tensors and models are made: minires.use(...)"
            )
        if value in WORDS:
            return "dtype", np.dtype(WORDS[value])
    try:
        return "dtype", np.dtype(value)
    except TypeError:
        raise TypeError(
            f"{where}: expected a dtype, such as np.float64, or the name of a backend, but got "
            f"{value!r}"
        ) from None


def _on_gpu() -> bool:
    return backend.BACKENDS[backend.current()].on_gpu


def moved(array):
    """An array on the current backend: itself if it lies there."""
    return array if backend.is_array(array) else backend.asarray(backend.to_numpy(array))


def to(x: Tensor, *target) -> Tensor:
    """x in another dtype, or on the current backend: `to(np.float64)`, `to("numba")`.

    The gradient comes back in the dtype of x.
    """
    for kind, value in targets("to", target):
        if kind == "dtype":
            x = operators.cast(x, value)
        elif not backend.is_array(x.data):
            if x.grad_fn is not None:
                raise ValueError(
                    "to: a tensor that was computed stays on its backend, since backward goes "
                    "back there; detach() it first"
                )
            x = Tensor(moved(x.data), x.requires_grad)
    return x


def cpu(x: Tensor) -> Tensor:
    """x itself where tensors lie on the host; on a GPU a detached copy for NumPy: `numpy()`."""
    return to(x, "cpu")


def device(x: Tensor) -> str:
    """ "cpu", or "cuda" for an array on a GPU."""
    return "cpu" if isinstance(x.data, np.ndarray) else "cuda"


def _word(name: str, dtype):
    def convert(x: Tensor) -> Tensor:
        return operators.cast(x, np.dtype(dtype))

    convert.__name__, convert.__doc__ = name, f"The same numbers as {np.dtype(dtype)}."
    return convert


CONVERSIONS = {name: _word(name, dtype) for name, dtype in WORDS.items()}
