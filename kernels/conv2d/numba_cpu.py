"""Convolution with sums in registers: images copied to cache with their border, no im2col matrix.

Forward and input gradient are one loop nest, `correlate`; both and the weight gradient end in the
register tile of `kernels/register_tile.py`. Whole vectors of channels are copied apart, so that
neighbouring pixels are LANES numbers apart whatever the number of channels: nothing is compiled for
one shape alone. 3x3 convolutions of stride 1 with whole vectors of channels are handed on to
`numba_winograd.py`. Bytes moved: x, w and y once each (a block of rows is copied into a scratch
buffer that stays in the L2 cache, with its border of zeros, so the innermost loop meets no edge).

Bits do not depend on the number of threads: each y is one sum in a fixed order, and the weight
gradient adds a number of partial sums that follows from the shapes alone.

See docs/decisions/cpu.md, "No im2col".
"""

import numba
import numpy as np
from numba import prange

from minires.kernels.arrays import output_size
from minires.kernels.conv2d import numba_winograd
from minires.kernels.conv2d.numba_rows import Window, copy_lanes, copy_rows, sum_parts
from minires.kernels.conv2d.numba_winograd import PARTIAL_SUMS
from minires.kernels.jit import jit
from minires.kernels.memory import empty, zeros
from minires.kernels.register_tile import (
    A,
    B,
    Y,
    products,
    products_of_channels,
    tile_rows,
    tile_vectors,
)
from minires.kernels.vectors import LANES, clear, pointer

SCRATCH_BYTES = 48 << 10
"""How much of an image is copied at a time: it stays in the L2 cache, most of it in L1."""


def forward(x, w, stride=(1, 1), padding=(0, 0)):
    """y = conv(x, w); see the contract in `__init__.py`."""
    sizes = zip(x.shape[1:3], w.shape, stride, padding, strict=False)
    ho, wo = (output_size(*size) for size in sizes)
    y = empty((x.shape[0], ho, wo, w.shape[3]), x.dtype)
    correlate(x, w, y, stride, padding)
    return y, (x, w, stride, padding)


def backward(dy, saved, needs=(True, True)):
    """(dx, dw); see the derivation in `__init__.py`."""
    x, w, stride, padding = saved
    if all(needs) and tuple(padding) == (1, 1) and numba_winograd.serves(w.shape, stride):
        return numba_winograd.gradients(dy, x, w)[:2]
    dx = input_gradient(dy, w, x.shape, stride, padding) if needs[0] else None
    dw = weight_gradient(dy, x, w.shape, stride, padding) if needs[1] else None
    return dx, dw


def input_gradient(dy, w, x_shape, stride, padding):
    """dx, one stride-1 correlation of dy for each residue of the pixel's position.

    Pixel a = h + ph of the padded image meets the filter rows i with i = a modulo sh, and no
    others. So the pixels of one residue form an image of their own, to which a part of the filter
    belongs: nothing is multiplied with the zeros that the derivation puts between the pixels of dy.
    """
    dx = empty(x_shape, dy.dtype)
    for h in range(min(stride[0], x_shape[1])):
        rows, before_h = _taps(h + padding[0], w.shape[0], stride[0])
        for v in range(min(stride[1], x_shape[2])):
            columns, before_v = _taps(v + padding[1], w.shape[1], stride[1])
            part = w[rows][:, columns].transpose(0, 1, 3, 2)
            correlate(dy, part, dx, (1, 1), (before_h, before_v), (h, v), stride)
    return dx


def _taps(position: int, kernel: int, stride: int) -> tuple[list[int], int]:
    """The filter rows that meet padded row `position`, last first, and the rows before dy."""
    taps = list(range(position % stride, kernel, stride))[::-1]
    return taps, len(taps) - 1 - position // stride


