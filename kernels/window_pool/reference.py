"""Pooling with any windows in array code."""

import numpy as np

from minires.kernels.arrays import array_module


def forward(x, rows, columns, kind, divisor=None):
    """y, and for a maximum the number of each winning pixel."""
    if kind == "max":
        y, winner = _largest(x, rows, columns)
    else:
        xp, winner = array_module(x), None
        total = _sum_of(_sum_of(x, 1, rows), 2, columns)
        y = (total / xp.asarray(divisor)[:, :, None]).astype(x.dtype)
    return y, (x.shape, winner, rows, columns, divisor)


def backward(dy, saved, needs=(True,)):
    """dx: every window's share to its pixels."""
    shape, winner, rows, columns, divisor = saved
    xp = array_module(dy)
    n, h, w, c = shape
    if winner is None:
        share = dy / xp.asarray(divisor, dy.dtype)[:, :, None]
        by_column = _spread(share, 2, columns, w)
        return (_spread(by_column, 1, rows, h),)
    dx = xp.zeros((n, h * w, c), dy.dtype)
    images, channels = xp.arange(n)[:, None, None, None], xp.arange(c)
    xp.add.at(dx, (images, winner, channels), dy)
    return (dx.reshape(shape),)


def _sum_of(x, axis, places):
    """Sums of x along an axis over the places of each window, in float64."""
    xp = array_module(x)
    shape = list(x.shape)
    shape[axis] = len(places)
    total = xp.zeros(shape, np.float64)
    for chosen in places.T:
        inside = np.flatnonzero(chosen >= 0)
        total[_at(axis, inside)] += x[_at(axis, chosen[inside])]
    return total


def _spread(dy, axis, places, length):
    """The adjoint of `_sum_of`: each window's gradient at all of its places."""
    xp = array_module(dy)
    shape = list(dy.shape)
    shape[axis] = length
    dx = xp.zeros(shape, dy.dtype)
    for chosen in places.T:
        inside = np.flatnonzero(chosen >= 0)
        xp.add.at(dx, _at(axis, xp.asarray(chosen[inside])), dy[_at(axis, inside)])
    return dx


def _at(axis, indices):
    return (slice(None),) * axis + (indices,)


def _largest(x, rows, columns):
    """The largest pixel of every window, and its number."""
    xp, (n, _, w, c) = array_module(x), x.shape
    shape = (n, len(rows), len(columns), c)
    y, winner = xp.full(shape, -np.inf, x.dtype), xp.full(shape, -1, np.int64)
    for a in rows.T:
        for b in columns.T:
            pixel = x[:, a][:, :, b]
            number = xp.asarray(a[:, None] * w + b)[:, :, None]
            inside = xp.asarray((a >= 0)[:, None] & (b >= 0))[:, :, None]
            larger = (pixel > y) | (winner < 0) | (xp.isnan(pixel) & ~xp.isnan(y))
            larger &= inside
            y, winner = xp.where(larger, pixel, y), xp.where(larger, number, winner)
    return y, winner
