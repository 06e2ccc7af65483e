"""Normalisation over some axes in array code."""

from minires.kernels.arrays import array_module


def forward(x, axis, eps):
    """y with mean 0 and variance 1; the mean is taken twice, so that x may lie far from 0."""
    xp = array_module(x)
    centred = x - x.mean(axis=axis, keepdims=True)
    centred -= centred.mean(axis=axis, keepdims=True)  # what rounding left of the mean
    var = (centred * centred).mean(axis=axis, keepdims=True)
    inv_std = 1 / xp.sqrt(var + x.dtype.type(eps))
    y = centred * inv_std
    return y, (y, inv_std, axis)


def backward(dy, saved, needs=(True,)):
    """dx by the formula in `__init__.py`."""
    y, inv_std, axis = saved
    mean = dy.mean(axis=axis, keepdims=True)
    along_y = (dy * y).mean(axis=axis, keepdims=True)
    return (inv_std * (dy - mean - y * along_y),)
