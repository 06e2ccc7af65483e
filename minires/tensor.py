"""Tensor: an array that remembers how it was computed.

>>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> y = (x * x).sum()
>>> y.backward()
>>> x.grad
array([2., 4., 6.], dtype=float32)
"""

import contextlib

import numpy as np

from minires import backend
from minires.cuda import graph
from minires.function import Function, backpropagate, set_recording
from minires.operators import Add, Binary, Index, MatMul, Reduce, Reshape, Transpose, Unary


class no_grad(contextlib.ContextDecorator):
    """Record nothing for backward: `with no_grad(): ...`, or `@no_grad()` on a function."""

    def __init__(self):
        self._before = []

    def __enter__(self) -> None:
        self._before.append(set_recording(False))

    def __exit__(self, *exception) -> None:
        set_recording(self._before.pop())


class Tensor:
    """An n-dimensional array with a gradient.

    Parameters
    ----------
    data : array, Tensor, number or nested list
        An array keeps its dtype; Python numbers become float32 (integers int64). The array itself
        is held, not a copy, if it lies on the current backend.
    requires_grad : bool
        Whether `backward` should compute a gradient for this tensor. Floating dtypes only.

    Attributes
    ----------
    data : array
        On the backend under which the tensor was made.
    grad : array or None
        The gradient that `backward` added up, of the shape and dtype of `data`. Only for leaves
        (tensors that no operation made) and after `retain_grad`.
    requires_grad : bool
        True for leaves that asked for it and for all that was computed from them.
    grad_fn : Function or None
        The operation that made this tensor; None for a leaf.

    Raises
    ------
    TypeError
        If `data` is not numeric, or an integer tensor is to require a gradient.
    """

    __array_ufunc__ = None  # numpy_array * tensor calls Tensor.__rmul__

    def __init__(self, data, requires_grad: bool = False):
        self.data = _as_data(data)
        if requires_grad and not _is_floating(self.data.dtype):
            raise TypeError(
                f"only a floating tensor can require a gradient, but this one is "
                f"{self.data.dtype}: a small change of an integer has no meaning (labels and "
                f"indices need no gradient)"
            )
        self.requires_grad = bool(requires_grad)
        self.grad = None
        self.grad_fn: Function | None = None

    @classmethod
    def _made_by(cls, grad_fn: Function | None, data) -> "Tensor":
        tensor = Tensor.__new__(Tensor)  # not cls: what a Parameter computes is no Parameter
        tensor.data, tensor.grad, tensor.grad_fn = data, None, grad_fn
        tensor.requires_grad = grad_fn is not None
        return tensor

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.data.size

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        made = f", made by {self.grad_fn.name}" if self.grad_fn else ""
        grad = ", requires_grad=True" if self.requires_grad and not self.grad_fn else ""
        values = np.array2string(self.numpy(), separator=", ", prefix="Tensor(", threshold=100)
        return f"Tensor({values}, {self.dtype}{grad}{made})"

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array on the host (the tensor's own array on CPU backends)."""
        return backend.to_numpy(self.data)

    def item(self) -> float | int:
        """The value of a tensor with one element, as a Python number."""
        if self.size != 1:
            raise ValueError(
                f"item() needs a tensor with one element, but this one is {self.shape}"
            )
        return self.numpy().item()

    def __float__(self) -> float:
        return float(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.numpy(), dtype, copy=copy)

    # Differentiation

    def backward(self, gradient=None, retain_graph: bool = False) -> None:
        """Add d self / d leaf to the `grad` of every leaf that self was computed from.

        Parameters
        ----------
        gradient : array, optional
            The gradient of self, of its shape. May be left out for a single element: 1.
        retain_graph : bool
            Keep what the graph saved, so that backward can run through it once more.

        Raises
        ------
        RuntimeError
            If self requires no gradient, if the graph was used up by an earlier backward, or if a
            saved array was modified in place.
        ValueError
            If self has more than one element and no gradient is given, or one of another shape.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward() on a tensor that requires no gradient: none of the tensors it was "
                "computed from has requires_grad=True, or it was computed inside no_grad()"
            )
        xp = self.grad_fn.xp if self.grad_fn else backend.xp()
        if gradient is None:
            if self.size != 1:
                raise ValueError(
                    f"backward() starts from one number, such as a loss, but this tensor is "
                    f"{self.shape}; reduce it with mean() or sum(), or pass backward(gradient)"
                )
            gradient = xp.ones(self.shape, self.dtype)
        else:
            gradient = gradient.data if isinstance(gradient, Tensor) else gradient
            if hasattr(gradient, "dtype") and gradient.dtype != self.dtype:
                gradient = graph.converted(gradient, self.dtype)
            gradient = graph.copied(xp.asarray(gradient, self.dtype))
            if gradient.shape != self.shape:
                raise ValueError(
                    f"backward(gradient): the gradient is {gradient.shape}, the tensor {self.shape}"
                )
        if self.grad_fn is None:
            self.accumulate(gradient)
        else:
            backpropagate(self.grad_fn, gradient, retain_graph)

    def accumulate(self, gradient) -> None:
        """Add an array to `grad`."""
        if self.grad is not None:
            graph.refuse(
                "a backward() that adds to gradients of an earlier one: call zero_grad() before it"
            )
            gradient = self.grad + gradient
        self.grad = backend.xp().asarray(gradient) if self.ndim == 0 else gradient

    def detach(self) -> "Tensor":
        """The same values, cut off from the graph: no gradient flows through the result."""
        return Tensor(self.data)

    def retain_grad(self) -> None:
        """Have `backward` keep the gradient of this inner tensor in `grad`, as for a leaf."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad() on a tensor that requires no gradient")
        if self.grad_fn is not None:
            self.grad_fn.retained = self

    # Arithmetic

    def __add__(self, other):
        return Add()(*_operands("add", self, other))

    def __radd__(self, other):
        return Add()(*_operands("add", other, self))

    def __sub__(self, other):
        return _binary("sub", self, other)

    def __rsub__(self, other):
        return _binary("sub", other, self)

    def __mul__(self, other):
        return _binary("mul", self, other)

    def __rmul__(self, other):
        return _binary("mul", other, self)

    def __truediv__(self, other):
        return _binary("div", self, other)

    def __rtruediv__(self, other):
        return _binary("div", other, self)

    def __pow__(self, other):
        return _binary("pow", self, other)

    def __rpow__(self, other):
        return _binary("pow", other, self)

    def __neg__(self):
        return Unary(kind="neg")(self)

    def exp(self) -> "Tensor":
        """e to the power of every element."""
        return Unary(kind="exp")(_floating(self))

    def log(self) -> "Tensor":
        """Natural logarithm of every element."""
        return Unary(kind="log")(_floating(self))

    def tanh(self) -> "Tensor":
        """Hyperbolic tangent of every element."""
        return Unary(kind="tanh")(_floating(self))

    def sigmoid(self) -> "Tensor":
        """1 / (1 + e^-x) of every element."""
        return Unary(kind="sigmoid")(_floating(self))

    def sqrt(self) -> "Tensor":
        """Square root of every element."""
        return Unary(kind="sqrt")(_floating(self))

    def abs(self) -> "Tensor":
        """Absolute value of every element."""
        return Unary(kind="abs")(self)

    def __matmul__(self, other):
        return _matmul(self, other)

    def __rmatmul__(self, other):
        return _matmul(other, self)

    # Reductions

    def sum(self, axis=None, keepdims: bool = False) -> "Tensor":
        """Sum over `axis` (an int, a tuple of ints, or None for all)."""
        return Reduce(axis=_axes(self, axis), keepdims=keepdims, kind="sum")(self)

    def mean(self, axis=None, keepdims: bool = False) -> "Tensor":
        """Mean over `axis` (an int, a tuple of ints, or None for all)."""
        return Reduce(axis=_axes(self, axis), keepdims=keepdims, kind="mean")(_floating(self))

    def max(self, axis=None, keepdims: bool = False) -> "Tensor":
        """Maximum over `axis`; equal maxima share the gradient equally (PyTorch's `amax`)."""
        return Reduce(axis=_axes(self, axis), keepdims=keepdims, kind="max")(self)

    # Shapes

    def reshape(self, *shape) -> "Tensor":
        """The same elements in another shape; one length may be -1."""
        return Reshape(shape=_unpacked(shape))(self)

    def flatten(self, start: int = 0) -> "Tensor":
        """All axes from `start` on made into one."""
        return self.reshape(*self.shape[:start], -1)

    def transpose(self, *axes) -> "Tensor":
        """Axes in the given order; reversed if none is given (NumPy's `transpose`)."""
        axes = _axes(self, _unpacked(axes) or tuple(range(self.ndim))[::-1])
        if len(axes) != self.ndim:
            raise ValueError(
                f"transpose: {axes} does not name each of the {self.ndim} axes of {self.shape} once"
            )
        return Transpose(axes=axes)(self)

    @property
    def T(self) -> "Tensor":
        """All axes reversed; the transpose of a matrix."""
        return self.transpose()

    def __getitem__(self, key) -> "Tensor":
        """NumPy's indexing; an index may be an integer Tensor."""
        parts = key if isinstance(key, tuple) else (key,)
        parts = tuple(
            _as_data(part) if isinstance(part, Tensor | list | np.ndarray) else part
            for part in parts
        )
        return Index(key=parts)(self)

    def __setitem__(self, key, value) -> None:
        raise TypeError(
            "a Tensor's elements cannot be assigned: backward could not follow; compute a new "
            "tensor, or write into x.data before it is used"
        )

    def __iter__(self):
        return (self[i] for i in range(len(self)))


