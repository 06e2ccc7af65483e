"""Max pooling: each output row looks at its windows once; threads share images."""

import numpy as np
from numba import prange

from minires.kernels.arrays import output_size
from minires.kernels.jit import jit
from minires.kernels.memory import empty


def forward(x, kernel, stride, padding=(0, 0)):
    """y and the position of each winner."""
    ho, wo = (
        output_size(*size) for size in zip(x.shape[1:3], kernel, stride, padding, strict=True)
    )
    y = empty((len(x), ho, wo, x.shape[3]), x.dtype)
    winner = empty(y.shape, np.int32)
    _largest(x, y, winner, tuple(kernel), tuple(stride), tuple(padding))
    return y, (winner, x.shape, kernel, stride, padding)


def backward(dy, saved, needs=(True,)):
    """Send dy to the winners."""
    winner, shape, kernel, stride, padding = saved
    dx = empty(shape, dy.dtype)
    _to_winners(dy, winner, dx, tuple(kernel), tuple(stride), tuple(padding))
    return (dx,)


@jit(parallel=True)
def _largest(x, y, winner, kernel, stride, padding):
    height, width, channels = x.shape[1:]
    for n in prange(len(x)):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                first = True
                for i in range(kernel[0]):
                    for j in range(kernel[1]):
                        h, w = p * stride[0] + i - padding[0], q * stride[1] + j - padding[1]
                        if h < 0 or h >= height or w < 0 or w >= width:
                            continue
                        for c in range(channels):
                            value, best = x[n, h, w, c], y[n, p, q, c]
                            if first or value > best or (value != value and best == best):
                                y[n, p, q, c] = value
                                winner[n, p, q, c] = i * kernel[1] + j
                        first = False


@jit(parallel=True)
def _to_winners(dy, winner, dx, kernel, stride, padding):
    for n in prange(len(dx)):
        dx[n] = 0
        for p in range(dy.shape[1]):
            for q in range(dy.shape[2]):
                for c in range(dy.shape[3]):
                    i, j = divmod(winner[n, p, q, c], kernel[1])
                    h, w = p * stride[0] + i - padding[0], q * stride[1] + j - padding[1]
                    dx[n, h, w, c] += dy[n, p, q, c]
