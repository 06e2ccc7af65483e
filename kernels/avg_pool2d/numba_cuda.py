"""Average pooling in Numba-CUDA: a thread sums a window, or what a pixel's windows send it."""

from numba import cuda

from minires.kernels.arrays import array_module, output_size
from minires.kernels.numba_grid import visit


def forward(x, kernel, stride, padding=(0, 0)):
    """y, the mean of every window."""
    ho, wo = map(output_size, x.shape[1:3], kernel, stride, padding)
    y = array_module(x).empty((len(x), ho, wo, x.shape[3]), x.dtype)
    visit(_forward, y.size, x, y, (*kernel, *stride, *padding))
    return y, (x.shape, kernel, stride, padding)


def backward(dy, saved, needs=(True,)):
    """Each pixel collects its share of every window that covers it."""
    shape, kernel, stride, padding = saved
    dx = array_module(dy).empty(shape, dy.dtype)
    visit(_backward, dx.size, dy, dx, (*kernel, *stride, *padding))
    return (dx,)


@cuda.jit
def _forward(x, y, how):
    kh, kw, sh, sw, ph, pw = how
    _, height, width, _ = x.shape
    _, rows, columns, channels = y.shape
    for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        c, q, p = e % channels, e // channels % columns, e // channels // columns % rows
        n = e // channels // columns // rows
        total = x.dtype.type(0)
        for i in range(kh):
            row = x.dtype.type(0)  # a sum of its own: less is lost than in one long sum
            for j in range(kw):
                h, w = p * sh + i - ph, q * sw + j - pw
                if 0 <= h and h < height and 0 <= w and w < width:
                    row += x[n, h, w, c]
            total += row
        y[n, p, q, c] = total / x.dtype.type(kh * kw)


@cuda.jit
def _backward(dy, dx, how):
    kh, kw, sh, sw, ph, pw = how
    _, rows, columns, _ = dy.shape
    _, height, width, channels = dx.shape
    for e in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        c, w, h = e % channels, e // channels % width, e // channels // width % height
        n = e // channels // width // height
        total = dx.dtype.type(0)
        for i in range(kh):
            for j in range(kw):
                top, left = h + ph - i, w + pw - j
                if top < 0 or left < 0 or top % sh != 0 or left % sw != 0:
                    continue
                if top // sh < rows and left // sw < columns:
                    total += dy[n, top // sh, left // sw, c]
        dx[n, h, w, c] = total / dx.dtype.type(kh * kw)
