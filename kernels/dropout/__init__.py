"""Dropout (Srivastava et al. 2014), scaled so that evaluation needs no change ("inverted").

    x, keep, y of one shape; keep is bool, drawn by the caller: True with probability 1 - p

    y = x * keep / (1 - p)

forward(x, keep, p) -> (y, saved);  saved = (keep, p)
backward(dy, saved, needs) -> (dx,)        dx = dy * keep / (1 - p): y is linear in x
"""
