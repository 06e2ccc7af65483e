"""Two-operand arithmetic in array code."""

import operator

from minires.kernels.arrays import array_module, unbroadcast

COMPUTE = {
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
}


def forward(a, b, kind):
    """c = a (kind) b."""
    c = COMPUTE[kind](a, b)
    arrays = {"sub": (None, None, None), "mul": (a, b, None), "div": (None, b, c)}
    return c, (a.shape, b.shape, *arrays.get(kind, (a, b, c)), kind)


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
    xp = array_module(a)
    flat = (a == 0) & (b >= 0)
    return dc * xp.where(flat, 0, c * xp.log(xp.where(flat, 1, a)))
