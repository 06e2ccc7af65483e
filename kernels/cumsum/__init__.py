"""Cumulative sums along one axis.

    y_i = sum over j <= i of x_j        dx_j = sum over i >= j of dy_i

x_j is part of every y_i from i = j on: its gradient is the same sum, taken from the end.

forward(x, axis) -> (y, saved);  axis: int;  saved = (axis,)
backward(dy, saved, needs) -> (dx,)
"""
