"""Cumulative sums in array code."""

from minires.kernels.arrays import array_module


def forward(x, axis):
    """y = cumulative sums of x, in the dtype of x (long sums of float32 in float64)."""
    return x.cumsum(axis=axis, dtype=_wide(x)).astype(x.dtype), (axis,)


def backward(dy, saved, needs=(True,)):
    """dx: the sums from the end."""
    (axis,) = saved
    flip = array_module(dy).flip
    return (flip(flip(dy, axis).cumsum(axis=axis, dtype=_wide(dy)), axis).astype(dy.dtype),)


def _wide(x):
    return "f8" if x.dtype.kind == "f" else x.dtype
