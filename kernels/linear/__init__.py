"""Affine map of the last axis.

    x (..., I)    w (I, O)    b (O,) or None    y (..., O)        y = x w + b

forward(x, w, b=None) -> (y, saved);  saved = (x, w, whether there is a b)
backward(dy, saved, needs) -> (dx, dw, db)

With all leading axes flattened to rows: y_ro = sum_i x_ri w_io + b_o, hence
dx = dy w^T, dw = x^T dy, db = sum of dy over the rows.
"""
