"""What stands behind a Tensor's operators: operands of any kind in, Functions applied, Tensors out.

Operands may be numbers, lists, arrays and Tensors; shapes must broadcast. Everything here ends in a
Function, so `backward` needs to know none of it.

Which dtype comes out follows PyTorch. There are three kinds: bool, integer, floating. The highest
kind decides, and within it the longest dtype of a tensor with axes; a tensor without axes, and a
bare number, has a say only if its kind is higher. Numbers of half length (float16, bfloat16) are
computed with as float32, and the result is rounded once.
"""

from collections.abc import Callable
from functools import wraps
from math import prod

import numpy as np

from minires import axes as named
from minires import backend
from minires.arguments import flag
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


class Cast(Function):
    """The same numbers in another dtype; the gradient comes back in the dtype of the input."""

    def forward(self, x):
        return backend.converted(x, self.options["dtype"])

    def backward(self, dy):
        return (backend.converted(dy, self.inputs[0][1]),)


def cast(x, dtype):
    """x in another dtype: x itself if it has that one, else by a recorded Function."""
    if x.dtype == dtype:
        return x
    if x.requires_grad:
        if not is_floating(np.dtype(dtype)):
            raise TypeError(
                f"a tensor that requires a gradient cannot become {np.dtype(dtype)}: a small "
                f"change of an integer has no meaning; detach() it first"
            )
        return Cast(dtype=dtype)(x)
    return Function.Tensor(backend.converted(x.data, dtype))


def binary(kind: str, a, b):
    """a and b combined element by element, with broadcasting; kinds: `kernels/binary`."""
    a, b = operands(kind, a, b)
    if kind == "div" and not is_floating(a.dtype):
        a, b = floating(a), floating(b)
    if kind == "pow" and a.dtype.kind in "iub" and b.size and b.data.min() < 0:
        raise ValueError(
            f"pow: an integer to a negative power is no integer; make the base ({a.dtype}) a float"
        )
    if kind in ("floordiv", "mod") and b.dtype.kind in "iub" and not b.data.all():
        raise ZeroDivisionError(f"{kind}: an integer cannot be divided by 0")
    compute = Function("add") if kind == "add" else Function("binary", kind=kind)
    return widened(compute, a, b)


def widened(compute, *inputs):
    """A Function of inputs of one dtype: of half length, it is computed with float32 numbers."""
    dtype = inputs[0].dtype
    if not backend.is_half(dtype):
        return compute(*inputs)
    return cast(compute(*(cast(x, np.float32) for x in inputs)), dtype)


def compare(kind: str, a, b):
    """Whether each element of a is equal to, less than, ... that of b: bools, without gradient."""
    if not (
        isinstance(b, Function.Tensor | np.generic | int | float | list) or backend.is_array(b)
    ):
        return NotImplemented
    a, b = operands(kind, a, b)
    return Function.Tensor(backend.xp().asarray(getattr(backend.xp(), kind)(a.data, b.data)))


def unary(kind: str, x):
    """A function of every element of x, by its name in `kernels/unary`."""
    if x.dtype.kind in "iub" and kind in ("floor", "ceil", "round", "trunc"):
        return x
    x = x if kind in ("neg", "abs", "sign") else floating(x)
    return widened(Function("unary", kind=kind), x)


def reduce(kind: str, x, axis, keepdims: bool):
    """sum, mean or max of x over `axis`, an int, a tuple of ints, or None for all axes."""
    if kind == "mean":
        x = floating(x)
    elif kind == "sum" and x.dtype.kind in "iub" and x.dtype != np.uint64:
        x = cast(x, np.int64)
    axes = named.axes(kind, axis, x.ndim)
    if kind == "max" and any(x.shape[i] == 0 for i in axes):
        raise ValueError(f"max: there is no largest of no elements (shape {x.shape}, axis {axis})")
    keepdims = flag(kind, "keepdims", keepdims)
    return widened(Function("reduce", axis=axes, keepdims=keepdims, kind=kind), x)


def reshape(x, shape: tuple):
    """x in another shape."""
    wanted = named.lengths("reshape", shape)
    known = prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0 and x.size % known == 0:
        wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    if min(wanted, default=0) < 0 or prod(wanted) != x.size:
        raise ValueError(
            f"reshape: the {x.size} elements of {x.shape} do not fit into {wanted}"
            + " (-1 stands for one length, if the others leave no choice)" * (-1 in wanted)
        )
    return Reshape(shape=wanted)(x)


def transpose(x, order: tuple):
    """x with its axes in this order."""
    axes = named.axes("transpose", order, x.ndim)
    if len(axes) != x.ndim:
        raise ValueError(
            f"transpose: {axes} does not name each of the {x.ndim} axes of {x.shape} once"
        )
    return Transpose(axes=axes)(x)


