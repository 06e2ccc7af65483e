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

from functools import cache

import numba
import numpy as np
from numba import prange

from minires.kernels.batch_norm.numba_cpu import merge, part_statistics, part_sums
from minires.kernels.conv2d.numba_rows import (
    copy_rows,
    differentiate_rows,
    normalize_rows,
    sum_parts,
)
from minires.kernels.conv2d.numba_transforms import (
    transform_filter,
    transform_filter_back,
    transform_gradient,
    transform_patches,
    transform_products,
)
from minires.kernels.jit import jit
from minires.kernels.memory import empty
from minires.kernels.register_tile import MOST_ROWS, register_tile, tile_rows, tile_vectors
from minires.kernels.vectors import LANES, clear, load, store

BLOCK_BYTES = 256 << 10
"""How much of v and m (or v and n) is formed at a time, at least a row of tiles: with u (16 x 64 x
64 numbers, 256 KB, in a CIFAR net's last stage) it stays in the L2 cache."""

SPACE = LANES
"""Numbers between the elements of v: at a distance of a power of two their 16 streams of stores
would meet in a few sets of the L1 cache. Also, the last register tile may read 15 too far."""

PARTIAL_SUMS = 8
"""Into how many sums the weight gradient is divided among the threads, and how many blocks at least
there are, if there are enough rows of tiles."""


def serves(w_shape: tuple[int, ...], stride, step=(1, 1)) -> bool:
    """Whether the convolution is of the kind computed here: 3x3, stride 1, whole vectors."""
    kh, kw, c, k = w_shape
    whole = c % LANES == k % LANES == 0 and c * k > 0
    return whole and kh == kw == 3 and tuple(stride) == tuple(step) == (1, 1)


