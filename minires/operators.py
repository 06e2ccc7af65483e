"""What stands behind a Tensor's operators: operands of any kind in, Functions applied, Tensors out.

Operands may be numbers, lists, arrays and Tensors; integers beside floats become floats; shapes
must broadcast. Everything here ends in a Function, so `backward` needs to know none of it.
"""

import numpy as np

from minires import backend
from minires.function import Function


class Reshape(Function):
    """The same values in another shape: forward and backward are views, no arithmetic."""

    def forward(self, x):
        self.saved = (x.shape,)
        return x.reshape(self.options["shape"])

    def backward(self, dy):
        (shape,) = self.saved
        return (dy.reshape(shape),)


class Transpose(Function):
    """Axes in another order; the backward puts them back."""

    def forward(self, x):
        self.saved = (self.options["axes"],)
        return x.transpose(self.options["axes"])

    def backward(self, dy):
        (axes,) = self.saved
        inverse = sorted(range(len(axes)), key=axes.__getitem__)
        return (dy.transpose(inverse),)


def binary(kind: str, a, b):
    """a and b combined element by element, with broadcasting: add, sub, mul, div or pow."""
    a, b = _operands(kind, a, b)
    if a.dtype.kind != "f" and kind in ("div", "pow"):
        a, b = floating(a), floating(b)
    return Function("add")(a, b) if kind == "add" else Function("binary", kind=kind)(a, b)


def unary(kind: str, x):
    """A function of every element of x: neg, abs, exp, log, tanh, sigmoid or sqrt."""
    return Function("unary", kind=kind)(x if kind in ("neg", "abs") else floating(x))


def reduce(kind: str, x, axis, keepdims: bool):
    """sum, mean or max of x over `axis`, an int, a tuple of ints, or None for all axes."""
    x = floating(x) if kind == "mean" else x
    return Function("reduce", axis=_axes(x, axis), keepdims=keepdims, kind=kind)(x)


def reshape(x, shape: tuple):
    """x in another shape."""
    return Reshape(shape=_unpacked(shape))(x)


def transpose(x, axes: tuple):
    """x with its axes in the given order; reversed if none is given."""
    axes = _axes(x, _unpacked(axes) or tuple(range(x.ndim))[::-1])
    if len(axes) != x.ndim:
        raise ValueError(
            f"transpose: {axes} does not name each of the {x.ndim} axes of {x.shape} once"
        )
    return Transpose(axes=axes)(x)


def index(x, key):
    """x[key] with NumPy's rules; an index may be a list, an array or an integer Tensor."""
    parts = key if isinstance(key, tuple) else (key,)
    are_arrays = (Function.Tensor, list, np.ndarray)
    parts = tuple(as_data(part) if isinstance(part, are_arrays) else part for part in parts)
    return Function("index", key=parts)(x)


def matmul(a, b):
    """Matrix product of the last two axes; a vector takes part as a row or a column."""
    a = a if isinstance(a, Function.Tensor) else _like(a, b)
    b = b if isinstance(b, Function.Tensor) else _like(b, a)
    if a.dtype != b.dtype:
        raise TypeError(f"matmul: the operands are {a.dtype} and {b.dtype}; convert one of them")
    rows = a.reshape(1, -1) if a.ndim == 1 else a
    columns = b.reshape(-1, 1) if b.ndim == 1 else b
    try:
        if rows.shape[-1] != columns.shape[-2]:
            raise ValueError
        np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    except (ValueError, IndexError):
        raise ValueError(
            f"matmul: {a.shape} @ {b.shape}: the last axis of the first operand must be as long as "
            f"the second-last of the second, and the axes before them must broadcast"
        ) from None
    product = Function("matmul")(rows, columns)
    if a.ndim > 1 and b.ndim > 1:
        return product
    shape = (
        product.shape[:-2] + product.shape[-2:-1] * (a.ndim > 1) + product.shape[-1:] * (b.ndim > 1)
    )
    return product.reshape(shape)


def as_data(value, python_dtype=np.float32):
    """An array of the current backend, or of its own backend if it is an array already.

    PyTorch's rule: a Python number has no precision of its own, so floats and lists of floats take
    `python_dtype`; a NumPy array or scalar has one and keeps it.
    """
    if isinstance(value, Function.Tensor):
        return value.data
    array = value if backend.is_array(value) else backend.asarray(value)
    if array.dtype.kind not in "iub" and not is_floating(array.dtype):
        raise TypeError(f"a Tensor holds numbers, but got {array.dtype} data: {str(value)[:60]!r}")
    if array.dtype.kind == "f" and not hasattr(value, "dtype"):
        array = array.astype(python_dtype)
    return array


def is_floating(dtype) -> bool:
    """Whether numbers of this dtype have a gradient: float16, float32, float64 or bfloat16."""
    return dtype.kind == "f" or dtype.name == "bfloat16"  # which NumPy itself does not know


def floating(x):
    """Integers as float32: the functions of analysis do not stay in the integers."""
    return x if x.dtype.kind == "f" else Function.Tensor(backend.converted(x.data, np.float32))


def _operands(name: str, a, b) -> tuple:
    """Both operands as Tensors, floating if one of them is; their shapes must broadcast."""
    a = a if isinstance(a, Function.Tensor) else _like(a, b)
    b = b if isinstance(b, Function.Tensor) else _like(b, a)
    a, b = _like(a, b), _like(b, a)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"{name}: shapes {a.shape} and {b.shape} do not broadcast: from the right, each pair "
            f"of lengths must be equal or contain a 1"
        ) from None
    return a, b


def _like(value, model):
    """`value` beside the Tensor `model`: integers, bare numbers and lists take a float's dtype."""
    if isinstance(value, Function.Tensor):
        data, bare = value.data, False
    else:
        bare = isinstance(value, list | tuple) or np.ndim(value) == 0
        data = as_data(value, model.dtype if model.dtype.kind == "f" else np.float32)
    if model.dtype.kind == "f" and (bare or data.dtype.kind != "f"):
        convert = data.astype if bare else lambda dtype: backend.converted(data, dtype)
        return Function.Tensor(convert(model.dtype))
    return value if isinstance(value, Function.Tensor) else Function.Tensor(data)


def _unpacked(numbers: tuple) -> tuple[int, ...]:
    """f(2, 3) and f((2, 3)) mean the same."""
    alone = len(numbers) == 1 and isinstance(numbers[0], tuple | list)
    return tuple(numbers[0]) if alone else numbers


def _axes(x, axis) -> tuple[int, ...]:
    """`axis` as a tuple of distinct non-negative ints."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    if any(not -x.ndim <= a < x.ndim for a in axes):
        raise ValueError(f"axis {axis} is out of range for a tensor of shape {x.shape}")
    normal = tuple(a % x.ndim for a in axes)
    if len(set(normal)) < len(normal):
        raise ValueError(f"axis {axis} names an axis twice")
    return normal
