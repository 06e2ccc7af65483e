"""The choice between two arrays in array code."""

from minires.kernels.arrays import array_module, unbroadcast


def forward(a, b, condition):
    """y = condition ? a : b."""
    condition = condition.copy()
    return array_module(a).where(condition, a, b), (a.shape, b.shape, condition)


def backward(dy, saved, needs=(True, True)):
    """dy to the operand that was chosen."""
    a_shape, b_shape, condition = saved
    where, zero = array_module(dy).where, dy.dtype.type(0)
    da = unbroadcast(where(condition, dy, zero), a_shape) if needs[0] else None
    db = unbroadcast(where(condition, zero, dy), b_shape) if needs[1] else None
    return da, db
