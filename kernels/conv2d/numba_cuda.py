"""Convolution in Numba-CUDA: three matrix products whose factors are never stored.

    forward           y (pixels, K)      = windows of x (pixels, KH KW C)     w (KH KW C, K)
    input gradient    dx (pixels, C)     = windows of the spread-out dy       w, channels exchanged
    weight gradient   dw (KH KW C, K)    = windows of x, transposed           dy (pixels, K)

One kernel does them all. A block of TILE x TILE threads computes as many results, one each. It goes
along the sum in steps of STEP terms: together the threads fetch STEP columns of the one factor and
STEP rows of the other to shared memory, then each adds the STEP products of its result. An element
is so read from global memory once for TILE results. How a factor is read says the function that the
kernel is made with.
"""

from numba import cuda

from minires.kernels.arrays import array_module, output_size
from minires.kernels.numba_grid import SIMULATED, launch, visit

TILE, STEP = (8, 64) if SIMULATED else (16, 32)
"""Results of a block down and across, terms that it has in shared memory at a time."""

TERMS_PER_PART = 32 if SIMULATED else 2048
"""Pixels in a part of the weight gradient's sum; each part is a block of its own."""


def forward(x, w, stride=(1, 1), padding=(0, 0)):
    """y = conv(x, w); see the contract in `__init__.py`."""
    (n, height, width, _), (kh, kw, c, k) = x.shape, w.shape
    ho, wo = map(output_size, (height, width), (kh, kw), stride, padding)
    y = array_module(x).empty((n, ho, wo, k), x.dtype)
    how = (ho, wo, kh, kw, *stride, *padding)
    _multiply(_windows_times_filter, x, w.reshape(-1, k), y.reshape(1, -1, k), kh * kw * c, how)
    return y, (x, w, stride, padding)


def backward(dy, saved, needs=(True, True)):
    """(dx, dw); see the derivation in `__init__.py`."""
    x, w, stride, padding = saved
    (_, ho, wo, k), (kh, kw, c, _) = dy.shape, w.shape
    how = (ho, wo, kh, kw, *stride, *padding)
    xp, dx, dw = array_module(x), None, None
    if needs[0]:
        dx = xp.empty(x.shape, x.dtype)
        across = (*x.shape[1:3], *how[2:])
        _multiply(_gradient_windows_times_filter, dy, w, dx.reshape(1, -1, c), kh * kw * k, across)
    if needs[1]:
        pixels = dy.size // max(1, k)
        parts = max(1, min(1024, pixels // TERMS_PER_PART))
        partial = xp.empty((parts, kh * kw * c, k), x.dtype)
        _multiply(_windows_times_gradient, x, dy.reshape(-1, k), partial, pixels, how)
        dw = sum_parts(partial).reshape(w.shape)
    return dx, dw


def _multiply(kernel, a, b, y, terms: int, how) -> None:
    """y (parts, rows, columns); every part sums its share of the terms."""
    parts, rows, columns = y.shape
    if y.size:
        grid = (-(-rows // TILE), -(-columns // TILE), parts)
        launch(kernel, grid, (TILE, TILE), a, b, y, terms, how)


def _product(left, right):
    """The kernel y = A B with A[row, term] = left(a, row, term, how), B likewise."""

    @cuda.jit
    def product(a, b, y, terms, how):
        part, rows, columns = cuda.blockIdx.z, y.shape[1], y.shape[2]
        across, down = cuda.threadIdx.x, cuda.threadIdx.y
        row, column = cuda.blockIdx.x * TILE + down, cuda.blockIdx.y * TILE + across
        tile_a = cuda.shared.array((TILE, STEP), y.dtype)
        tile_b = cuda.shared.array((STEP, TILE), y.dtype)
        total = y.dtype.type(0)
        end = terms * (part + 1) // y.shape[0]
        for start in range(terms * part // y.shape[0], end, STEP):
            step = min(STEP, end - start)
            if row < rows:
                for k in range(across, step, TILE):
                    tile_a[down, k] = left(a, row, start + k, how)
            if column < columns:
                for k in range(down, step, TILE):
                    tile_b[k, across] = right(b, start + k, column, how)
            cuda.syncthreads()  # the step's terms are there
            if row < rows and column < columns:
                for k in range(step):
                    total += tile_a[down, k] * tile_b[k, across]
            cuda.syncthreads()  # everybody has used them: the next may come
        if row < rows and column < columns:
            y[part, row, column] = total

    return product


@cuda.jit(device=True)
def _window(x, row, term, how):
    """Element `term` = (i, j, c) of the window that output pixel `row` = (n, p, q) sees."""
    ho, wo, kh, kw, sh, sw, ph, pw = how
    channels = x.shape[3]
    i, j = term // channels // kw, term // channels % kw
    h, w = row // wo % ho * sh + i - ph, row % wo * sw + j - pw
    if h < 0 or h >= x.shape[1] or w < 0 or w >= x.shape[2]:
        return x.dtype.type(0)
    return x[row // wo // ho, h, w, term % channels]


@cuda.jit(device=True)
def _gradient_window(dy, row, term, how):
    """Input pixel `row` = (n, h, w) met filter element (i, j) in output pixel (h + ph - i) / sh,
    (w + pw - j) / sw, where that divides; `term` = (i, j, k)."""
    height, width, kh, kw, sh, sw, ph, pw = how
    channels = dy.shape[3]
    i, j = term // channels // kw, term // channels % kw
    h, w = row // width % height + ph - i, row % width + pw - j
    if h < 0 or h % sh != 0 or h // sh >= dy.shape[1]:
        return dy.dtype.type(0)
    if w < 0 or w % sw != 0 or w // sw >= dy.shape[2]:
        return dy.dtype.type(0)
    return dy[row // width // height, h // sh, w // sw, term % channels]


@cuda.jit(device=True)
def _window_transposed(x, term, pixel, how):
    return _window(x, pixel, term, how)


@cuda.jit(device=True)
def _element(matrix, row, column, how):
    return matrix[row, column]


@cuda.jit(device=True)
def _filter_exchanged(w, term, column, how):
    """Row `term` = (i, j, k) and column c of the filter with its channels exchanged."""
    kw, channels = w.shape[1], w.shape[3]
    return w[term // channels // kw, term // channels % kw, column, term % channels]


_windows_times_filter = _product(_window, _element)
_gradient_windows_times_filter = _product(_gradient_window, _filter_exchanged)
_windows_times_gradient = _product(_window_transposed, _element)


def sum_parts(partial):
    """Sum over the first axis, in its order: the same bits every time."""
    total = array_module(partial).empty(partial.shape[1:], partial.dtype)
    visit(_sum_parts, total.size, partial.reshape(len(partial), -1), total.reshape(-1))
    return total


@cuda.jit
def _sum_parts(partial, total):
    for i in range(cuda.grid(1), total.size, cuda.gridsize(1)):
        value = total.dtype.type(0)
        for part in range(len(partial)):
            value += partial[part, i]
        total[i] = value
