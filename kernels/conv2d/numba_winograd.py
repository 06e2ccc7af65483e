"""3x3 convolution of stride 1, 4 instead of 9 multiplications per output: Winograd's F(2x2,3x3).

Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4. The output is
cut into tiles of 2x2 pixels; each depends on a patch d of 4x4 pixels of x, overlapping its
neighbours' by two. With a filter g (3x3) and the matrices of `numba_transforms.py`,

    u = G g G^T    v = B^T d B    m = u * v, element by element    tile of y = A^T m A

16 multiplications give 4 outputs. With channels the product becomes, for each of the 16 elements,
a matrix product over all tiles, m[e] (tiles, K) = v[e] (tiles, C) u[e] (C, K), which is left to the
register tile. Transforms are additions of whole vectors of channels; v and m are formed for a block
of tiles at a time and do not leave the cache.

The input gradient is a convolution, too (see `__init__.py`). For the weights, walk back through the
same three steps: from dy the gradient of m is n = A dy A^T for each tile, from it that of u is
du[e] (C, K) = sum over tiles of v[e]^T n[e], and from it dw = G^T du G. Both gradients are computed
block by block from one copy of dy.

A convolution stands between batch normalisations. What they do to each number on its own is done
where the convolution reads it, what they need to know of all numbers is summed up where it writes
them, while they are in the cache (`basic_block/` makes use of it). So memory sees every image once.

Sums meet differences of neighbouring pixels, so an error (or a NaN, an infinity) of one pixel can
reach every pixel of the tiles whose patch holds it: one pixel farther than in the plain sum. In dw
it can reach all nine places of the filter.

See docs/decisions/cpu.md, "Winograd".
See docs/decisions/cpu.md, "Blocks of tiles".
"""

from typing import NamedTuple

import numba
import numpy as np
from numba import prange

from minires.kernels.batch_norm.numba_cpu import merge, part_statistics, part_sums
from minires.kernels.conv2d.numba_rows import (
    Derivative,
    Normalization,
    Window,
    copy_rows,
    differentiate_rows,
    normalize_rows,
    sum_parts,
)
from minires.kernels.conv2d.numba_transforms import (
    SPACE,
    places,
    transform_filter,
    transform_filter_back,
    transform_gradient,
    transform_patches,
    transform_products,
)
from minires.kernels.jit import jit
from minires.kernels.memory import empty
from minires.kernels.register_tile import (
    MOST_ROWS,
    A,
    B,
    Y,
    products_of_channels,
    products_of_pixels,
)
from minires.kernels.vectors import LANES, clear, load, pointer, store

BLOCK_BYTES = 256 << 10
"""How much of v and m (or v and n) is formed at a time, at least a row of tiles: with u (16 x 64 x
64 numbers, 256 KB, in a CIFAR net's last stage) it stays in the L2 cache."""

PARTIAL_SUMS = 8
"""Into how many sums the weight gradient is divided among the threads, and how many blocks at least
there are, if there are enough rows of tiles."""


class Blocks(NamedTuple):
    """How an image batch is cut: a row of tiles is a strip, some strips are a block."""

    strips: int
    """Strips in all."""
    per_image: int
    per_block: int
    tiles: int
    """Tiles of a strip."""


class Results(NamedTuple):
    """What the gradients' blocks write: dx, or an array without images, and sums of each part."""

    dx: np.ndarray
    du: np.ndarray
    sums: np.ndarray


class Scratch(NamedTuple):
    """What every thread needs for a block: image rows, then matrices of tiles, (16, size) each."""

    image: np.ndarray
    v: np.ndarray
    products: np.ndarray
    """m; in the gradients n."""
    v_of_dy: np.ndarray


def serves(w_shape: tuple[int, ...], stride, step=(1, 1)) -> bool:
    """Whether the convolution is of the kind computed here: 3x3, stride 1, whole vectors."""
    kh, kw, c, k = w_shape
    whole = c % LANES == k % LANES == 0 and c * k > 0
    return whole and kh == kw == 3 and tuple(stride) == tuple(step) == (1, 1)


def correlate(x, w, y, before, normalization=None, statistics=False):
    """y[n,p,q] = sum over i,j,c of x[n, p + i - bh, q + j - bw, c] w[i,j,c], (bh, bw) = before.

    With `normalization`, of max((x - mean) scale + beta, 0) in place of x. With `statistics`,
    returns the mean of every channel of y and the sum of squared deviations from it, both float64
    (K,).
    """
    c, k = w.shape[2:]
    blocks = _blocks(y.shape, c + k, x.itemsize)
    scratch = _scratch(blocks, x.dtype, c, c, k, 0)
    means, squares = (np.zeros((_count(blocks) if statistics else 0, k)) for _ in range(2))
    normalization = normalization or Normalization(*[np.empty(0, x.dtype)] * 3)
    u = _transformed(w)
    _correlation(x, normalization, u, y, scratch, blocks, tuple(before), means, squares)
    return (means[0], squares[0]) if statistics else None


