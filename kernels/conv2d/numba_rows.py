"""Rows of an image, copied to the cache with the border of zeros that a convolution reads.

As they are, or on the way through the batch normalisation that stands before the convolution, so
that nobody has to write the normalised image to memory first.
"""

from numba import prange

from minires.kernels.jit import jit
from minires.kernels.vectors import LANES, clear, clip_negative, copy, fma, load, store


@jit
def _columns(w, width, left):
    """How many of `width` columns lie before the image, how many of its own w are skipped, used."""
    before, skipped = min(max(left, 0), width), max(-left, 0)
    return before, skipped, max(0, min(w - skipped, width - before))


@jit
def copy_rows(x, image, top, rows, width, left):
    """Rows top ... top + rows - 1, columns -left ... of x (H, W, C) to image, zeros outside."""
    h, w, c = x.shape
    flat = x.reshape(-1)
    before, skipped, inside = _columns(w, width, left)
    for r in range(rows):
        at = r * width * c
        if 0 <= top + r < h:
            clear(image, at, before * c)
            copy(image, at + before * c, flat, ((top + r) * w + skipped) * c, inside * c)
            clear(image, at + (before + inside) * c, (width - before - inside) * c)
        else:
            clear(image, at, width * c)


@jit
def normalize_rows(x, mean, scale, beta, image, top, rows, width, left):
    """The rows of max((x - mean) scale + beta, 0), as `copy_rows` copies them."""
    h, w, c = x.shape
    flat = x.reshape(-1)
    before, skipped, inside = _columns(w, width, left)
    for r in range(rows):
        at = r * width * c
        if 0 <= top + r < h:
            clear(image, at, before * c)
            origin, target = ((top + r) * w + skipped) * c, at + before * c
            for channel in range(0, c, LANES):
                m, s, b = load(mean, channel), load(scale, channel), load(beta, channel)
                for i in range(channel, inside * c, c):
                    u = fma(load(flat, origin + i) - m, s, b)
                    store(image, target + i, clip_negative(u))
            clear(image, at + (before + inside) * c, (width - before - inside) * c)
        else:
            clear(image, at, width * c)


@jit
def differentiate_rows(du, x, mean, scale, of_x, constant, image, top, rows, width, left):
    """The rows of scale du + of_x (x - mean) + constant, batch norm's dx; as `copy_rows` does."""
    h, w, c = x.shape
    x_flat, du_flat = x.reshape(-1), du.reshape(-1)
    before, skipped, inside = _columns(w, width, left)
    for r in range(rows):
        at = r * width * c
        if 0 <= top + r < h:
            clear(image, at, before * c)
            origin, target = ((top + r) * w + skipped) * c, at + before * c
            for channel in range(0, c, LANES):
                m, s = load(mean, channel), load(scale, channel)
                f, k = load(of_x, channel), load(constant, channel)
                for i in range(channel, inside * c, c):
                    rest = fma(f, load(x_flat, origin + i) - m, k)
                    store(image, target + i, fma(s, load(du_flat, origin + i), rest))
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
