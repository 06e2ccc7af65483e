"""The rest of Tensor's methods: those of the files named below and of `kernels/unary`, by name.

`tensor.py` has what automatic differentiation and the usual operators need. Importing this file
adds the rest to the class, each with the function's own docstring; the first argument is the
tensor. `OTHER_NAMES` and `OPERATORS` have second names, most of them PyTorch's.
"""

from functools import wraps

import numpy as np

from minires import axes as named
from minires import (
    backend,
    comparing,
    contraction,
    functional,
    operators,
    placement,
    shaping,
    statistics,
)
from minires.arguments import integer
from minires.recording import is_recording
from minires.tensor import Tensor, as_tensor

UNARY = {
    "sin": "Sine of every element (an angle in radians).",
    "cos": "Cosine of every element (an angle in radians).",
    "tan": "Tangent of every element (an angle in radians).",
    "asin": "Arc sine of every element, in radians.",
    "acos": "Arc cosine of every element, in radians.",
    "atan": "Arc tangent of every element, in radians.",
    "sinh": "Hyperbolic sine of every element.",
    "cosh": "Hyperbolic cosine of every element.",
    "asinh": "Inverse hyperbolic sine of every element.",
    "acosh": "Inverse hyperbolic cosine of every element.",
    "atanh": "Inverse hyperbolic tangent of every element.",
    "exp2": "2 to the power of every element.",
    "log2": "Logarithm to base 2 of every element.",
    "log10": "Logarithm to base 10 of every element.",
    "trunc": "Every element without its fraction.",
    "erf": "The error function of every element.",
    "expm1": "e^x - 1 of every element, exact for small x.",
    "log1p": "log(1 + x) of every element, exact for small x.",
    "floor": "The next integer below every element.",
    "ceil": "The next integer above every element.",
    "sign": "-1, 0 or 1 for every element.",
}
BY_NAME = {
    shaping: "split chunk unsqueeze squeeze expand repeat movedim flip gather take unflatten "
    "unbind index_select roll",
    contraction: "outer trace diagonal",
    statistics: "softmax log_softmax logsumexp argmax argmin amin var std cumsum norm clip",
    comparing: "maximum minimum floor_divide remainder masked_fill masked_select tril triu argsort "
    "sort topk nonzero isnan isinf isfinite allclose equal",
    placement: "to cpu",
    functional: "relu",
}
"""Functions of these files that are methods under their own names."""

OTHER_NAMES = {
    "view": "reshape",
    "min": "amin",
    "amax": "max",
    "clamp": "clip",
    "moveaxis": "movedim",
    "tile": "repeat",
    "broadcast_to": "expand",
    "absolute": "abs",
    "subtract": "sub",
    "mul": "__mul__",
    "multiply": "__mul__",
    "divide": "div",
    "true_divide": "__truediv__",
    "pow": "__pow__",
    "neg": "__neg__",
    "negative": "__neg__",
    "matmul": "__matmul__",
    "mm": "__matmul__",
    "bmm": "__matmul__",
    "mv": "__matmul__",
    "dot": "__matmul__",
    "eq": "__eq__",
    "ne": "__ne__",
    "lt": "__lt__",
    "le": "__le__",
    "gt": "__gt__",
    "ge": "__ge__",
    "swapaxes": "transpose",
    "swapdims": "transpose",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "nelement": "numel",
    "ndimension": "dim",
}
"""A second name -> the method that it stands for."""

OPERATORS = {
    "__floordiv__": lambda a, b: operators.binary("floordiv", a, b),
    "__rfloordiv__": lambda a, b: operators.binary("floordiv", b, a),
    "__mod__": lambda a, b: operators.binary("mod", a, b),
    "__rmod__": lambda a, b: operators.binary("mod", b, a),
    "__and__": lambda a, b: comparing.logical("bitwise_and", a, b),
    "__rand__": lambda a, b: comparing.logical("bitwise_and", a, b),
    "__or__": lambda a, b: comparing.logical("bitwise_or", a, b),
    "__ror__": lambda a, b: comparing.logical("bitwise_or", a, b),
    "__xor__": lambda a, b: comparing.logical("bitwise_xor", a, b),
    "__rxor__": lambda a, b: comparing.logical("bitwise_xor", a, b),
    "__invert__": lambda a: comparing.logical("invert", a),
    "__abs__": lambda a: a.abs(),
}
"""Operators beside those of `tensor.py`."""


