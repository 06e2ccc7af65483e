"""v3: a block fetches tiles of the windows and of the filter; see `v3_shared.cu`."""

from numba import cuda

from minires.kernels.arrays import array_module, output_size
from minires.kernels.numba_grid import SIMULATED, launch

TILE = 4 if SIMULATED else 16


def run(x, w, stride, padding):
    """y = conv(x, w)."""
    ho, wo = map(output_size, x.shape[1:3], w.shape, stride, padding)
    y = array_module(x).empty((len(x), ho, wo, w.shape[3]), x.dtype)
    grid = (-(-(len(x) * ho * wo) // TILE), -(-w.shape[3] // TILE))
    launch(conv2d, grid, (TILE, TILE), x, w, y, (*stride, *padding))
    return y


@cuda.jit
def conv2d(x, w, y, how):
    stride_h, stride_w, pad_h, pad_w = how
    across, down = cuda.threadIdx.x, cuda.threadIdx.y
    pixel, k = cuda.blockIdx.x * TILE + down, cuda.blockIdx.y * TILE + across
    images, rows_out, columns_out, filters = y.shape
    n, p, q = pixel // columns_out // rows_out, pixel // columns_out % rows_out, pixel % columns_out
    kernel_h, kernel_w, channels, _ = w.shape
    terms = kernel_h * kernel_w * channels
    tile_x = cuda.shared.array((TILE, TILE), y.dtype)
    tile_w = cuda.shared.array((TILE, TILE), y.dtype)
    zero = y.dtype.type(0)
    total = zero
    for start in range(0, terms, TILE):
        term = start + across
        i, j = term // channels // kernel_w, term // channels % kernel_w
        h, v = p * stride_h + i - pad_h, q * stride_w + j - pad_w
        in_x = n < images and term < terms
        in_x = in_x and 0 <= h and h < x.shape[1] and 0 <= v and v < x.shape[2]
        tile_x[down, across] = x[n, h, v, term % channels] if in_x else zero
        term = start + down
        i, j = term // channels // kernel_w, term // channels % kernel_w
        in_w = term < terms and k < filters
        tile_w[down, across] = w[i, j, term % channels, k] if in_w else zero
        cuda.syncthreads()  # both tiles are there
        for t in range(TILE):
            total += tile_x[down, t] * tile_w[t, across]
        cuda.syncthreads()  # everybody has used them
    if n < images and k < filters:
        y[n, p, q, k] = total
