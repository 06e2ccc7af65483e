"""Largest value of every window.

    x (N, H, W, C)    y (N, Ho, Wo, C)    kernel (KH, KW)    stride (sh, sw)    padding (ph, pw)

    y[n,p,q,c] = max over i,j of xp[n, p sh + i, q sw + j, c],   xp = x padded with -infinity

Ho, Wo as for conv2d; ph < KH and pw < KW, so every window holds a pixel of x.

forward(x, kernel, stride, padding) -> (y, saved)
    saved = (winner, x.shape, kernel, stride, padding)
    winner (N, Ho, Wo, C), an integer: the position i KW + j of the largest value in its window
backward(dy, saved, needs) -> (dx,)

Only the winner of a window reaches y, with derivative 1: dx is the sum of the dy of all windows
that a pixel won. Of equal values the first in row-major order wins, as in PyTorch's CPU kernel.
A NaN in a window wins it.
"""
