"""The rest of Tensor's methods: those of `shaping`, `statistics` and `kernels/unary`, by name.

`tensor.py` has what automatic differentiation and the operators need. Importing this file adds the
rest to the class, each with the function's own docstring; the first argument is the tensor.
"""

import numpy as np

from minires import backend, operators, shaping, statistics
from minires.tensor import Tensor

UNARY = {
    "sin": "Sine of every element (an angle in radians).",
    "cos": "Cosine of every element (an angle in radians).",
    "erf": "The error function of every element.",
    "expm1": "e^x - 1 of every element, exact for small x.",
    "log1p": "log(1 + x) of every element, exact for small x.",
    "floor": "The next integer below every element.",
    "ceil": "The next integer above every element.",
    "round": "The nearest integer to every element; of two as near, the even one.",
    "sign": "-1, 0 or 1 for every element.",
}
SHAPING = (
    "split chunk unsqueeze squeeze expand repeat movedim flip gather take unflatten"  # by name
).split()
STATISTICS = (
    "softmax log_softmax logsumexp argmax argmin amin var std cumsum norm clip"  # by name
).split()
OTHER_NAMES = {
    "view": "reshape",
    "min": "amin",
    "amax": "max",
    "clamp": "clip",
    "moveaxis": "movedim",
    "tile": "repeat",
    "broadcast_to": "expand",
    "absolute": "abs",
}
"""A second name -> the method that it stands for."""


def permute(x: Tensor, *axes) -> Tensor:
    """The axes in this order, each named once."""
    return operators.transpose(x, axes)


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


OWN = (permute, tolist, astype, type_as, clone, requires_grad_)


def _unary(kind: str, meaning: str):
    def method(x):
        return operators.unary(kind, x)

    method.__name__, method.__doc__ = kind, meaning
    return method


def install() -> None:
    """Give Tensor all of these methods."""
    for name, meaning in UNARY.items():
        setattr(Tensor, name, _unary(name, meaning))
    for module, names in ((shaping, SHAPING), (statistics, STATISTICS)):
        for name in names:
            setattr(Tensor, name, getattr(module, name))
    for method in OWN:
        setattr(Tensor, method.__name__, method)
    Tensor.prod = statistics.product  # type: ignore[attr-defined]
    for name, meant in OTHER_NAMES.items():
        setattr(Tensor, name, getattr(Tensor, meant))


install()
