"""Functions of one array, element by element.

    kind       y =                      dx =
    neg        -x                       -dy
    abs        |x|                      dy sign(x), 0 at the kink x = 0
    exp        e^x                      dy y
    expm1      e^x - 1                  dy e^x
    log        natural log x            dy / x
    log1p      log(1 + x)               dy / (1 + x)
    sqrt       sqrt x                   dy / (2 y)
    exp2       2^x                      dy y log 2
    log2       logarithm to base 2      dy / (x log 2)
    log10      logarithm to base 10     dy / (x log 10)
    sin        sin x                    dy cos x
    cos        cos x                    -dy sin x
    tan        tan x                    dy (1 + y^2)
    asin       arc sine x               dy / sqrt((1 - x) (1 + x))
    acos       arc cosine x             -dy / sqrt((1 - x) (1 + x))
    atan       arc tangent x            dy / (1 + x^2)
    sinh       (e^x - e^-x) / 2         dy cosh x
    cosh       (e^x + e^-x) / 2         dy sinh x
    asinh      inverse of sinh          dy / sqrt(1 + x^2)
    acosh      inverse of cosh, >= 0    dy / (sqrt(x - 1) sqrt(x + 1))
    atanh      inverse of tanh          dy / ((1 - x) (1 + x))
    tanh       tanh x                   dy 4 z / (1 + z)^2, z = e^(-2 |x|)
    sigmoid    1 / (1 + e^-x)           dy z / (1 + z)^2, z = e^-|x|
    erf        the error function       dy 2 e^(-x^2) / sqrt(pi)
    floor, ceil, round, trunc, sign     0: they are constant but for their jumps

The derivatives of tanh and sigmoid are 1 - y^2 and y (1 - y). Those would be 0 where y rounds to 1;
written with z they keep all their digits, as y itself does.

forward(x, kind) -> (y, saved);  saved = (x or y, kind): y where the derivative is written with y,
    None where it needs neither
backward(dy, saved, needs) -> (dx,)
"""