def gradients(
    dy, x, w, padding=(1, 1), derivative=None, normalization=None, addend=None, with_dx=True
):
    """dx and dw of y = conv(x, w); dx only if padding is 1, None without `with_dx`.

    Parameters
    ----------
    dy, x, w : arrays (N, Ho, Wo, K), (N, H, W, C), (3, 3, C, K)
    derivative : Derivative, optional
        dy is the gradient behind the batch normalisation of the convolution's output, which is
        `derivative.x`: scale dy + of_x (x - mean) + constant takes its place.
    normalization : Normalization, optional
        u = (x - mean) scale + beta and a ReLU stand before it: dx is the gradient of u.
    addend : array like x, optional
        Added to dx.

    Returns
    -------
    dx, dw, sums : with `normalization` the sums of dx and dx (x - mean), float64 (2, C)
    """
    c, k = w.shape[2:]
    blocks = _blocks(dy.shape, c + 2 * k, x.itemsize)
    parts = max(1, min(PARTIAL_SUMS, _count(blocks)))
    scratch = _scratch(blocks, x.dtype, max(c, k), c, k, k)
    du = empty((parts, 16, c, k), x.dtype)
    dx = empty(x.shape if with_dx else (0, *x.shape[1:]), x.dtype)
    sums = np.zeros((parts, 2, c))
    none = np.empty(0, x.dtype)
    _gradients(
        dy,
        derivative or Derivative(dy, none, none, none, none),
        x,
        normalization or Normalization(none, none, none),
        x[:0] if addend is None else addend,
        _transformed(w[::-1, ::-1].transpose(0, 1, 3, 2)),
        Results(dx, du, sums),
        scratch,
        blocks,
        tuple(padding),
    )
    total, dw = empty((16, c, k), x.dtype), empty((3, 3, c, k), x.dtype)
    sum_parts(du.reshape(parts, -1), total.reshape(-1))
    transform_filter_back(total, dw)
    return dx if with_dx else None, dw, sums.sum(axis=0)


def _transformed(w):
    """u (16, C, K) of w (3, 3, C, K)."""
    u = empty((16, *w.shape[2:]), w.dtype)
    transform_filter(np.ascontiguousarray(w), u)
    return u


