"""Concatenation in array code."""

from itertools import accumulate

from minires.kernels.arrays import array_module


def forward(*arrays, axis):
    """y holds all arrays, one behind the other."""
    lengths = tuple(x.shape[axis] for x in arrays)
    return array_module(arrays[0]).concatenate(arrays, axis), (lengths, axis)


def backward(dy, saved, needs):
    """Each input's part of dy."""
    lengths, axis = saved
    before = (slice(None),) * axis
    starts = accumulate(lengths, initial=0)
    return tuple(
        dy[(*before, slice(start, start + length))].copy() if need else None
        for start, length, need in zip(starts, lengths, needs, strict=False)
    )
