"""One-operand functions in array code."""

import numpy as np

from minires.kernels.arrays import array_module
from minires.kernels.unary.erf import erf

WITHOUT_X = ("neg", "floor", "ceil", "round", "trunc", "sign")
WITH_Y = ("exp", "exp2", "sqrt", "tan")
OF_NUMPY = {name: name.replace("a", "arc", 1) for name in ("asin", "acos", "atan")}
OF_NUMPY |= {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}
"""What NumPy calls a kind, where it has another name for it."""

SLOPES = {
    "exp2": lambda xp, y: y * y.dtype.type(np.log(2)),
    "log2": lambda xp, x: 1 / (x * x.dtype.type(np.log(2))),
    "log10": lambda xp, x: 1 / (x * x.dtype.type(np.log(10))),
    "tan": lambda xp, y: 1 + y * y,
    "asin": lambda xp, x: 1 / xp.sqrt((1 - x) * (1 + x)),
    "acos": lambda xp, x: -1 / xp.sqrt((1 - x) * (1 + x)),
    "atan": lambda xp, x: 1 / (1 + x * x),
    "sinh": lambda xp, x: xp.cosh(x),
    "cosh": lambda xp, x: xp.sinh(x),
    "asinh": lambda xp, x: 1 / xp.hypot(x, xp.ones_like(x)),
    "acosh": lambda xp, x: 1 / (xp.sqrt(x - 1) * xp.sqrt(x + 1)),
    "atanh": lambda xp, x: 1 / ((1 - x) * (1 + x)),
}
"""Derivatives of the rarer kinds."""


def forward(x, kind):
    """y = kind(x)."""
    xp = array_module(x)
    if kind == "neg":
        y = -x
    elif kind == "sigmoid":
        z = xp.exp(-xp.abs(x))  # e^-x would overflow for large -x
        y = xp.where(x >= 0, 1, z) / (1 + z)
    elif kind == "erf":
        y = erf(x)
    else:
        y = getattr(xp, OF_NUMPY.get(kind, kind))(x)
    return y, (None if kind in WITHOUT_X else y if kind in WITH_Y else x, kind)


def backward(dy, saved, needs=(True,)):
    """dx by the table in `__init__.py`."""
    value, kind = saved
    return (_derivative_times(dy, value, kind),)


def _derivative_times(dy, value, kind):
    xp = array_module(dy)
    if kind == "neg":
        return -dy
    if kind in WITHOUT_X:
        return xp.zeros_like(dy)
    if kind in SLOPES:
        return dy * SLOPES[kind](xp, value)
    if kind == "abs":
        return dy * xp.sign(value)
    if kind == "exp":
        return dy * value
    if kind == "expm1":
        return dy * xp.exp(value)
    if kind == "log":
        return dy / value
    if kind == "log1p":
        return dy / (1 + value)
    if kind == "sqrt":
        return dy / (2 * value)
    if kind == "sin":
        return dy * xp.cos(value)
    if kind == "cos":
        return -dy * xp.sin(value)
    if kind == "erf":
        return dy * (xp.exp(-value * value) * dy.dtype.type(2 / np.sqrt(np.pi)))
    z = xp.exp((-2 if kind == "tanh" else -1) * xp.abs(value))
    return dy * ((4 if kind == "tanh" else 1) * z / (1 + z) ** 2)
