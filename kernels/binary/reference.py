"""Two-operand arithmetic in array code."""

import operator

import numpy as np

from minires.kernels.arrays import array_module, unbroadcast

COMPUTE = {
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
}
KEPT = {"sub": "", "mul": "ab", "div": "bc", "pow": "abc", "floordiv": "", "mod": "ab"}
"""Which of the arrays a, b and c the backward needs."""


def forward(a, b, kind):
    """c = a (kind) b."""
    c = COMPUTE[kind](a, b)
    kept = KEPT.get(kind, "ab")
    arrays = [array if name in kept else None for name, array in zip("abc", (a, b, c), strict=True)]
    return c, (a.shape, b.shape, *arrays, kind)


def backward(dc, saved, needs=(True, True)):
    """(da, db) by the table in `__init__.py`."""
    a_shape, b_shape, a, b, c, kind = saved
    da = unbroadcast(_left(dc, a, b, kind), a_shape) if needs[0] else None
    db = unbroadcast(_right(dc, a, b, c, kind), b_shape) if needs[1] else None
    return da, db


def _left(dc, a, b, kind):
    if kind == "sub":
        return dc
    if kind == "mul":
        return dc * b
    if kind == "div":
        return dc / b
    if kind == "floordiv":
        return array_module(dc).zeros_like(dc)
    if kind == "mod":
        return dc
    if kind in ("maximum", "minimum"):
        return dc * _share(a, b, kind)
    where = array_module(a).where
    slope = b * a ** where(b == 0, 1, b - 1)
    return dc * where(b == 0, 0, slope)  # also at a = 0 or infinite, where 0 * inf would be NaN


def _right(dc, a, b, c, kind):
    if kind == "sub":
        return -dc
    if kind == "mul":
        return dc * a
    if kind == "div":
        return -dc * c / b
    if kind == "floordiv":
        return array_module(dc).zeros_like(dc)
    if kind == "mod":
        return -dc * (a // b)
    if kind in ("maximum", "minimum"):
        return dc * _share(b, a, kind)
    xp = array_module(a)
    flat = (a == 0) & (b >= 0)
    return dc * xp.where(flat, 0, c * xp.log(xp.where(flat, 1, a)))


def _share(own, other, kind):
    """Share of the gradient for `own`: 1 if it was chosen, 1/2 of a tie."""
    chosen = own > other if kind == "maximum" else own < other
    return chosen.astype(own.dtype) + (own == other) * own.dtype.type(0.5)
