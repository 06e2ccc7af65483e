"""The matrix product in array code."""

from minires.kernels.arrays import unbroadcast


def forward(a, b):
    """c = a b."""
    return a @ b, (a, b)


def backward(dc, saved, needs=(True, True)):
    """da = dc b^T, db = a^T dc."""
    a, b = saved
    da = unbroadcast(dc @ b.swapaxes(-1, -2), a.shape) if needs[0] else None
    db = unbroadcast(a.swapaxes(-1, -2) @ dc, b.shape) if needs[1] else None
    return da, db
