"""Sum, mean and maximum over some axes.

    x any shape    axis: a tuple of axes, all of them for a full reduction    keepdims: bool

    kind    dx (n = values per result)
    sum     dy
    mean    dy / n
    max     dy where x is the maximum, shared equally among equal values (PyTorch's `amax`); else 0

with dy broadcast back over the reduced axes.

forward(x, axis, keepdims, kind) -> (y, saved)
    saved = (x.shape, axis, kind) + (x, y with kept axes) for max, + (None, None) otherwise
backward(dy, saved, needs) -> (dx,)
"""