def _blocks(y_shape: tuple[int, ...], channels: int, itemsize: int) -> Blocks:
    """Blocks of BLOCK_BYTES for matrices of these channels in all, or smaller: all threads work."""
    n, height, width, _ = y_shape
    tiles, per_image = -(-width // 2), -(-height // 2)
    fit = BLOCK_BYTES // (16 * channels * itemsize * max(1, tiles))
    per_block = max(1, min(fit, n * per_image // PARTIAL_SUMS))
    return Blocks(n * per_image, per_image, per_block, tiles)


def _count(blocks: Blocks) -> int:
    return -(-blocks.strips // blocks.per_block)


def _scratch(blocks: Blocks, dtype, of_image: int, *channels: int) -> Scratch:
    """Every thread's arrays for these numbers of channels."""
    threads, rows, tiles = numba.get_num_threads(), blocks.per_block, blocks.tiles
    most = -(-rows * tiles // MOST_ROWS) * MOST_ROWS  # the last register tile may reach beyond
    image = empty((threads, (2 * rows + 2) * (2 * tiles + 2) * of_image), dtype)
    return Scratch(image, *(empty((threads, 16, most * k + SPACE), dtype) for k in channels))


@jit
def _strips(block, blocks):
    """The first strip of a block and the one after its last."""
    start = block * blocks.per_block
    return start, min(start + blocks.per_block, blocks.strips)


@jit
def _pixels(start, stop, height, width):
    """The pixels of strips start ... stop - 1: the first, and the one after the last."""
    strips = (height + 1) // 2
    first = (start // strips * height + start % strips * 2) * width
    last = stop - 1
    return first, (last // strips * height + min(height, last % strips * 2 + 2)) * width


@jit
def _transform_x(x, normalization, image, v, start, stop, blocks, before):
    """v of strips start ... stop - 1, from x (N, H, W, C)."""
    c, per_image = x.shape[3], blocks.per_image
    width = 2 * blocks.tiles + 2
    strip = start
    while strip < stop:  # as many strips as belong to one image
        place, p = strip // per_image, strip % per_image * 2
        run = min(stop - strip, per_image - strip % per_image)
        window = Window(p - before[0], 2 * run + 2, width, before[1])
        if len(normalization.mean):
            normalize_rows(x[place], normalization, image, window)
        else:
            copy_rows(x[place], image, window)
        for s in range(run):
            to = (strip + s - start) * blocks.tiles
            transform_patches(image, 2 * s * width * c, v, to, blocks.tiles, c)
        strip += run


@jit
def _transform_dy(dy, derivative, image, n, v, start, stop, blocks, with_dx):
    """n of strips start ... stop - 1 of dy, and v, which the input gradient needs."""
    k, per_image = dy.shape[3], blocks.per_image
    width = 2 * blocks.tiles + 2
    strip = start
    while strip < stop:
        place, p = strip // per_image, strip % per_image * 2
        run = min(stop - strip, per_image - strip % per_image)
        window = Window(p - 1, 2 * run + 2, width, 1)
        if len(derivative.mean):
            differentiate_rows(dy[place], derivative.x[place], derivative, image, window)
        else:
            copy_rows(dy[place], image, window)
        for s in range(run):
            at, to = 2 * s * width * k, (strip + s - start) * blocks.tiles
            transform_gradient(image, at, n, to, blocks.tiles, k)
            if with_dx:
                transform_patches(image, at, v, to, blocks.tiles, k)
        strip += run


@jit
def _multiply(v, u, m, count):
    """m (count, K) = v (count, C) u (C, K) for each of the 16 elements."""
    c, k = u.shape[1:]
    steps = places(v, c) * LANES, 1
    for e in range(16):
        a = A(pointer(v, e * v.shape[1]), 0, LANES, steps)
        b = B(pointer(u, e * c * k), (LANES * k, k))
        y = Y(pointer(m, e * m.shape[1]), 0, k)
        products_of_pixels(a, b, y, (1, count, k), (c // LANES, LANES), False)


@jit
def _add_products(v, n, du, count):
    """du (C, K) += v^T (C, count) n (count, K) for each of the 16 elements."""
    c, k = du.shape[1:]
    line = places(v, c) * LANES
    for e in range(16):
        a = A(pointer(v, e * v.shape[1]), line, 1, (LANES,))
        b = B(pointer(n, e * n.shape[1]), (k,))
        y = Y(pointer(du, e * c * k), LANES * k, k)
        products_of_channels(a, b, y, (c // LANES, LANES, k), (count,), True)


@jit
def _write_y(m, y, start, stop, blocks):
    """Strips start ... stop - 1 of y."""
    for strip in range(start, stop):
        place, p = strip // blocks.per_image, strip % blocks.per_image * 2
        transform_products(m, y[place], p, (strip - start) * blocks.tiles, blocks.tiles)


@jit(parallel=True)
def _correlation(x, normalization, u, y, scratch, blocks, before, means, squares):
    """y, and the statistics of every block; those of all blocks end in means[0], squares[0]."""
    height, width, k = y.shape[1:]
    count = (blocks.strips + blocks.per_block - 1) // blocks.per_block
    for block in prange(count):
        thread = numba.get_thread_id()
        image, v, m = scratch.image[thread], scratch.v[thread], scratch.products[thread]
        start, stop = _strips(block, blocks)
        _transform_x(x, normalization, image, v, start, stop, blocks, before)
        _multiply(v, u, m, (stop - start) * blocks.tiles)
        _write_y(m, y, start, stop, blocks)
        if len(means):
            first, last = _pixels(start, stop, height, width)
            part_statistics(y.reshape(-1, k), first, last, means[block], squares[block])
    for block in range(1, len(means)):
        start, stop = _strips(block, blocks)
        first, last = _pixels(start, stop, height, width)
        for i in range(k):
            mean, square = means[block, i], squares[block, i]
            merge(means[0], squares[0], i, first, last - first, mean, square)


@jit(parallel=True)
def _gradients(dy, derivative, x, normalization, addend, u, results, scratch, blocks, padding):
    """dx, and of each part of the blocks the sums for du and for the batch norm before."""
    dx = results.dx
    parts = len(results.du)
    count = (blocks.strips + blocks.per_block - 1) // blocks.per_block
    for part in prange(parts):
        thread = numba.get_thread_id()
        image, v, n = scratch.image[thread], scratch.v[thread], scratch.products[thread]
        v_of_dy, du = scratch.v_of_dy[thread], results.du[part]
        clear(du, 0, du.size)
        for block in range(part * count // parts, (part + 1) * count // parts):
            start, stop = _strips(block, blocks)
            _transform_dy(dy, derivative, image, n, v_of_dy, start, stop, blocks, len(dx) > 0)
            _transform_x(x, normalization, image, v, start, stop, blocks, padding)
            tiles = (stop - start) * blocks.tiles
            _add_products(v, n, du, tiles)
            if len(dx):
                _multiply(v_of_dy, u, v, tiles)  # m takes the place of v, whose turn is over
                _write_y(v, dx, start, stop, blocks)
                first, last = _pixels(start, stop, dx.shape[1], dx.shape[2])
                _finish_dx(dx, x, normalization, addend, first, last, results.sums[part])


@jit
def _finish_dx(dx, x, normalization, addend, first, last, sums):
    """Pixels first ... last - 1 of dx back through the ReLU, with their sums; then the addend."""
    c = dx.shape[3]
    rows = dx.reshape(-1, c)
    if len(normalization.mean):
        mean, scale, beta = normalization
        part_sums(
            rows,
            x.reshape(-1, c),
            mean,
            scale,
            beta,
            rows,
            False,
            True,
            True,
            rows,
            first,
            last,
            sums,
        )
    if len(addend):
        for i in range(first * c, last * c, LANES):
            store(dx, i, load(dx, i) + load(addend, i))
