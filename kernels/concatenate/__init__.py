"""Arrays one behind the other along an axis that exists already.

    y = x_1, x_2, ..., x_n along `axis`        dx_i = the part of dy that came from x_i

forward(*arrays, axis) -> (y, saved)
    arrays : of one dtype; their shapes agree in all other axes
    axis : int, not negative
    saved = (lengths along axis, axis)
backward(dy, saved, needs) -> (dx_1, ..., dx_n)
"""
