"""3x3 convolution of stride 1, 4 instead of 9 multiplications per output: Winograd's F(2x2,3x3).

Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4. The output is
cut into tiles of 2x2 pixels; each depends on a patch d of 4x4 pixels of x, overlapping its
neighbours' by two. With a filter g (3x3), all transforms along both axes,

    u = G g G^T    v = B^T d B    m = u * v, element by element    tile of y = A^T m A

          | 1  0  0 |          | 1  0 -1  0 |
    G =   | 1  1  1 | / 2     B^T = | 0  1  1  0 |      A^T = | 1  1  1  0 |
          | 1 -1  1 | / 2          | 0 -1  1  0 |            | 0  1 -1 -1 |
          | 0  0  1 |          | 0  1  0 -1 |

16 multiplications give 4 outputs. With channels the product becomes, for each of the 16 elements,
a matrix product over all tiles, m[e] (tiles, K) = v[e] (tiles, C) u[e] (C, K), which is left to the
register tile. Transforms are additions of whole vectors of channels; v and m are formed for a block
of tiles at a time and do not leave the cache.

The input gradient is a convolution, too (see `__init__.py`). For the weights, walk back through the
same three steps: from dy the gradient of m is n = A dy A^T for each tile, from it that of u is
du[e] (C, K) = sum over tiles of v[e]^T n[e], and from it dw = G^T du G.

Sums meet differences of neighbouring pixels, so an error (or a NaN, an infinity) of one pixel can
reach every pixel of the tiles whose patch holds it: one pixel farther than in the plain sum. In dw
it can reach all nine places of the filter.
"""

from functools import cache

import numba
import numpy as np
from numba import prange

from minires.kernels.jit import jit
from minires.kernels.memory import empty
from minires.kernels.register_tile import ROWS, WIDE, register_tile
from minires.kernels.vectors import LANES, clear, copy, fill, load, store

BLOCK_BYTES = 64 << 10
"""How much of v and m (or n) is formed at a time, at least a row of tiles: with u (16 x 64 x 64
numbers, 256 KB, in a CIFAR net's last stage) it stays in the L2 cache."""

SPACE = LANES
"""Numbers between the elements of v: at a distance of a power of two their 16 streams of stores
would meet in a few sets of the L1 cache. Also, the last register tile may read ROWS-1 too far."""

PARTIAL_SUMS = 16
"""Into how many sums the weight gradient is divided among the threads, and how many blocks at least
there are, if there are enough rows of tiles."""


def serves(w_shape: tuple[int, ...], stride, step=(1, 1)) -> bool:
    """Whether the convolution is of the kind computed here: 3x3, stride 1, whole vectors."""
    kh, kw, c, k = w_shape
    whole = c % LANES == k % LANES == 0 and c * k > 0
    return whole and kh == kw == 3 and tuple(stride) == tuple(step) == (1, 1)


def correlate(x, w, y, before) -> None:
    """y[n,p,q] = sum over i,j,c of x[n, p + i - bh, q + j - bw, c] w[i,j,c], (bh, bw) = before."""
    c, k = w.shape[2:]
    rows, tiles, buffers = _buffers(y.shape, c, x.dtype)
    u = empty((16, c, k), x.dtype)
    run = _correlation(c, 2 if WIDE and k % (2 * LANES) == 0 else 1)
    run(x, np.ascontiguousarray(w), y, u, *buffers, rows, tiles, tuple(before))


