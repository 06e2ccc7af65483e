"""ReLU in Numba-CUDA: each thread visits elements a whole grid apart."""

from numba import cuda

from minires.kernels.arrays import array_module
from minires.kernels.numba_grid import visit


def forward(x):
    """y = max(x, 0)."""
    y = array_module(x).empty(x.shape, x.dtype)
    visit(_forward, x.size, x.reshape(-1), y.reshape(-1))
    return y, (y,)


def backward(dy, saved, needs=(True,)):
    """dx = dy where y is positive, or NaN."""
    (y,) = saved
    dx = array_module(dy).empty(dy.shape, dy.dtype)
    visit(_backward, dy.size, dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return (dx,)


@cuda.jit
def _forward(x, y):
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[i] = x.dtype.type(0) if x[i] <= 0 else x[i]  # a NaN is not <= 0, and stays


@cuda.jit
def _backward(dy, y, dx):
    for i in range(cuda.grid(1), dy.size, cuda.gridsize(1)):
        dx[i] = dy.dtype.type(0) if y[i] <= 0 else dy[i]