def _in_place(symbol: str, operation: str):
    def change(x: Tensor, other):
        if is_recording():
            if x.requires_grad and x.grad_fn is None:
                raise RuntimeError(
                    f"{symbol} on a leaf that requires a gradient: inside `with no_grad():` it "
                    f"changes the leaf in place; to compute with it, write y = x {symbol[0]} ..."
                )
            return getattr(x, operation)(other)  # a new tensor, so that backward can follow
        result = getattr(x, operation)(other)
        if result.shape != x.shape or not np.can_cast(result.dtype, x.dtype, "same_kind"):
            raise ValueError(
                f"{symbol}: a tensor {x.shape} of {x.dtype} cannot hold the result, {result.shape} "
                f"of {result.dtype}"
            )
        x.data[...] = result.data
        return x

    change.__name__ = operation.replace("__", "__i", 1)
    change.__doc__ = f"x {symbol} other: in place inside `no_grad()`, else a new tensor."
    return change


IN_PLACE = [
    _in_place(symbol, operation)
    for symbol, operation in (
        ("+=", "__add__"),
        ("-=", "__sub__"),
        ("*=", "__mul__"),
        ("/=", "__truediv__"),
        ("**=", "__pow__"),
    )
]


def permute(x: Tensor, *axes) -> Tensor:
    """The axes in this order, each named once."""
    return operators.transpose(x, named.lengths("permute", axes))


def tolist(x: Tensor):
    """The elements as nested lists of Python's numbers."""
    return x.numpy().tolist()


def astype(x: Tensor, dtype) -> Tensor:
    """The same numbers in another dtype; the gradient comes back in the dtype of x."""
    return operators.cast(x, np.dtype(dtype))


def type_as(x: Tensor, other: Tensor) -> Tensor:
    """x in the dtype of `other`."""
    return operators.cast(x, other.dtype)


def clone(x: Tensor) -> Tensor:
    """A copy with memory of its own, through which the gradient flows."""
    return x * x.dtype.type(1) if x.requires_grad else Tensor(backend.copied(x.data))


def requires_grad_(x: Tensor, requires_grad: bool = True) -> Tensor:
    """Have `backward` compute a gradient for this leaf, or no longer; returns x."""
    if x.grad_fn is not None:
        raise RuntimeError(
            "requires_grad_: only a leaf can be changed, but this tensor was computed from others; "
            "use detach()"
        )
    x.requires_grad = Tensor(x.data, requires_grad).requires_grad
    return x


def contiguous(x: Tensor) -> Tensor:
    """x itself: the memory layout of arrays is looked after by every operation."""
    return x


def t(x: Tensor) -> Tensor:
    """The transpose of a matrix; a vector stays."""
    if x.ndim > 2:
        raise ValueError(f"t: a matrix has two axes, but this tensor is {x.shape}; use transpose")
    return x.transpose()


def numel(x: Tensor) -> int:
    """How many elements there are."""
    return int(x.size)


def dim(x: Tensor) -> int:
    """How many axes there are."""
    return x.ndim


def logical_not(x: Tensor) -> Tensor:
    """Whether each element is 0."""
    return x == 0


def round_(x: Tensor, decimals: int = 0) -> Tensor:
    """The nearest number with `decimals` decimals to every element; of two, the even one."""
    decimals = integer("round", "decimals", decimals)
    if decimals == 0 or (x.dtype.kind in "iub" and decimals > 0):
        return operators.unary("round", x)
    factor = 10.0 ** abs(decimals)
    if decimals > 0:
        return operators.unary("round", x * factor) / factor
    return operators.unary("round", x / factor) * factor


def add(x: Tensor, other, *, alpha: float = 1) -> Tensor:
    """x + alpha other."""
    return x + (other if alpha == 1 else alpha * as_tensor(other))


def sub(x: Tensor, other, *, alpha: float = 1) -> Tensor:
    """x - alpha other."""
    return x - (other if alpha == 1 else alpha * as_tensor(other))


