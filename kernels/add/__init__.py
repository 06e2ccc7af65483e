"""Sum of two arrays with broadcasting; between equal shapes it is the residual addition.

    c = a + b        a, b broadcast to the shape of c (NumPy's rules)

forward(a, b) -> (c, saved);  saved = (shape of a, shape of b)
backward(dc, saved, needs) -> (da, db)

Each operand's gradient is dc, summed over the axes along which the operand was broadcast: a value
used k times receives k gradients. Between equal shapes both gradients are dc itself: a residual
connection hands its gradient to both branches undiminished.
"""