def exchange(x, first, second):
    """x with two axes exchanged."""
    first, second = (named.axis("transpose", axis, x.ndim) for axis in (first, second))
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return transpose(x, tuple(order))


def index(x, key):
    """x[key] with NumPy's rules; an index may be a list, an array or an integer Tensor."""
    parts = key if isinstance(key, tuple) else (key,)
    are_arrays = (Function.Tensor, list, np.ndarray)
    parts = tuple(
        np.zeros(np.shape(part), np.int64)
        if isinstance(part, list) and np.size(part) == 0
        else as_data(part)
        if isinstance(part, are_arrays)
        else part
        for part in parts
    )
    return widened(Function("index", key=parts), x)


def matmul(a, b):
    """Matrix product of the last two axes; a vector takes part as a row or a column."""
    a, b = (_tensor(x, other) for x, other in ((a, b), (b, a)))
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
    product = widened(Function("matmul"), rows, columns)
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
    array = _plain(value) if backend.is_array(value) else backend.asarray(value)
    if array.dtype.kind not in "iub" and not is_floating(array.dtype):
        raise TypeError(f"a Tensor holds numbers, but got {array.dtype} data: {str(value)[:60]!r}")
    if array.dtype.kind == "f" and not hasattr(value, "dtype"):
        array = array.astype(python_dtype)
    return array


def _plain(array):
    """An array whose arithmetic is its own (np.matrix, a masked array) as an ordinary one."""
    if type(array) is np.ndarray or not isinstance(array, np.ndarray):
        return array
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise TypeError(
            "a Tensor has no mask, but this masked array hides some of its numbers; fill them, for "
            "example with array.filled(0)"
        )
    return np.asarray(array)


def is_floating(dtype) -> bool:
    """Whether numbers of this dtype have a gradient: float16, float32, float64 or bfloat16."""
    return dtype.kind == "f" or backend.is_half(dtype)


def floating(x):
    """Integers as float32: the functions of analysis do not stay in the integers."""
    return x if is_floating(x.dtype) else cast(x, np.float32)


def in_dtype(function: Callable) -> Callable:
    """Have a function of a tensor understand `dtype=`: x becomes that before all else."""

    @wraps(function)
    def computing(x, *args, dtype=None, **named):
        if dtype is None:
            return function(x, *args, **named)
        x = x if isinstance(x, Function.Tensor) else Function.Tensor(x)
        return function(cast(x, np.dtype(dtype)), *args, **named)

    return computing


def operands(name: str, a, b) -> tuple:
    """Both operands as Tensors of one dtype; their shapes must broadcast."""
    a, b = (_tensor(x, other) for x, other in ((a, b), (b, a)))
    if a.dtype != b.dtype:
        dtype = _common(a, b)
        a, b = cast(a, dtype), cast(b, dtype)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"{name}: shapes {a.shape} and {b.shape} do not broadcast: from the right, each pair "
            f"of lengths must be equal or contain a 1"
        ) from None
    return a, b


def _tensor(value, other):
    """An operand as a Tensor; what has no dtype of its own takes that of the `other` operand."""
    if isinstance(value, Function.Tensor):
        return value
    model = None if hasattr(value, "dtype") else getattr(other, "dtype", None)
    takes_model = model is not None and is_floating(model)
    data = as_data(value, model if takes_model else np.float32)
    if model is not None and model.kind in "iu" and data.dtype.kind in "iu":
        limits = np.iinfo(model)
        if data.size and not (limits.min <= data.min() and data.max() <= limits.max):
            raise ValueError(
                f"{value} does not fit into {model}, the dtype of the other operand; convert that "
                f"with astype(np.int64)"
            )
        takes_model = True
    return Function.Tensor(data.astype(model) if takes_model else data)


def _common(a, b) -> np.dtype:
    """The dtype that two Tensors are computed in; see the top of this file."""
    ranks = [2 if is_floating(x.dtype) else int(x.dtype.kind in "iu") for x in (a, b)]
    if ranks[0] != ranks[1]:
        return (a if ranks[0] > ranks[1] else b).dtype
    if (a.ndim == 0) != (b.ndim == 0):
        return (b if a.ndim == 0 else a).dtype
    if ranks[0] == 2 and (backend.is_half(a.dtype) or backend.is_half(b.dtype)):
        longer = max(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
        return longer if longer.itemsize > 2 else np.dtype(np.float32)
    dtype = np.promote_types(a.dtype, b.dtype)
    return dtype if ranks[0] == 2 or dtype.kind in "iub" else np.dtype(np.int64)
