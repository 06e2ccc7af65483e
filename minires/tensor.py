"""Tensor: an array that remembers how it was computed.

>>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> y = (x * x).sum()
>>> y.backward()
>>> x.grad
array([2., 4., 6.], dtype=float32)
"""

import warnings
from math import prod
from typing import Any

import numpy as np

from minires import axes, backend, numpy_calls, operators
from minires.arguments import data_type, flag, integer
from minires.function import Function, hooked, leaf_gradients
from minires.hints import Missing
from minires.hooks import Hook
from minires.names import pytorch_names
from minires.recording import recording


def no_grad() -> recording:
    """Record nothing for backward: `with no_grad(): ...`, or `@no_grad()` on a function."""
    return recording(False)


def enable_grad() -> recording:
    """Record for backward, also inside of `no_grad`."""
    return recording(True)


class Tensor:
    """An n-dimensional array with a gradient.

    Parameters
    ----------
    data : array, Tensor, number or nested list
        An array keeps its dtype; Python numbers become float32 (integers int64). The array itself
        is held, not a copy, if it lies on the current backend.
    requires_grad : bool
        Whether `backward` should compute a gradient for this tensor. Floating dtypes only.
    dtype : dtype, optional
        Convert the data to it.

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
        The operation that made this tensor; None for a leaf. A Function sets it.

    Raises
    ------
    TypeError
        If `data` is not numeric, or an integer tensor is to require a gradient.
    """

    hooks: tuple = ()

    def __init__(
        self, data, requires_grad: bool = False, *, dtype=None, grad_fn: Function | None = None
    ):
        self.data = operators.as_data(data)
        if dtype is not None:
            self.data = backend.converted(self.data, data_type("Tensor", dtype))
        if requires_grad is not False:
            requires_grad = flag("Tensor", "requires_grad", requires_grad)
        if requires_grad and not operators.is_floating(self.data.dtype):
            raise TypeError(
                f"only a floating tensor can require a gradient, but this one is "
                f"{self.data.dtype}: a small change of an integer has no meaning (labels and "
                f"indices need no gradient)"
            )
        self.requires_grad = requires_grad or grad_fn is not None
        self.grad: Any = None
        self.grad_fn = grad_fn

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
    def size(self) -> "Size":
        """Number of elements. As PyTorch's method it tells the shape: `x.size()`, `x.size(0)`."""
        size = Size(self.data.size)
        size.shape = self.data.shape
        return size

    def __getstate__(self) -> dict:
        """What `copy.deepcopy` and `pickle` take: a leaf, since a graph belongs to one tensor."""
        if self.grad_fn is not None:
            raise TypeError(
                f"a tensor that was computed (by {self.grad_fn.name}) cannot be copied or pickled, "
                f"since its graph cannot; take its values: x.detach()"
            )
        return self.__dict__

    def __getattr__(self, name: str):
        raise Missing("Tensor", name, "a Tensor", dir(type(self)))

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
            raise ValueError(f"item() needs one element, but this one is {self.shape}")
        return self.numpy().item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __round__(self, digits: int | None = None):
        digits = None if digits is None else integer("round", "digits", digits, -300, 300)
        return round(self.item(), digits)

    def __format__(self, spec: str) -> str:
        """One number as numbers are, `f"{loss:.3f}"`; more only without a specification."""
        if not spec:
            return str(self)
        if self.size != 1:
            raise TypeError(f"format {spec!r} is for one number, but this tensor is {self.shape}")
        return format(self.item(), spec)

    def __bool__(self) -> bool:
        return bool(self.item())

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return numpy_calls.as_array(self, dtype, copy)

    def __array_ufunc__(self, function, method, *args, **named):
        return numpy_calls.operated(function, method, args, named, Tensor)

    def __array_function__(self, function, types, args, named):
        return numpy_calls.called(function, args, named, Tensor)

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
            gradient = operators.as_data(gradient, self.dtype)
            gradient = backend.copied(xp.asarray(backend.converted(gradient, self.dtype)))
            if gradient.shape != self.shape:
                raise ValueError(
                    f"backward(gradient): the gradient is {gradient.shape}, the tensor {self.shape}"
                )
        # `grad` is written after the walk: an error on the way leaves all as they were.
        if self.grad_fn is None:
            gradients = {self: gradient}
        else:
            gradients = leaf_gradients(self.grad_fn, gradient, retain_graph)
        for tensor, total in gradients.items():
            for hook in tensor.hooks:
                total = hooked(hook, total)
            tensor.accumulate(total)

    def accumulate(self, gradient) -> None:
        """Add an array to `grad`."""
        if self.grad is not None:
            backend.refuse(
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

    def register_hook(self, hook) -> Hook:
        """Have every `backward` call `hook(gradient)` with the gradient of this tensor, an array.

        What the hook returns takes its place; None lets it stay. `remove()` of the result ends it.
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook() on a tensor that requires no gradient")
        return Hook(self.grad_fn or self, "hooks", hook)

    # Arithmetic

    def __add__(self, other):
        return operators.binary("add", self, other)

    def __radd__(self, other):
        return operators.binary("add", other, self)

    def __sub__(self, other):
        return operators.binary("sub", self, other)

    def __rsub__(self, other):
        return operators.binary("sub", other, self)

    def __mul__(self, other):
        return operators.binary("mul", self, other)

    def __rmul__(self, other):
        return operators.binary("mul", other, self)

    def __truediv__(self, other):
        return operators.binary("div", self, other)

    def __rtruediv__(self, other):
        return operators.binary("div", other, self)

    def __pow__(self, other):
        return operators.binary("pow", self, other)

    def __rpow__(self, other):
        return operators.binary("pow", other, self)

    def __neg__(self):
        return operators.unary("neg", self)

    def exp(self) -> "Tensor":
        """e to the power of every element."""
        return operators.unary("exp", self)

    def log(self) -> "Tensor":
        """Natural logarithm of every element."""
        return operators.unary("log", self)

    def tanh(self) -> "Tensor":
        """Hyperbolic tangent of every element."""
        return operators.unary("tanh", self)

    def sigmoid(self) -> "Tensor":
        """1 / (1 + e^-x) of every element."""
        return operators.unary("sigmoid", self)

    def sqrt(self) -> "Tensor":
        """Square root of every element."""
        return operators.unary("sqrt", self)

    def abs(self) -> "Tensor":
        """Absolute value of every element."""
        return operators.unary("abs", self)

    def __matmul__(self, other):
        return operators.matmul(self, other)

    def __rmatmul__(self, other):
        return operators.matmul(other, self)

    # Comparisons: elementwise, as bool Tensors; a Tensor is equal to nothing that holds no numbers

    __hash__ = object.__hash__

    def __eq__(self, other):
        return operators.compare("equal", self, other)

    def __ne__(self, other):
        return operators.compare("not_equal", self, other)

    def __lt__(self, other):
        return operators.compare("less", self, other)

    def __le__(self, other):
        return operators.compare("less_equal", self, other)

    def __gt__(self, other):
        return operators.compare("greater", self, other)

    def __ge__(self, other):
        return operators.compare("greater_equal", self, other)

    # Reductions

    @pytorch_names
    @operators.in_dtype
    def sum(self, axis=None, keepdims: bool = False) -> "Tensor":
        """Sum over `axis` (an int, a tuple of ints, or None for all)."""
        return operators.reduce("sum", self, axis, keepdims)

    @pytorch_names
    @operators.in_dtype
    def mean(self, axis=None, keepdims: bool = False) -> "Tensor":
        """Mean over `axis` (an int, a tuple of ints, or None for all)."""
        return operators.reduce("mean", self, axis, keepdims)

    @pytorch_names
    def max(self, axis=None, keepdims: bool = False) -> "Tensor":
        """Maximum over `axis`; equal maxima share the gradient equally (PyTorch's `amax`).

        Values alone, not places: those are `argmax(axis)`. Of two tensors, as `maximum`.
        """
        if isinstance(axis, Tensor):
            return operators.binary("maximum", self, axis)
        return operators.reduce("max", self, axis, keepdims)

    # Shapes

    def reshape(self, *shape) -> "Tensor":
        """The same elements in another shape; one length may be -1."""
        return operators.reshape(self, shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> "Tensor":
        """All axes from `start_dim` to `end_dim`, that one included, made into one."""
        start = axes.axis("flatten", start_dim, max(1, self.ndim))
        end = axes.axis("flatten", end_dim, max(1, self.ndim)) + 1
        if end <= start:
            raise ValueError(f"flatten: axis {end - 1} lies before axis {start}")
        shape = self.shape
        return self.reshape(*shape[:start], prod(shape[start:end]), *shape[end:])

    def transpose(self, *order) -> "Tensor":
        """Axes reversed, or in the order of a tuple; `transpose(i, j)` exchanges two of them."""
        if len(order) == 2 and not any(isinstance(axis, tuple | list) for axis in order):
            return operators.exchange(self, *order)
        given = axes.lengths("transpose", order) if order else tuple(range(self.ndim))[::-1]
        return operators.transpose(self, given)

    @property
    def T(self) -> "Tensor":
        """All axes reversed; the transpose of a matrix."""
        return self.transpose()

    def __getitem__(self, key) -> "Tensor":
        """NumPy's indexing; an index may be an integer Tensor."""
        return operators.index(self, key)

    def __setitem__(self, key, value) -> None:
        raise TypeError(
            "a Tensor's elements cannot be assigned: backward could not follow; compute a new "
            "tensor, or write into x.data before it is used"
        )

    def __iter__(self):
        return (self[i] for i in range(len(self)))


class Size(int):
    """A number of elements that answers PyTorch's call, `x.size()`, as well."""

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None):
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[axes.axis("size", dim, len(self.shape))]


def tensor(data, requires_grad: bool = False, *, dtype=None) -> Tensor:
    """A Tensor with a copy of `data`, in another dtype if one is given."""
    if isinstance(data, Tensor) and data.requires_grad:
        warnings.warn(
            "tensor(x) copies the values of x, and no gradient flows back to it; write x.clone() "
            "to let it flow, x.detach() to say that it shall not",
            stacklevel=2,
        )
    return Tensor(backend.xp().array(operators.as_data(data)), requires_grad, dtype=dtype)


def as_tensor(value) -> Tensor:
    """`value` itself if it is a Tensor, else a Tensor of it that requires no gradient."""
    return value if isinstance(value, Tensor) else Tensor(value)


Function.Tensor = Tensor