def tensor(data, requires_grad: bool = False) -> Tensor:
    """A Tensor with a copy of `data`."""
    return Tensor(backend.xp().array(_as_data(data)), requires_grad)


def as_tensor(value) -> Tensor:
    """`value` itself if it is a Tensor, else a Tensor of it that requires no gradient."""
    return value if isinstance(value, Tensor) else Tensor(value)


def _as_data(value, python_dtype=np.float32):
    """An array of the current backend, or of its own backend if it is an array already.

    PyTorch's rule: a Python number has no precision of its own, so floats and lists of floats take
    `python_dtype`; a NumPy array or scalar has one and keeps it.
    """
    if isinstance(value, Tensor):
        return value.data
    array = value if backend.is_array(value) else backend.asarray(value)
    if array.dtype.kind not in "iub" and not _is_floating(array.dtype):
        raise TypeError(f"a Tensor holds numbers, but got {array.dtype} data: {str(value)[:60]!r}")
    if array.dtype.kind == "f" and not hasattr(value, "dtype"):
        array = array.astype(python_dtype)
    return array


def _is_floating(dtype) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"  # which NumPy itself does not know


def _operands(name: str, a, b) -> tuple[Tensor, Tensor]:
    """Both operands as Tensors, floating if one of them is; their shapes must broadcast."""
    a = a if isinstance(a, Tensor) else _like(a, b)
    b = b if isinstance(b, Tensor) else _like(b, a)
    a, b = _like(a, b), _like(b, a)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"{name}: shapes {a.shape} and {b.shape} do not broadcast: from the right, each pair "
            f"of lengths must be equal or contain a 1"
        ) from None
    return a, b


