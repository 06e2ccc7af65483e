"""Softmax and its relatives in array code."""

import numpy as np

from minires.kernels.arrays import array_module


def forward(x, axis, kind):
    """y by the table in `__init__.py`."""
    xp = array_module(x)
    largest = x.max(axis=axis, keepdims=True, initial=-np.inf)
    shifted = x - (xp.where(xp.isfinite(largest), largest, 0) if kind == "logsumexp" else largest)
    powers = xp.exp(shifted)
    total = powers.sum(axis=axis, keepdims=True)
    if kind == "softmax":
        y = powers / total
    elif kind == "log_softmax":
        y = shifted - xp.log(total)
    else:
        with np.errstate(divide="ignore"):  # log 0 of a row of -inf is -inf
            y = xp.log(total) + xp.where(xp.isfinite(largest), largest, 0)
        y = xp.where(xp.isposinf(largest), largest, y)
    return y, (y, x if kind == "logsumexp" else None, axis, kind)


def backward(dy, saved, needs=(True,)):
    """dx by the table in `__init__.py`."""
    y, x, axis, kind = saved
    xp = array_module(dy)
    if kind == "softmax":
        return (y * (dy - (dy * y).sum(axis=axis, keepdims=True)),)
    if kind == "log_softmax":
        return (dy - xp.exp(y) * dy.sum(axis=axis, keepdims=True),)
    return (dy * xp.exp(x - y),)
