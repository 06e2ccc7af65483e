"""v2: neighbours have neighbouring channels, every thread writes its sum; see `v2_coalesced.cu`."""

from numba import cuda

from minires.kernels.arrays import array_module
from minires.kernels.numba_grid import SIMULATED, launch

CHANNELS, THREADS = (4, 2) if SIMULATED else (16, 16)
ROWS = 32 * THREADS


def run(x):
    """(2, C), the sums of x and of its squares over the rows."""
    blocks = -(-len(x) // ROWS)
    partial = array_module(x).empty((blocks * THREADS, 2, x.shape[1]), x.dtype)
    launch(sums, (-(-x.shape[1] // CHANNELS), blocks), (CHANNELS, THREADS), x, partial)
    return partial.sum(axis=0)


@cuda.jit
def sums(x, partial):
    c, own = cuda.blockIdx.x * CHANNELS + cuda.threadIdx.x, cuda.threadIdx.y
    if c >= x.shape[1]:
        return
    total, squares = x.dtype.type(0), x.dtype.type(0)
    first = cuda.blockIdx.y * ROWS
    for row in range(first + own, min(first + ROWS, len(x)), THREADS):
        total += x[row, c]
        squares += x[row, c] * x[row, c]
    partial[cuda.blockIdx.y * THREADS + own, 0, c] = total
    partial[cuda.blockIdx.y * THREADS + own, 1, c] = squares