def _like(value, model: Tensor) -> Tensor:
    """`value` beside `model`: integers, bare numbers and lists take a floating model's dtype."""
    if isinstance(value, Tensor):
        data, bare = value.data, False
    else:
        bare = isinstance(value, list | tuple) or np.ndim(value) == 0
        data = _as_data(value, model.dtype if model.dtype.kind == "f" else np.float32)
    if model.dtype.kind == "f" and (bare or data.dtype.kind != "f"):
        return Tensor(data.astype(model.dtype) if bare else graph.converted(data, model.dtype))
    return value if isinstance(value, Tensor) else Tensor(data)


def _binary(kind: str, a, b) -> Tensor:
    a, b = _operands(kind, a, b)
    if a.dtype.kind != "f" and kind in ("div", "pow"):
        a, b = _floating(a), _floating(b)
    return Binary(kind=kind)(a, b)


def _floating(x: Tensor) -> Tensor:
    """Integers as float32: the functions of analysis do not stay in the integers."""
    return x if x.dtype.kind == "f" else Tensor(graph.converted(x.data, np.float32))


def _matmul(a, b) -> Tensor:
    a = a if isinstance(a, Tensor) else _like(a, b)
    b = b if isinstance(b, Tensor) else _like(b, a)
    if a.dtype != b.dtype:
        raise TypeError(f"matmul: the operands are {a.dtype} and {b.dtype}; convert one of them")
    rows = a.reshape(1, -1) if a.ndim == 1 else a  # a vector takes part as a row or a column
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
    product = MatMul()(rows, columns)
    if a.ndim > 1 and b.ndim > 1:
        return product
    shape = (
        product.shape[:-2] + product.shape[-2:-1] * (a.ndim > 1) + product.shape[-1:] * (b.ndim > 1)
    )
    return product.reshape(shape)


def _unpacked(numbers: tuple) -> tuple[int, ...]:
    """f(2, 3) and f((2, 3)) mean the same."""
    alone = len(numbers) == 1 and isinstance(numbers[0], tuple | list)
    return tuple(numbers[0]) if alone else numbers


def _axes(x: Tensor, axis) -> tuple[int, ...]:
    """`axis` as a tuple of distinct non-negative ints."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    if any(not -x.ndim <= a < x.ndim for a in axes):
        raise ValueError(f"axis {axis} is out of range for a tensor of shape {x.shape}")
    normal = tuple(a % x.ndim for a in axes)
    if len(set(normal)) < len(normal):
        raise ValueError(f"axis {axis} names an axis twice")
    return normal
