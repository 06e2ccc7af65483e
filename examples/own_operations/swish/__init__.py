"""Swish (Ramachandran, Zoph and Le 2017): a smooth ReLU; with beta = 1 it is also called SiLU.

    s = 1 / (1 + exp(-beta x))        y = x s

forward(x, beta) -> (y, saved)
    saved = (x, s, beta)
backward(dy, saved, needs) -> (dx,)

The sigmoid's derivative is ds/dx = beta s (1 - s), so dx = dy (s + beta x s (1 - s)).
"""
