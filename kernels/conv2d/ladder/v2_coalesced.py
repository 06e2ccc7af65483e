"""v2: threadIdx.x counts channels of y: neighbours read neighbours; see `v2_coalesced.cu`."""

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
    pixel = cuda.blockIdx.x * TILE + cuda.threadIdx.y
    k = cuda.blockIdx.y * TILE + cuda.threadIdx.x
    images, rows_out, columns_out, filters = y.shape
    if pixel >= images * rows_out * columns_out or k >= filters:
        return
    n, p, q = pixel // columns_out // rows_out, pixel // columns_out % rows_out, pixel % columns_out
    total = y.dtype.type(0)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            h, v = p * stride_h + i - pad_h, q * stride_w + j - pad_w
            if 0 <= h and h < x.shape[1] and 0 <= v and v < x.shape[2]:
                for c in range(x.shape[3]):
                    total += x[n, h, v, c] * w[i, j, c, k]
    y[n, p, q, k] = total
