"""v3: a block fetches tiles of a and b once for all its threads; see `v3_shared.cu`."""

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
    across, down = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.x * TILE + down, cuda.blockIdx.y * TILE + across
    tile_a = cuda.shared.array((TILE, TILE), c.dtype)
    tile_b = cuda.shared.array((TILE, TILE), c.dtype)
    zero = c.dtype.type(0)
    total = zero
    for start in range(0, len(b), TILE):
        in_a = row < len(a) and start + across < len(b)
        in_b = start + down < len(b) and column < b.shape[1]
        tile_a[down, across] = a[row, start + across] if in_a else zero
        tile_b[down, across] = b[start + down, column] if in_b else zero
        cuda.syncthreads()  # both tiles are there
        for k in range(TILE):
            total += tile_a[down, k] * tile_b[k, across]
        cuda.syncthreads()  # everybody has used them
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total
