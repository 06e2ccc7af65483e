"""Normalisation, crop and flip in one pass: a pixel is read as uint8 and written as float32."""

import numpy as np
from numba import prange

from minires.kernels.jit import jit
from minires.kernels.memory import empty


def normalize(images, mean, inv_std):
    """z = (images / 255 - mean) * inv_std, float32."""
    n = len(images)
    return forward(images, np.zeros((n, 2), np.int64), np.zeros(n, bool), 0, mean, inv_std)


def forward(images, offsets, flips, pad, mean, inv_std):
    """Normalise, pad, crop at each image's own offset, flip."""
    shape = images.shape[1:]
    y = empty(images.shape, np.float32)
    mean, inv_std = (
        np.ascontiguousarray(np.broadcast_to(value, shape), np.float32) for value in (mean, inv_std)
    )
    _crop(images, offsets, flips, pad, mean, inv_std, y)
    return y


@jit(parallel=True)
def _crop(images, offsets, flips, pad, mean, inv_std, y):
    count, height, width, channels = images.shape
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
                        z = (images[n, h, w, c] * scale - mean[h, w, c]) * inv_std[h, w, c]
                    y[n, p, q, c] = z
