"""Normalisation, crop and flip in one pass: a pixel is read as uint8 and written as float32."""

import numpy as np
from numba import prange

from minires.kernels.jit import jit
from minires.kernels.memory import empty


def normalize(images, chosen, mean, inv_std, dtype=np.float32):
    """z = (images[chosen] / 255 - mean) * inv_std."""
    offsets, flips = np.zeros((len(chosen), 2), np.int64), np.zeros(len(chosen), bool)
    return forward(images, chosen, offsets, flips, 0, mean, inv_std, dtype)


def forward(images, chosen, offsets, flips, pad, mean, inv_std, dtype=np.float32):
    """Choose, normalise, pad, crop at each image's own offset, flip."""
    y = empty((len(chosen), *images.shape[1:]), np.float32)
    _crop(images, chosen, offsets, flips, pad, mean, inv_std, y)
    return y.astype(dtype, copy=False)


@jit(parallel=True)
def _crop(images, chosen, offsets, flips, pad, mean, inv_std, y):
    count, height, width, channels = y.shape
    scale = np.float32(1 / 255)
    for n in prange(count):
        top, left = offsets[n, 0] - pad, offsets[n, 1] - pad
        for p in range(height):
            h = p + top
            for q in range(width):
                w = left + (width - 1 - q if flips[n] else q)
                inside = 0 <= h < height and 0 <= w < width
                for c in range(channels):
                    z = np.float32(0)
                    if inside:
                        z = (images[chosen[n], h, w, c] * scale - mean[h, w, c]) * inv_std[h, w, c]
                    y[n, p, q, c] = z
