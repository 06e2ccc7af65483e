"""Pooling with any windows: dilated, cut off at the border, or of unequal sizes (adaptive).

    x (N, H, W, C)    rows (Ho, KH)    columns (Wo, KW)    y (N, Ho, Wo, C)

`rows[p]` lists the rows of x that the windows of output row p see, `columns[q]` the columns; -1
stands for a pixel outside of the image, or for none. So a window is the set

    S(p,q) = {(a, b): a in rows[p], b in columns[q], a and b not -1}

    kind "max"    y[n,p,q,c] = max over S(p,q) of x[n,a,b,c]
    kind "avg"    y[n,p,q,c] = sum over S(p,q) of x[n,a,b,c] / divisor[p,q]

Every S has a pixel. Of equal maxima the first receives the gradient; a NaN is larger than all.

forward(x, rows, columns, kind, divisor) -> (y, saved)
    saved = (x.shape, winner or None, rows, columns, divisor); winner: the number a W + b
backward(dy, saved, needs) -> (dx,)

The sum over a window is a sum over its rows and then over its columns. Each pixel receives from
every window that holds it dy / divisor, or all of dy where it is the winner.
"""
