"""Products over some axes.

    y = product over i of x_i        dx_i = dy times the product of all x_j with j != i

The product of the others is that of those before i times that of those behind i. So a zero needs no
division: with one zero among the x only its own gradient is not 0.

forward(x, axis, keepdims) -> (y, saved);  axis: a tuple of axes
    saved = (x, axis)
backward(dy, saved, needs) -> (dx,)
"""