def correlate(x, w, y, stride, before, first=(0, 0), step=(1, 1)) -> None:
    """y[n, fh + p th, fw + q tw] = sum over i,j,c of x[n, p sh + i - bh, q sw + j - bw, c] w[i,j,c]

    for all p, q for which y has a place; x is zero outside its borders. (sh, sw) = stride,
    (bh, bw) = before, (fh, fw) = first, (th, tw) = step.
    """
    (kh, kw, c, k) = w.shape
    rows, columns = (-(-(y.shape[i + 1] - first[i]) // step[i]) for i in (0, 1))
    # A single row or column takes no stride, and no memory must depend on one.
    stride = (stride[0] if rows > 1 else 1, stride[1] if columns > 1 else 1)
    if 0 in (kh, kw, c):
        y[:, first[0] :: step[0], first[1] :: step[1]] = 0
        return
    if numba_winograd.serves(w.shape, stride, step):
        return numba_winograd.correlate(x, w, y, before)
    if k % LANES:  # whole vectors: filters of zeros are added and their results dropped
        w_whole = np.pad(w, ((0, 0), (0, 0), (0, 0), (0, -k % LANES)))
        y_whole = empty((*y.shape[:3], w_whole.shape[3]), y.dtype)
        correlate(x, w_whole, y_whole, stride, before, first, step)
        part = (slice(None), slice(first[0], None, step[0]), slice(first[1], None, step[1]))
        y[part] = y_whole[part][..., :k]
        return
    tile = tile_rows(tile_vectors(k))
    width = (-(-columns // tile) * tile - 1) * stride[1] + kw
    block = _rows_per_block(rows, kh, stride[0], width * c * x.itemsize)
    scratch = empty((numba.get_num_threads(), ((block - 1) * stride[0] + kh) * width * c), x.dtype)
    filters = empty(w.shape, w.dtype)
    filters[...] = w
    _correlation(x, filters, y, scratch, block, width, (rows, columns), stride, before, first, step)


def _rows_per_block(rows: int, kernel: int, stride: int, row_bytes: int) -> int:
    """How many output rows are computed from one copy: as fit SCRATCH_BYTES, equally divided."""
    fit = max(1, (SCRATCH_BYTES // max(1, row_bytes) - kernel) // stride + 1)
    blocks = -(-rows // fit)
    return -(-rows // max(1, blocks))


@jit(parallel=True)
def _correlation(x, w, y, scratch, block, width, size, stride, before, first, step):
    rows, columns = size
    kh, kw, c, k = w.shape
    blocks = (rows + block - 1) // block
    for task in prange(x.shape[0] * blocks):
        n, p0 = task // blocks, task % blocks * block
        here = min(block, rows - p0)
        image = scratch[numba.get_thread_id()]
        top, height = p0 * stride[0] - before[0], (here - 1) * stride[0] + kh
        window = Window(top, height, width, before[1])
        row = width * c
        if c % LANES == 0:
            copy_lanes(x[n], image, window)
            loops, lanes = (kh, kw, c // LANES, LANES), LANES
        else:
            copy_rows(x[n], image, window)
            loops, lanes = (kh, 1, 1, kw * c), c
        start = ((first[0] + p0 * step[0]) * y.shape[2] + first[1]) * k
        products(
            A(
                pointer(image, 0),
                stride[0] * row,
                stride[1] * lanes,
                (row, lanes, width * lanes, 1),
            ),
            B(pointer(w, 0), (kw * c * k, c * k, lanes * k, k)),
            Y(pointer(y[n], start), step[0] * y.shape[2] * k, step[1] * k),
            (here, columns, k),
            loops,
            False,
        )


def weight_gradient(dy, x, w_shape, stride, padding):
    """dw[i,j,c,k] = sum over n,p,q of xp[n, p sh + i, q sw + j, c] dy[n,p,q,k]."""
    kh, kw, c, k = w_shape
    if numba_winograd.serves(w_shape, stride):
        return numba_winograd.gradients(dy, x, np.empty(w_shape, x.dtype), padding, with_dx=False)[
            1
        ]
    if k % LANES:
        dy = np.pad(dy, ((0, 0), (0, 0), (0, 0), (0, -k % LANES)))
    n, ho, wo, whole_k = dy.shape
    width = (wo - 1) * stride[1] + kw
    block = _rows_per_block(ho, kh, stride[0], width * c * x.itemsize)
    tasks = n * -(-ho // block)
    tile = tile_rows(tile_vectors(whole_k))
    terms = -(-kw * c // tile) * tile
    partial = empty((max(1, min(PARTIAL_SUMS, tasks)), kh, terms, whole_k), x.dtype)
    size = ((block - 1) * stride[0] + kh) * width * c + terms
    scratch = zeros((numba.get_num_threads(), size), x.dtype)
    dw = empty((kh, terms, whole_k), x.dtype)
    _weight_gradient(x, dy, partial, scratch, block, width, stride, padding, kw)
    sum_parts(partial.reshape(len(partial), -1), dw.reshape(-1))
    return np.ascontiguousarray(dw[:, : kw * c, :k]).reshape(w_shape)


@jit(parallel=True)
def _weight_gradient(x, dy, partial, scratch, block, width, stride, padding, kw):
    parts, kh, terms, k = partial.shape
    ho, wo, c = dy.shape[1], dy.shape[2], x.shape[3]
    blocks = (ho + block - 1) // block
    tasks = x.shape[0] * blocks
    row = width * c
    for part in prange(parts):
        total, image = partial[part], scratch[numba.get_thread_id()]
        clear(total, 0, total.size)
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, p0 = task // blocks, task % blocks * block
            here = min(block, ho - p0)
            top, height = p0 * stride[0] - padding[0], (here - 1) * stride[0] + kh
            copy_rows(x[n], image, Window(top, height, width, padding[1]))
            products_of_channels(
                A(pointer(image, 0), row, 1, (stride[0] * row, stride[1] * c)),
                B(pointer(dy[n], p0 * wo * k), (wo * k, k)),
                Y(pointer(total, 0), terms * k, k),
                (kh, terms, k),
                (here, wo),
                True,
            )
