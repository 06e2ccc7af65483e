"""Reductions in array code."""

from math import prod

import numpy as np

from minires.kernels.arrays import array_module, sum_over


def forward(x, axis, keepdims, kind):
    """y = sum, mean or max of x over `axis`."""
    if kind == "max":
        kept = x.max(axis=axis, keepdims=True)
        remaining = [n for i, n in enumerate(x.shape) if i not in axis]
        y = kept if keepdims else kept.reshape(remaining)
        return y, (x.shape, axis, kind, x, kept)
    y = sum_over(x, axis, keepdims)
    if kind == "mean":
        n = prod(x.shape[i] for i in axis)
        y = y / n if n else array_module(x).full_like(y, np.nan)
    return array_module(x).asarray(y, x.dtype), (x.shape, axis, kind, None, None)


def backward(dy, saved, needs=(True,)):
    """dx: dy broadcast back, divided or shared out."""
    shape, axis, kind, x, kept = saved
    xp = array_module(dy)
    dy = dy.reshape([1 if i in axis else n for i, n in enumerate(shape)])
    if kind == "max":
        winners = (x == kept) | ((x != x) & (kept != kept))  # where there is a NaN, it has won
        return (winners * (dy / winners.sum(axis=axis, keepdims=True, dtype=dy.dtype)),)
    if kind == "mean":
        dy = dy / max(1, prod(shape[i] for i in axis))
    return (xp.broadcast_to(dy, shape).copy(),)
