"""The affine map in array code.

See docs/decisions/cpu.md, "Linear stays with BLAS".
"""

from math import prod

from minires.kernels.arrays import column_sum


def forward(x, w, b=None):
    """y = x w + b."""
    y = x @ w
    if b is not None:
        y += b
    return y, (x, w, b is not None)


def backward(dy, saved, needs=(True, True, True)):
    """(dx, dw, db), db only where there is a bias."""
    x, w, has_bias = saved
    dx = dy @ w.T if needs[0] else None
    rows = prod(x.shape[:-1])  # -1 would be undefined for no features
    dw = x.reshape(rows, w.shape[0]).T @ dy.reshape(rows, w.shape[1]) if needs[1] else None
    return (dx, dw, column_sum(dy)) if has_bias else (dx, dw)