def div(x: Tensor, other, *, rounding_mode: str | None = None) -> Tensor:
    """x / other; "floor" or "trunc" rounds the quotient down, or towards zero."""
    if rounding_mode not in (None, "floor", "trunc"):
        raise ValueError(
            f"div: rounding_mode must be None, 'floor' or 'trunc', but is {rounding_mode!r}"
        )
    if rounding_mode is None:
        return x / other
    if rounding_mode == "floor":
        return x // other
    x, other = operators.operands("div", x, other)
    quotient = x.abs() // other.abs() * x.sign() * other.sign()
    return quotient.astype(x.dtype)


def square(x: Tensor) -> Tensor:
    """x^2 of every element."""
    return x * x


def reciprocal(x: Tensor) -> Tensor:
    """1 / x of every element."""
    return 1 / x


def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x) of every element."""
    return 1 / x.sqrt()


def view_as(x: Tensor, other: Tensor) -> Tensor:
    """x in the shape of `other`."""
    return x.reshape(other.shape)


def expand_as(x: Tensor, other: Tensor) -> Tensor:
    """x broadcast to the shape of `other`."""
    return shaping.expand(x, other.shape)


def addmm(x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta x + alpha (a @ b)."""
    return beta * x + alpha * (a @ b)


OWN = (permute, tolist, astype, type_as, clone, requires_grad_, contiguous, t, numel, dim)
OTHERS = (logical_not, add, sub, div, square, reciprocal, rsqrt, view_as, expand_as, addmm)
PROPERTIES = {
    "is_leaf": (lambda x: x.grad_fn is None, "Whether no operation made this tensor."),
    "device": (placement.device, '"cpu", or "cuda" for an array on a GPU.'),
    "mT": (lambda x: x.transpose(-2, -1), "The transpose of the matrices of the last two axes."),
    "itemsize": (lambda x: x.dtype.itemsize, "Bytes of one element."),
    "nbytes": (lambda x: x.data.nbytes, "Bytes of all elements."),
}


def _unary(kind: str, meaning: str):
    def method(x):
        return operators.unary(kind, x)

    method.__name__, method.__qualname__, method.__doc__ = kind, f"Tensor.{kind}", meaning
    return method


FREE = """
abs acos acosh add addmm all amax amin any asin asinh atan atanh bmm broadcast_to ceil clone cos
cosh cumsum diagonal div divide dot eq erf exp exp2 expand_as expm1 flatten floor ge gt
index_select le log log10 log1p log2 logical_not lt masked_fill matmul max mean min mm mul
multiply mv ne neg numel outer permute pow prod reciprocal relu reshape roll round rsqrt sigmoid
sign sin sinh sqrt square sub subtract sum swapaxes t tan tanh tile trace transpose true_divide
trunc unbind
""".split()
"""Methods that are functions of `minires`, too: `mr.exp(x)` is `x.exp()`."""


def free() -> dict:
    """Functions of the first argument's methods, by name."""
    return {name: _free(name) for name in FREE}


def _free(name: str):
    method = getattr(Tensor, name)

    @wraps(method)
    def function(x, *args, **named):
        return method(as_tensor(x), *args, **named)

    function.__name__ = function.__qualname__ = name
    return function


def install() -> None:
    """Give Tensor all of these methods."""
    for name, meaning in UNARY.items():
        setattr(Tensor, name, _unary(name, meaning))
    for module, names in BY_NAME.items():
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    for method in (*OWN, *OTHERS, *IN_PLACE):
        setattr(Tensor, method.__name__, method)
    for name, method in (OPERATORS | placement.CONVERSIONS).items():
        setattr(Tensor, name, method)
    for name, (value, meaning) in PROPERTIES.items():
        setattr(Tensor, name, property(value, doc=meaning))
    Tensor.round = round_  # type: ignore[attr-defined]
    Tensor.prod = statistics.product  # type: ignore[attr-defined]
    Tensor.any, Tensor.all = comparing.any_of, comparing.all_of  # type: ignore[attr-defined]
    for name, meant in OTHER_NAMES.items():
        setattr(Tensor, name, getattr(Tensor, meant))


install()