def weight_gradient(dy, x, padding):
    """dw[i,j,c,k] = sum over n,p,q of xp[n, p + i, q + j, c] dy[n,p,q,k]."""
    c, k = x.shape[3], dy.shape[3]
    rows, tiles, buffers = _buffers(dy.shape, c, x.dtype)
    blocks = -(-len(x) * (-(-dy.shape[1] // 2)) // rows)
    partial = empty((max(1, min(PARTIAL_SUMS, blocks)), 16, c, k), x.dtype)
    du, dw = empty((16, c, k), x.dtype), empty((3, 3, c, k), x.dtype)
    run = _gradient(2 if WIDE and k % (2 * LANES) == 0 else 1)
    run(x, dy, partial, *buffers, rows, tiles, tuple(padding))
    sum_parts(partial.reshape(len(partial), -1), du.reshape(-1))
    _transform_filter_back(du.reshape(-1), dw.reshape(-1))
    return dw


def _buffers(y_shape: tuple[int, ...], c: int, dtype):
    """Rows of tiles in a block, tiles in a row, and each thread's image rows, v and m (or n)."""
    n, height, width, k = y_shape
    tiles, strips = -(-width // 2), n * -(-height // 2)
    fit = BLOCK_BYTES // (16 * (c + k) * np.dtype(dtype).itemsize * max(1, tiles))
    rows = max(1, min(fit, strips // PARTIAL_SUMS))  # a small batch has blocks for all threads, too
    places = -(-rows * tiles // ROWS) * ROWS  # the last register tile may reach beyond
    threads = numba.get_num_threads()
    image = empty((threads, 4 * (2 * tiles + 2) * c), dtype)
    v, m = (empty((threads, 16, places * channels + SPACE), dtype) for channels in (c, k))
    return rows, tiles, (image, v, m)


@jit
def _transform_filter(w, u):
    """u = G w G^T for each pair of channels; w (3, 3, C, K) and u (16, C, K) are flat."""
    size = len(w) // 9
    half = fill(w, 0.5)
    for i in range(0, size, LANES):
        for j in range(3):  # down the columns, into rows 0, 4, 8 and 12 of u
            top, middle, bottom = (
                load(w, j * size + i),
                load(w, (3 + j) * size + i),
                load(w, (6 + j) * size + i),
            )
            outer = half * (top + bottom)
            middle = half * middle
            store(u, j * size + i, top)
            store(u, (4 + j) * size + i, outer + middle)
            store(u, (8 + j) * size + i, outer - middle)
            store(u, (12 + j) * size + i, bottom)
        for e in range(0, 16, 4):  # along the rows, in place
            left, middle, right = (
                load(u, e * size + i),
                load(u, (e + 1) * size + i),
                load(u, (e + 2) * size + i),
            )
            outer = half * (left + right)
            middle = half * middle
            store(u, (e + 1) * size + i, outer + middle)
            store(u, (e + 2) * size + i, outer - middle)
            store(u, (e + 3) * size + i, right)


@jit
def _transform_filter_back(du, dw):
    """dw = G^T du G for each pair of channels; du (16, C, K) is overwritten, both are flat."""
    size = len(dw) // 9
    half = fill(dw, 0.5)
    for i in range(0, size, LANES):
        for e in range(0, 16, 4):
            a, b = load(du, (e + 1) * size + i), load(du, (e + 2) * size + i)
            both, difference = half * (a + b), half * (a - b)
            store(du, e * size + i, load(du, e * size + i) + both)
            store(du, (e + 1) * size + i, difference)
            store(du, (e + 2) * size + i, both + load(du, (e + 3) * size + i))
        for j in range(3):
            a, b = load(du, (4 + j) * size + i), load(du, (8 + j) * size + i)
            both, difference = half * (a + b), half * (a - b)
            store(dw, j * size + i, load(du, j * size + i) + both)
            store(dw, (3 + j) * size + i, difference)
            store(dw, (6 + j) * size + i, both + load(du, (12 + j) * size + i))


@jit
def copy_rows(x, image, top, rows, width, left):
    """Rows top ... top + rows - 1, columns -left ... of x (H, W, C) to image, zeros outside."""
    h, w, c = x.shape
    flat = x.reshape(-1)
    before = min(max(left, 0), width)
    skipped = max(-left, 0)
    inside = max(0, min(w - skipped, width - before))
    for r in range(rows):
        at = r * width * c
        if 0 <= top + r < h:
            clear(image, at, before * c)
            copy(image, at + before * c, flat, ((top + r) * w + skipped) * c, inside * c)
            clear(image, at + (before + inside) * c, (width - before - inside) * c)
        else:
            clear(image, at, width * c)


@jit(parallel=True)
def sum_parts(partial, total):
    """total (S,) = the sum of the rows of partial (parts, S), in their order."""
    for i in prange(len(total)):
        number = partial[0, i]
        for part in range(1, len(partial)):
            number += partial[part, i]
        total[i] = number


@jit
def _four(array, at, step):
    """Four vectors, `step` numbers apart."""
    return (
        load(array, at),
        load(array, at + step),
        load(array, at + 2 * step),
        load(array, at + 3 * step),
    )


@jit
def _transform_patches(image, v, first, element, tiles, c):
    """v = B^T d B for each patch of four image rows, to places `first` ... of each element."""
    row = (2 * tiles + 2) * c
    for t in range(tiles):
        for i in range(0, c, LANES):
            at, to = 2 * t * c + i, (first + t) * c + i
            d00, d01, d02, d03 = _four(image, at, c)
            at += row
            d10, d11, d12, d13 = _four(image, at, c)
            at += row
            d20, d21, d22, d23 = _four(image, at, c)
            at += row
            d30, d31, d32, d33 = _four(image, at, c)
            _patch_row(v, to, element, d00 - d20, d01 - d21, d02 - d22, d03 - d23)
            _patch_row(v, to + 4 * element, element, d10 + d20, d11 + d21, d12 + d22, d13 + d23)
            _patch_row(v, to + 8 * element, element, d20 - d10, d21 - d11, d22 - d12, d23 - d13)
            _patch_row(v, to + 12 * element, element, d10 - d30, d11 - d31, d12 - d32, d13 - d33)


@jit
def _patch_row(v, to, element, a, b, c, d):
    store(v, to, a - c)
    store(v, to + element, b + c)
    store(v, to + 2 * element, c - b)
    store(v, to + 3 * element, b - d)


@jit
def _transform_products(m, y, p, first, element, tiles):
    """y = A^T m A for a row of tiles, whose upper pixels are row p of y (H, W, K)."""
    height, width, k = y.shape
    flat = y.reshape(-1)
    for t in range(tiles):
        for f in range(0, k, LANES):
            at = (first + t) * k + f
            m0, m1, m2, m3 = _four(m, at, element)
            a0, b0 = m0 + m1 + m2, m1 - m2 - m3
            at += 4 * element
            m0, m1, m2, m3 = _four(m, at, element)
            a1, b1 = m0 + m1 + m2, m1 - m2 - m3
            at += 4 * element
            m0, m1, m2, m3 = _four(m, at, element)
            a2, b2 = m0 + m1 + m2, m1 - m2 - m3
            at += 4 * element
            m0, m1, m2, m3 = _four(m, at, element)
            a3, b3 = m0 + m1 + m2, m1 - m2 - m3
            to = (p * width + 2 * t) * k + f
            store(flat, to, a0 + a1 + a2)
            right, below = 2 * t + 1 < width, p + 1 < height
            if right:
                store(flat, to + k, b0 + b1 + b2)
            if below:
                store(flat, to + width * k, a1 - a2 - a3)
            if right and below:
                store(flat, to + (width + 1) * k, b1 - b2 - b3)


@jit
def _transform_gradient(dy, n, p, first, element, tiles):
    """n = A dy A^T for a row of tiles, whose upper pixels are row p of dy (H, W, K)."""
    height, width, k = dy.shape
    flat = dy.reshape(-1)
    for t in range(tiles):
        for f in range(0, k, LANES):
            at, to = (p * width + 2 * t) * k + f, (first + t) * k + f
            right, below = 2 * t + 1 < width, p + 1 < height
            a, b, c, d = load(flat, at), fill(flat, 0), fill(flat, 0), fill(flat, 0)
            if right:
                b = load(flat, at + k)
            if below:
                c = load(flat, at + width * k)
            if right and below:
                d = load(flat, at + (width + 1) * k)
            _gradient_row(n, to, element, a, b)
            _gradient_row(n, to + 4 * element, element, a + c, b + d)
            _gradient_row(n, to + 8 * element, element, a - c, b - d)
            _gradient_row(n, to + 12 * element, element, fill(flat, 0) - c, fill(flat, 0) - d)


@jit
def _gradient_row(n, to, element, a, b):
    store(n, to, a)
    store(n, to + element, a + b)
    store(n, to + 2 * element, a - b)
    store(n, to + 3 * element, fill(n, 0) - b)


@cache
def _correlation(channels: int, vectors: int):
    """`correlate` for a number of channels and of vectors in a register tile."""

    @jit(parallel=True)
    def correlation(x, w, y, u, images, vs, ms, rows, tiles, before):
        c, k = x.shape[3], y.shape[3]
        _transform_filter(w.reshape(-1), u.reshape(-1))
        u_flat = u.reshape(-1)
        per_image = (y.shape[1] + 1) // 2
        strips = len(x) * per_image
        v_element, m_element = vs.shape[2], ms.shape[2]
        for block in prange((strips + rows - 1) // rows):
            thread = numba.get_thread_id()
            image, v, m = images[thread], vs[thread].reshape(-1), ms[thread].reshape(-1)
            start, stop = block * rows, min((block + 1) * rows, strips)
            for strip in range(start, stop):
                p = strip % per_image * 2
                copy_rows(x[strip // per_image], image, p - before[0], 4, 2 * tiles + 2, before[1])
                _transform_patches(image, v, (strip - start) * tiles, v_element, tiles, c)
            count = (stop - start) * tiles
            for e in range(16):
                for f in range(0, k, LANES * vectors):
                    for t in range(0, count, ROWS):
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
                            ROWS,
                            1,
                            c,
                            False,
                        )
            for strip in range(start, stop):
                p = strip % per_image * 2
                _transform_products(
                    m, y[strip // per_image], p, (strip - start) * tiles, m_element, tiles
                )

    return correlation


@cache
def _gradient(vectors: int):
    """`weight_gradient` for a number of vectors in a register tile."""

    @jit(parallel=True)
    def gradient(x, dy, partial, images, vs, ns, rows, tiles, padding):
        c, k = x.shape[3], dy.shape[3]
        parts = len(partial)
        per_image = (dy.shape[1] + 1) // 2
        strips = len(x) * per_image
        blocks = (strips + rows - 1) // rows
        v_element, n_element = vs.shape[2], ns.shape[2]
        for part in prange(parts):
            thread = numba.get_thread_id()
            image, total = images[thread], partial[part].reshape(-1)
            v, n = vs[thread].reshape(-1), ns[thread].reshape(-1)
            clear(total, 0, len(total))
            for block in range(part * blocks // parts, (part + 1) * blocks // parts):
                start, stop = block * rows, min((block + 1) * rows, strips)
                for strip in range(start, stop):
                    p, first = strip % per_image * 2, (strip - start) * tiles
                    copy_rows(
                        x[strip // per_image], image, p - padding[0], 4, 2 * tiles + 2, padding[1]
                    )
                    _transform_patches(image, v, first, v_element, tiles, c)
                    _transform_gradient(dy[strip // per_image], n, p, first, n_element, tiles)
                count = (stop - start) * tiles
                for e in range(16):
                    for i in range(0, c, ROWS):
                        for f in range(0, k, LANES * vectors):
                            register_tile(
                                1,
                                vectors,
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
                                min(ROWS, c - i),
                                1,
                                count,
                                True,
                            )

    return gradient