def correlate(x, w, y, before, normalization=None, statistics=False):
    """y[n,p,q] = sum over i,j,c of x[n, p + i - bh, q + j - bw, c] w[i,j,c], (bh, bw) = before.

    With `normalization` = (mean, scale, beta), of max((x - mean) scale + beta, 0) in place of x.
    With `statistics`, returns the mean of every channel of y and the sum of squared deviations from
    it, both float64 (K,).
    """
    c, k = w.shape[2:]
    rows, tiles, strips = _blocks(y.shape, c + k, x.itemsize)
    blocks = -(-strips // rows)
    image, v, m = _buffers(rows, tiles, x.dtype, c, c, k)
    u = empty((16, c, k), x.dtype)
    means, squares = (np.zeros((blocks if statistics else 0, k)) for _ in range(2))
    vectors = normalization or (np.empty(0, x.dtype),) * 3
    run = _correlation(c, tile_vectors(k))
    run(
        x,
        np.ascontiguousarray(w),
        y,
        (u, image, v, m),
        (rows, tiles),
        tuple(before),
        normalization is not None,
        vectors,
        means,
        squares,
    )
    return (means[0], squares[0]) if statistics else None


def gradients(
    dy, x, w, padding=(1, 1), through=None, normalization=None, addend=None, with_dx=True
):
    """dx and dw of y = conv(x, w); dx only if padding is 1, None without `with_dx`.

    Parameters
    ----------
    dy, x, w : arrays (N, Ho, Wo, K), (N, H, W, C), (3, 3, C, K)
    through : (array, mean, scale, of_x, constant), optional
        dy is the gradient behind the batch normalisation of the convolution's output, which is
        `array`: scale dy + of_x (array - mean) + constant takes its place.
    normalization : (mean, scale, beta), optional
        u = (x - mean) scale + beta and a ReLU stand before it: dx is the gradient of u.
    addend : array like x, optional
        Added to dx.

    Returns
    -------
    dx, dw, sums : with `normalization` the sums of dx and dx (x - mean), float64 (2, C)
    """
    c, k = w.shape[2:]
    rows, tiles, strips = _blocks(dy.shape, c + 2 * k, x.itemsize)
    parts = max(1, min(PARTIAL_SUMS, -(-strips // rows)))
    image, v, v_of_dy, n = _buffers(rows, tiles, x.dtype, max(c, k), c, k, k)
    partial, du = empty((parts, 16, c, k), x.dtype), empty((16, c, k), x.dtype)
    dw, u = empty((3, 3, c, k), x.dtype), empty((16, k, c), x.dtype)
    dx = empty(x.shape, x.dtype) if with_dx else x
    sums = np.zeros((parts, 2, c))
    flipped = np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2))
    none = np.empty(0, x.dtype)
    run = _gradients(k, tile_vectors(c), tile_vectors(k))
    run(
        dy,
        x,
        flipped,
        dx,
        with_dx,
        partial,
        (u, image, v, v_of_dy, n),
        (rows, tiles),
        tuple(padding),
        through is not None,
        through or (dy, none, none, none, none),
        normalization is not None,
        normalization or (none, none, none),
        addend is not None,
        x if addend is None else addend,
        sums,
    )
    sum_parts(partial.reshape(parts, -1), du.reshape(-1))
    transform_filter_back(du.reshape(-1), dw.reshape(-1))
    return dx if with_dx else None, dw, sums.sum(axis=0)


def _blocks(y_shape: tuple[int, ...], channels: int, itemsize: int) -> tuple[int, int, int]:
    """Rows of tiles in a block, tiles in a row, rows of tiles in all."""
    n, height, width, _ = y_shape
    tiles, strips = -(-width // 2), n * -(-height // 2)
    fit = BLOCK_BYTES // (16 * channels * itemsize * max(1, tiles))
    return max(1, min(fit, strips // PARTIAL_SUMS)), tiles, strips  # blocks for all threads


def _buffers(rows: int, tiles: int, dtype, image_channels: int, *channels: int):
    """Each thread's image rows, and its 16 matrices of tiles for these numbers of channels."""
    places = -(-rows * tiles // MOST_ROWS) * MOST_ROWS  # the last register tile may reach beyond
    threads = numba.get_num_threads()
    image = empty((threads, (2 * rows + 2) * (2 * tiles + 2) * image_channels), dtype)
    return image, *(empty((threads, 16, places * k + SPACE), dtype) for k in channels)


@jit
def _pixels(start, stop, height, width):
    """The pixels of rows of tiles start ... stop - 1: the first, and the one after the last."""
    strips = (height + 1) // 2
    first = (start // strips * height + start % strips * 2) * width
    last = stop - 1
    return first, (last // strips * height + min(height, last % strips * 2 + 2)) * width


@jit
def _transform_x(
    x, normalized, normalization, image, v, element, start, stop, tiles, per_image, before
):
    """v of rows of tiles start ... stop - 1, of which every image has `per_image`."""
    mean, scale, beta = normalization
    c, columns = x.shape[3], 2 * tiles + 2
    strip = start
    while strip < stop:  # as many rows of tiles as belong to one image
        place, p = strip // per_image, strip % per_image * 2
        run = min(stop - strip, per_image - strip % per_image)
        top, rows, left = p - before[0], 2 * run + 2, before[1]
        if normalized:
            normalize_rows(x[place], mean, scale, beta, image, top, rows, columns, left)
        else:
            copy_rows(x[place], image, top, rows, columns, left)
        for s in range(run):
            to = (strip + s - start) * tiles
            transform_patches(image, 2 * s * columns * c, v, to, element, tiles, c)
        strip += run


@jit
def _transform_dy(
    dy, differentiated, through, image, n, n_element, with_dx, v, v_element, start, stop, tiles
):
    """n of rows of tiles start ... stop - 1 of dy, and v, which the input gradient needs."""
    output, mean, scale, of_output, constant = through
    k, columns, per_image = dy.shape[3], 2 * tiles + 2, (dy.shape[1] + 1) // 2
    strip = start
    while strip < stop:
        place, top = strip // per_image, strip % per_image * 2 - 1
        run = min(stop - strip, per_image - strip % per_image)
        rows = 2 * run + 2
        if differentiated:
            y = output[place]
            differentiate_rows(
                dy[place], y, mean, scale, of_output, constant, image, top, rows, columns, 1
            )
        else:
            copy_rows(dy[place], image, top, rows, columns, 1)
        for s in range(run):
            at, to = 2 * s * columns * k, (strip + s - start) * tiles
            transform_gradient(image, at, n, to, n_element, tiles, k)
            if with_dx:
                transform_patches(image, at, v, to, v_element, tiles, k)
        strip += run


@jit
def _write_y(m, element, y, start, stop, tiles):
    """Rows of tiles start ... stop - 1 of y."""
    per_image = (y.shape[1] + 1) // 2
    for strip in range(start, stop):
        p = strip % per_image * 2
        transform_products(m, y[strip // per_image], p, (strip - start) * tiles, element, tiles)


@cache
def _correlation(channels: int, vectors: int):
    """`correlate` for a number of channels and of vectors in a register tile."""
    tile = tile_rows(vectors)

    @jit(parallel=True)
    def correlation(
        x, w, y, buffers, size, before, normalized, normalization, block_means, block_squares
    ):
        u, images, vs, ms = buffers
        rows, tiles = size
        height, width, k = y.shape[1:]
        c = x.shape[3]
        transform_filter(w.reshape(-1), u.reshape(-1))
        u_flat = u.reshape(-1)
        per_image = (height + 1) // 2
        strips = len(x) * per_image
        blocks = (strips + rows - 1) // rows
        v_element, m_element = vs.shape[2], ms.shape[2]
        for block in prange(blocks):
            thread = numba.get_thread_id()
            image, v, m = images[thread], vs[thread].reshape(-1), ms[thread].reshape(-1)
            start, stop = block * rows, min((block + 1) * rows, strips)
            _transform_x(
                x,
                normalized,
                normalization,
                image,
                v,
                v_element,
                start,
                stop,
                tiles,
                per_image,
                before,
            )
            count = (stop - start) * tiles
            for e in range(16):
                for f in range(0, k, LANES * vectors):
                    for t in range(0, count, tile):
                        register_tile(
                            channels,
                            vectors,
                            v,
                            e * v_element + t * c,
                            c,
                            0,
                            1,
                            u_flat,
                            e * c * k + f,
                            0,
                            k,
                            m,
                            e * m_element + t * k + f,
                            k,
                            tile,
                            1,
                            c,
                            False,
                        )
            _write_y(m, m_element, y, start, stop, tiles)
            if len(block_means):
                first, last = _pixels(start, stop, height, width)
                part_statistics(
                    y.reshape(-1, k), first, last, block_means[block], block_squares[block]
                )
        for block in range(1, len(block_means)):
            first, last = _pixels(block * rows, min((block + 1) * rows, strips), height, width)
            for i in range(k):
                merge(
                    block_means[0],
                    block_squares[0],
                    i,
                    first,
                    last - first,
                    block_means[block, i],
                    block_squares[block, i],
                )

    return correlation


@cache
def _gradients(channels: int, x_vectors: int, dy_vectors: int):
    """`gradients` for a number of channels of dy and numbers of vectors in the register tiles."""
    dw_tile, dx_tile = tile_rows(dy_vectors), tile_rows(x_vectors)

    @jit(parallel=True)
    def gradients(
        dy,
        x,
        w,
        dx,
        with_dx,
        partial,
        buffers,
        size,
        padding,
        differentiated,
        through,
        normalized,
        normalization,
        added,
        addend,
        sums,
    ):
        u, images, vs, vs_of_dy, ns = buffers
        rows, tiles = size
        mean, scale, beta = normalization
        height, width, k = dy.shape[1:]
        c, parts = x.shape[3], len(partial)
        transform_filter(w.reshape(-1), u.reshape(-1))
        u_flat = u.reshape(-1)
        per_image = (height + 1) // 2
        strips = len(x) * per_image
        blocks = (strips + rows - 1) // rows
        v_element, dy_element, n_element = vs.shape[2], vs_of_dy.shape[2], ns.shape[2]
        for part in prange(parts):
            thread = numba.get_thread_id()
            image, total = images[thread], partial[part].reshape(-1)
            v, n = vs[thread].reshape(-1), ns[thread].reshape(-1)
            v_of_dy = vs_of_dy[thread].reshape(-1)
            clear(total, 0, len(total))
            for block in range(part * blocks // parts, (part + 1) * blocks // parts):
                start, stop = block * rows, min((block + 1) * rows, strips)
                _transform_dy(
                    dy,
                    differentiated,
                    through,
                    image,
                    n,
                    n_element,
                    with_dx,
                    v_of_dy,
                    dy_element,
                    start,
                    stop,
                    tiles,
                )
                _transform_x(
                    x,
                    normalized,
                    normalization,
                    image,
                    v,
                    v_element,
                    start,
                    stop,
                    tiles,
                    per_image,
                    padding,
                )
                count = (stop - start) * tiles
                for e in range(16):
                    for i in range(0, c, dw_tile):
                        for f in range(0, k, LANES * dy_vectors):
                            register_tile(
                                1,
                                dy_vectors,
                                v,
                                e * v_element + i,
                                1,
                                0,
                                c,
                                n,
                                e * n_element + f,
                                0,
                                k,
                                total,
                                (e * c + i) * k + f,
                                k,
                                min(dw_tile, c - i),
                                1,
                                count,
                                True,
                            )
                if not with_dx:
                    continue
                for e in range(16):  # m takes the place of v, whose turn is over
                    for f in range(0, c, LANES * x_vectors):
                        for t in range(0, count, dx_tile):
                            register_tile(
                                channels,
                                x_vectors,
                                v_of_dy,
                                e * dy_element + t * k,
                                k,
                                0,
                                1,
                                u_flat,
                                e * k * c + f,
                                0,
                                c,
                                v,
                                e * v_element + t * c + f,
                                c,
                                dx_tile,
                                1,
                                k,
                                False,
                            )
                _write_y(v, v_element, dx, start, stop, tiles)
                first, last = _pixels(start, stop, height, width)
                rows_of_dx = dx.reshape(-1, c)
                if normalized:
                    part_sums(
                        rows_of_dx,
                        x.reshape(-1, c),
                        mean,
                        scale,
                        beta,
                        rows_of_dx,
                        False,
                        True,
                        True,
                        rows_of_dx,
                        first,
                        last,
                        sums[part],
                    )
                if added:
                    _add_rows(dx.reshape(-1), addend.reshape(-1), first * c, last * c)

    return gradients


@jit
def _add_rows(total, addend, start, stop):
    for i in range(start, stop, LANES):
        store(total, i, load(total, i) + load(addend, i))
