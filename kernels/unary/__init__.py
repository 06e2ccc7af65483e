"""Functions of one array, element by element.

    kind       y =               dx =
    neg        -x                -dy
    exp        e^x               dy y
    log        natural log x     dy / x
    tanh       tanh x            dy (1 - y^2)
    sigmoid    1 / (1 + e^-x)    dy y (1 - y)
    sqrt       sqrt x            dy / (2 y)
    abs        |x|               dy sign(x), 0 at the kink x = 0

forward(x, kind) -> (y, saved);  saved = (x or y, kind): x for log and abs, y where the derivative
is written with y, None for neg
backward(dy, saved, needs) -> (dx,)
"""
