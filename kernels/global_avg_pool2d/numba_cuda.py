"""Global average pooling in Numba-CUDA: a thread sums one channel of one image; its neighbours, the
channels beside it, read the memory beside its own."""

from numba import cuda

from minires.kernels.arrays import array_module
from minires.kernels.numba_grid import visit


def forward(x):
    """y = the mean of each channel of each image."""
    n, h, w, c = x.shape
    y = array_module(x).empty((n, c), x.dtype)
    visit(_forward, y.size, x.reshape(n, h * w, c), y)
    return y, (x.shape,)


def backward(dy, saved, needs=(True,)):
    """dx = dy / (H W) at every pixel."""
    ((n, h, w, c),) = saved
    dx = array_module(dy).empty((n, h, w, c), dy.dtype)
    visit(_backward, dx.size, dy, dx.reshape(n, h * w, c))
    return (dx,)


@cuda.jit
def _forward(x, y):
    pixels, channels = x.shape[1:]
    for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        n, c = e // channels, e % channels
        total, lost = x.dtype.type(0), x.dtype.type(0)
        for pixel in range(pixels):  # what rounding loses is added to the next (Kahan 1965)
            number = x[n, pixel, c] - lost
            before, total = total, total + number
            lost = (total - before) - number
        y[n, c] = total / x.dtype.type(pixels)


@cuda.jit
def _backward(dy, dx):
    pixels, channels = dx.shape[1:]
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        n, pixel, c = e // channels // pixels, e // channels % pixels, e % channels
        dx[n, pixel, c] = dy[n, c] / dx.dtype.type(pixels)
