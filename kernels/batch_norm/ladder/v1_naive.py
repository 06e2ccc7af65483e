"""v1: a block for each channel, whose threads go down the rows; see `v1_naive.cu`."""

from numba import cuda

from minires.kernels.arrays import array_module
from minires.kernels.numba_grid import SIMULATED, launch

THREADS = 4 if SIMULATED else 256


def run(x):
    """(2, C), the sums of x and of its squares over the rows."""
    partial = array_module(x).empty((THREADS, 2, x.shape[1]), x.dtype)
    launch(sums, x.shape[1], THREADS, x, partial)
    return partial.sum(axis=0)


@cuda.jit
def sums(x, partial):
    c, own = cuda.blockIdx.x, cuda.threadIdx.x
    total, squares = x.dtype.type(0), x.dtype.type(0)
    for row in range(own, len(x), THREADS):
        total += x[row, c]
        squares += x[row, c] * x[row, c]
    partial[own, 0, c] = total
    partial[own, 1, c] = squares
