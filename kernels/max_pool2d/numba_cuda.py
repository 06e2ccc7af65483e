"""Max pooling in Numba-CUDA. Forward, a thread owns an output: it looks through its window.
Backward, a thread owns an input: it looks through the windows that may have chosen it."""

import numpy as np
from numba import cuda

from minires.kernels.arrays import array_module, output_size
from minires.kernels.numba_grid import visit


def forward(x, kernel, stride, padding=(0, 0)):
    """y and the position of each winner."""
    ho, wo = map(output_size, x.shape[1:3], kernel, stride, padding)
    xp, shape = array_module(x), (len(x), ho, wo, x.shape[3])
    y, winner = xp.empty(shape, x.dtype), xp.empty(shape, np.int32)
    visit(_forward, y.size, x, y, winner, (*kernel, *stride, *padding))
    return y, (winner, x.shape, kernel, stride, padding)


def backward(dy, saved, needs=(True,)):
    """Each pixel collects from the windows that it won."""
    winner, shape, kernel, stride, padding = saved
    dx = array_module(dy).empty(shape, dy.dtype)
    visit(_backward, dx.size, dy, winner, dx, (*kernel, *stride, *padding))
    return (dx,)


@cuda.jit
def _forward(x, y, winner, how):
    kh, kw, sh, sw, ph, pw = how
    _, height, width, _ = x.shape
    _, rows, columns, channels = y.shape
    for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        c, q, p = e % channels, e // channels % columns, e // channels // columns % rows
        n = e // channels // columns // rows
        best, position = x.dtype.type(0), -1
        for i in range(kh):
            for j in range(kw):
                h, w = p * sh + i - ph, q * sw + j - pw
                if h < 0 or h >= height or w < 0 or w >= width:
                    continue
                value = x[n, h, w, c]
                first_nan = value != value and best == best  # a NaN wins, the first one
                if position < 0 or value > best or first_nan:
                    best, position = value, i * kw + j
        y[n, p, q, c] = best
        winner[n, p, q, c] = position


@cuda.jit
def _backward(dy, winner, dx, how):
    kh, kw, sh, sw, ph, pw = how
    _, rows, columns, _ = dy.shape
    _, height, width, channels = dx.shape
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, w, h = e % channels, e // channels % width, e // channels // width % height
        n = e // channels // width // height
        total = dx.dtype.type(0)
        for i in range(kh):
            for j in range(kw):
                top, left = h + ph - i, w + pw - j
                if top < 0 or left < 0 or top % sh != 0 or left % sw != 0:
                    continue
                p, q = top // sh, left // sw
                if p < rows and q < columns and winner[n, p, q, c] == i * kw + j:
                    total += dy[n, p, q, c]
        dx[n, h, w, c] = total
