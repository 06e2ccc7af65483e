"""Average pooling, one image at a time; threads share images."""

import numpy as np
from numba import prange

from minires.kernels.arrays import output_size
from minires.kernels.jit import jit
from minires.kernels.memory import empty


def forward(x, kernel, stride, padding=(0, 0)):
    """y, the mean of every window."""
    ho, wo = (
        output_size(*size) for size in zip(x.shape[1:3], kernel, stride, padding, strict=True)
    )
    y = empty((len(x), ho, wo, x.shape[3]), x.dtype)
    _means(x, y, tuple(kernel), tuple(stride), tuple(padding))
    return y, (x.shape, kernel, stride, padding)


def backward(dy, saved, needs=(True,)):
    """Spread dy / (KH KW) over each window."""
    shape, kernel, stride, padding = saved
    dx = empty(shape, dy.dtype)
    _spread(dy, dx, tuple(kernel), tuple(stride), tuple(padding))
    return (dx,)


@jit
def _inside(start, kernel, size):
    """The part of a window along one axis that lies on the image."""
    return max(start, 0), min(start + kernel, size)


@jit(parallel=True)
def _means(x, y, kernel, stride, padding):
    for n in prange(len(x)):
        total = np.empty(x.shape[3])  # float64: windows may be large
        for p in range(y.shape[1]):
            top, bottom = _inside(p * stride[0] - padding[0], kernel[0], x.shape[1])
            for q in range(y.shape[2]):
                left, right = _inside(q * stride[1] - padding[1], kernel[1], x.shape[2])
                total[:] = 0
                for h in range(top, bottom):
                    for w in range(left, right):
                        for c in range(x.shape[3]):
                            total[c] += x[n, h, w, c]
                for c in range(x.shape[3]):
                    y[n, p, q, c] = total[c] / (kernel[0] * kernel[1])


@jit(parallel=True)
def _spread(dy, dx, kernel, stride, padding):
    for n in prange(len(dx)):
        dx[n] = 0
        for p in range(dy.shape[1]):
            top, bottom = _inside(p * stride[0] - padding[0], kernel[0], dx.shape[1])
            for q in range(dy.shape[2]):
                left, right = _inside(q * stride[1] - padding[1], kernel[1], dx.shape[2])
                for h in range(top, bottom):
                    for w in range(left, right):
                        for c in range(dx.shape[3]):
                            dx[n, h, w, c] += dy[n, p, q, c] / (kernel[0] * kernel[1])
