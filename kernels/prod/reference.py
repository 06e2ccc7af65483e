"""Products in array code."""

from math import prod

from minires.kernels.arrays import array_module


def forward(x, axis, keepdims):
    """y = product of x over `axis`."""
    return array_module(x).asarray(x.prod(axis=axis, keepdims=keepdims)), (x, axis)


def backward(dy, saved, needs=(True,)):
    """dx: dy times the product of the others."""
    x, axis = saved
    xp = array_module(x)
    others = [i for i in range(x.ndim) if i not in axis]
    order = (*others, *axis)
    rows = x.transpose(order)
    shape = rows.shape
    rows = rows.reshape(*shape[: len(others)], prod(shape[len(others) :]))
    before, behind = xp.ones_like(rows), xp.ones_like(rows)
    before[..., 1:] = rows[..., :-1].cumprod(axis=-1)
    behind[..., :-1] = rows[..., :0:-1].cumprod(axis=-1)[..., ::-1]
    dx = dy.reshape(*shape[: len(others)], 1) * (before * behind)
    inverse = sorted(range(x.ndim), key=order.__getitem__)
    return (dx.reshape(shape).transpose(inverse),)
