"""Rectified linear unit, y = max(x, 0), any shape.

forward(x) -> (y, saved);  saved = (y,): the sign of y tells where x was positive
backward(dy, saved, needs) -> (dx,)

dx = dy where x > 0, else 0. The kink at x = 0 takes the subgradient 0, and where x is NaN the
gradient passes, as in PyTorch.
A NaN in x stays a NaN in y.
"""
