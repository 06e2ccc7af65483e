"""The transforms of Winograd's F(2x2,3x3), along rows and columns, LANES channels at a time.

          | 1  0  0 |          | 1  0 -1  0 |
    G =   | 1  1  1 | / 2     B^T = | 0  1  1  0 |      A^T = | 1  1  1  0 |
          | 1 -1  1 | / 2          | 0 -1  1  0 |            | 0  1 -1 -1 |
          | 0  0  1 |          | 0  1  0 -1 |

    filter     u = G w G^T             back    dw = G^T du G
    patch      v = B^T d B
    product    y = A^T m A             back    n = A dy A^T

`numba_winograd.py` tells what they are for. u, v, m and n are arrays (16, ...): a matrix for each
element of a tile. m and n hold the channels of tile after tile. v holds LANES channels of all
tiles, then the next LANES channels of all tiles: so neighbouring tiles are LANES numbers apart,
whatever the number of channels, and the same machine code multiplies them all.
"""

from minires.kernels.jit import jit
from minires.kernels.vectors import LANES, fill, load, store

SPACE = LANES
"""Numbers between the elements of v, m and n: at a distance of a power of two their 16 streams of
stores would meet in a few sets of the L1 cache. Also, the last register tile may read 15 too far.
"""


@jit
def places(matrices, channels):
    """How many tiles a matrix of each element has room for."""
    return (matrices.shape[1] - SPACE) // channels


@jit
def transform_filter(w, u):
    """u = G w G^T for each pair of channels; w (3, 3, C, K), u (16, C, K)."""
    size = w.size // 9
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
def transform_filter_back(du, dw):
    """dw = G^T du G for each pair of channels; du (16, C, K) is overwritten."""
    size = dw.size // 9
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
def _four(array, at, step):
    """Four vectors, `step` numbers apart."""
    return (
        load(array, at),
        load(array, at + step),
        load(array, at + 2 * step),
        load(array, at + 3 * step),
    )


@jit
def transform_patches(image, start, v, first, tiles, c):
    """v = B^T d B for the patches of the four image rows from `start` on: tiles `first` ...."""
    row, element, lanes = (2 * tiles + 2) * c, v.shape[1], places(v, c)
    for i in range(0, c, LANES):
        for t in range(tiles):
            at, to = start + 2 * t * c + i, i * lanes + (first + t) * LANES
            d00, d01, d02, d03 = _four(image, at, c)
            at += row
            d10, d11, d12, d13 = _four(image, at, c)
            at += row
            d20, d21, d22, d23 = _four(image, at, c)
            at += row
            d30, d31, d32, d33 = _four(image, at, c)
            _patch_row(v, to, element, d00 - d20, d01 - d21, d02 - d22, d03 - d23)
            to += 4 * element
            _patch_row(v, to, element, d10 + d20, d11 + d21, d12 + d22, d13 + d23)
            to += 4 * element
            _patch_row(v, to, element, d20 - d10, d21 - d11, d22 - d12, d23 - d13)
            to += 4 * element
            _patch_row(v, to, element, d10 - d30, d11 - d31, d12 - d32, d13 - d33)


@jit
def _patch_row(v, to, element, a, b, c, d):
    store(v, to, a - c)
    store(v, to + element, b + c)
    store(v, to + 2 * element, c - b)
    store(v, to + 3 * element, b - d)


@jit
def transform_products(m, y, p, first, tiles):
    """y = A^T m A for a row of tiles, whose upper pixels are row p of y (H, W, K)."""
    height, width, k = y.shape
    element = m.shape[1]
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
            store(y, to, a0 + a1 + a2)
            right, below = 2 * t + 1 < width, p + 1 < height
            if right:
                store(y, to + k, b0 + b1 + b2)
            if below:
                store(y, to + width * k, a1 - a2 - a3)
            if right and below:
                store(y, to + (width + 1) * k, b1 - b2 - b3)


@jit
def transform_gradient(image, start, n, first, tiles, k):
    """n = A dy A^T for the tiles in the second and third of four rows of dy and its border."""
    row, element = (2 * tiles + 2) * k, n.shape[1]
    for t in range(tiles):
        for f in range(0, k, LANES):
            at, to = start + row + (2 * t + 1) * k + f, (first + t) * k + f
            a, b = load(image, at), load(image, at + k)
            c, d = load(image, at + row), load(image, at + row + k)
            _gradient_row(n, to, element, a, b)
            _gradient_row(n, to + 4 * element, element, a + c, b + d)
            _gradient_row(n, to + 8 * element, element, a - c, b - d)
            zero = fill(n, 0)
            _gradient_row(n, to + 12 * element, element, zero - c, zero - d)


@jit
def _gradient_row(n, to, element, a, b):
    store(n, to, a)
    store(n, to + element, a + b)
    store(n, to + 2 * element, a - b)
    store(n, to + 3 * element, fill(n, 0) - b)
