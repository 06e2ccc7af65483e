"""A constant border around an array.

    y[before_0 + i_0, before_1 + i_1, ...] = x[i_0, i_1, ...]    elsewhere the value
    dx = the part of dy where x lies

forward(x, widths, value) -> (y, saved);  widths: (before, after), not negative, for each axis
    saved = (x.shape, widths)
backward(dy, saved, needs) -> (dx,)
"""
