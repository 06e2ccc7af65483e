"""Rows of an image, copied to the cache with the border of zeros that a convolution reads.

As they are, or on the way through the batch normalisation that stands before the convolution, so
that nobody has to write the normalised image to memory first.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from minires.kernels.jit import jit
from minires.kernels.vectors import LANES, clear, clip_negative, copy, fma, load, store


class Window(NamedTuple):
    """Rows top ... top + rows - 1 and columns -left ... width - left - 1 of an image."""

    top: int
    rows: int
    width: int
    left: int


class Normalization(NamedTuple):
    """max((x - mean) scale + beta, 0) takes the place of x; the fields are (C,).

    Where they are empty, x stays as it is.
    """

    mean: np.ndarray
    scale: np.ndarray
    beta: np.ndarray


class Derivative(NamedTuple):
    """scale du + of_x (x - mean) + constant, batch norm's dx, takes the place of du (N, H, W, K).

    x is an array like du, the other fields are (K,). Where they are empty, du stays as it is.
    """

    x: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    of_x: np.ndarray
    constant: np.ndarray


@jit
def _columns(w, window):
    """How many columns of the window lie before the image; how many of the image it skips, uses."""
    before, skipped = min(max(window.left, 0), window.width), max(-window.left, 0)
    return before, skipped, max(0, min(w - skipped, window.width - before))


@jit
def copy_rows(x, image, window):
    """The window of x (H, W, C) to image, zeros outside."""
    h, w, c = x.shape
    before, skipped, inside = _columns(w, window)
    after = window.width - before - inside
    for r in range(window.rows):
        at, row = r * window.width * c, window.top + r
        if 0 <= row < h:
            clear(image, at, before * c)
            copy(image, at + before * c, x, (row * w + skipped) * c, inside * c)
            clear(image, at + (before + inside) * c, after * c)
        else:
            clear(image, at, window.width * c)


@jit
def copy_lanes(x, image, window):
    """The window of x (H, W, C), zeros outside, to image (rows, C / LANES, width, LANES).

    So neighbouring pixels are LANES apart, whatever C is.
    """
    h, w, c = x.shape
    before, skipped, inside = _columns(w, window)
    after = window.width - before - inside
    for r in range(window.rows):
        row = window.top + r
        for channel in range(0, c, LANES):
            at = (r * c + channel) * window.width
            if 0 <= row < h:
                clear(image, at, before * LANES)
                at += before * LANES
                origin = (row * w + skipped) * c + channel
                for i in range(inside):
                    store(image, at + i * LANES, load(x, origin + i * c))
                clear(image, at + inside * LANES, after * LANES)
            else:
                clear(image, at, window.width * LANES)


@jit
def normalize_rows(x, normalization, image, window):
    """The window of the normalised x, as `copy_rows` copies it."""
    h, w, c = x.shape
    before, skipped, inside = _columns(w, window)
    after = window.width - before - inside
    for r in range(window.rows):
        at, row = r * window.width * c, window.top + r
        if 0 <= row < h:
            clear(image, at, before * c)
            origin, target = (row * w + skipped) * c, at + before * c
            for channel in range(0, c, LANES):
                m, s = load(normalization.mean, channel), load(normalization.scale, channel)
                b = load(normalization.beta, channel)
                for i in range(channel, inside * c, c):
                    u = fma(load(x, origin + i) - m, s, b)
                    store(image, target + i, clip_negative(u))
            clear(image, at + (before + inside) * c, after * c)
        else:
            clear(image, at, window.width * c)


@jit
def differentiate_rows(du, x, derivative, image, window):
    """The window of batch norm's dx, as `copy_rows` copies it; x is an image of derivative.x."""
    h, w, c = x.shape
    before, skipped, inside = _columns(w, window)
    after = window.width - before - inside
    for r in range(window.rows):
        at, row = r * window.width * c, window.top + r
        if 0 <= row < h:
            clear(image, at, before * c)
            origin, target = (row * w + skipped) * c, at + before * c
            for channel in range(0, c, LANES):
                m, s = load(derivative.mean, channel), load(derivative.scale, channel)
                f, k = load(derivative.of_x, channel), load(derivative.constant, channel)
                for i in range(channel, inside * c, c):
                    rest = fma(f, load(x, origin + i) - m, k)
                    store(image, target + i, fma(s, load(du, origin + i), rest))
            clear(image, at + (before + inside) * c, after * c)
        else:
            clear(image, at, window.width * c)


@jit(parallel=True)
def sum_parts(partial, total):
    """total (S,) = the sum of the rows of partial (parts, S), in their order."""
    for i in prange(len(total)):
        number = partial[0, i]
        for part in range(1, len(partial)):
            number += partial[part, i]
        total[i] = number
