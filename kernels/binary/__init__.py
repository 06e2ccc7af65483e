"""Arithmetic between two arrays with broadcasting (`+` has a room of its own, `add`).

    kind    c =        da =                db =
    sub     a - b      dc                  -dc
    mul     a b        dc b                dc a
    div     a / b      dc / b              -dc c / b
    pow     a^b        dc b a^(b-1)        dc c log(a)
    maximum max(a, b)  dc where a > b      dc where b > a        half of dc each where a = b
    minimum min(a, b)  dc where a < b      dc where b < a        half of dc each where a = b
    floordiv  floor(a / b)  0              0
    mod     a - b floor(a / b)  dc         -dc floor(a / b)

each summed down to its operand's shape (see `add`). The gradient of pow to b needs a > 0; where
a = 0 and b >= 0 it is taken as 0, the limit for b > 0. Where b = 0 the gradient to a is 0, whatever
a is: a^0 = 1 everywhere, at infinity and NaN, too. All as in PyTorch.

forward(a, b, kind) -> (c, saved)
    saved = (a.shape, b.shape, a, b, c, kind), of the arrays only those that the table names
backward(dc, saved, needs) -> (da, db)
"""
