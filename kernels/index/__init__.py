"""Indexing, y = x[key], with NumPy's keys: integers, slices, None, ..., integer and bool arrays.

forward(x, key) -> (y, saved);  saved = (x.shape, key)
    key: a copy, since the backward writes where it says
backward(dy, saved, needs) -> (dx,)

y picks elements of x; dx is zero but for the picked places, where it is dy, summed over all picks
of the same element.
"""
