"""v1: the formula, a thread for each c; see `v1_naive.cu`."""

from numba import cuda

from minires.kernels.arrays import array_module
from minires.kernels.numba_grid import SIMULATED, launch

TILE = 4 if SIMULATED else 16


def run(a, b):
    """c = a b."""
    c = array_module(a).empty((len(a), b.shape[1]), a.dtype)
    launch(matmul, (-(-len(a) // TILE), -(-b.shape[1] // TILE)), (TILE, TILE), a, b, c)
    return c


@cuda.jit
def matmul(a, b, c):
    row = cuda.blockIdx.x * TILE + cuda.threadIdx.x
    column = cuda.blockIdx.y * TILE + cuda.threadIdx.y
    if row < c.shape[0] and column < c.shape[1]:
        total = c.dtype.type(0)
        for k in range(len(b)):
            total += a[row, k] * b[k, column]
        c[row, column] = total
