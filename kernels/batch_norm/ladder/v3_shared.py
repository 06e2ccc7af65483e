"""v3: the threads of a block add their sums in shared memory; see `v3_shared.cu`."""

from numba import cuda

from minires.kernels.arrays import array_module
from minires.kernels.numba_grid import SIMULATED, launch

CHANNELS, THREADS = (4, 2) if SIMULATED else (16, 16)
ROWS = 32 * THREADS


def run(x):
    """(2, C), the sums of x and of its squares over the rows."""
    blocks = -(-len(x) // ROWS)
    partial = array_module(x).empty((blocks, 2, x.shape[1]), x.dtype)
    launch(sums, (-(-x.shape[1] // CHANNELS), blocks), (CHANNELS, THREADS), x, partial)
    return partial.sum(axis=0)


@cuda.jit
def sums(x, partial):
    across, own = cuda.threadIdx.x, cuda.threadIdx.y
    c = cuda.blockIdx.x * CHANNELS + across
    totals = cuda.shared.array((THREADS, CHANNELS), x.dtype)
    squares = cuda.shared.array((THREADS, CHANNELS), x.dtype)
    total, square = x.dtype.type(0), x.dtype.type(0)
    if c < x.shape[1]:
        first = cuda.blockIdx.y * ROWS
        for row in range(first + own, min(first + ROWS, len(x)), THREADS):
            total += x[row, c]
            square += x[row, c] * x[row, c]
    totals[own, across] = total
    squares[own, across] = square
    cuda.syncthreads()  # every thread's sums are there
    half = THREADS // 2
    while half > 0:
        if own < half:
            totals[own, across] += totals[own + half, across]
            squares[own, across] += squares[own + half, across]
        cuda.syncthreads()  # this half is added
        half //= 2
    if own == 0 and c < x.shape[1]:
        partial[cuda.blockIdx.y, 0, c] = totals[0, across]
        partial[cuda.blockIdx.y, 1, c] = squares[0, across]
