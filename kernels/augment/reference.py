"""Normalisation and augmentation in array code."""

import numpy as np

from minires.kernels.arrays import array_module, pad_image, windows


def normalize(images, mean, inv_std):
    """z = (images / 255 - mean) * inv_std, float32."""
    z = images * np.float32(1 / 255)
    z -= mean
    z *= inv_std
    return z


def forward(images, offsets, flips, pad, mean, inv_std):
    """Normalise, pad, crop at each image's own offset, flip."""
    xp = array_module(images)
    n, h, w, c = images.shape
    padded = pad_image(normalize(images, mean, inv_std), (pad, pad))
    crops = windows(padded, (h, w), (1, 1))[xp.arange(n), offsets[:, 0], offsets[:, 1]]
    return xp.where(flips[:, None, None, None], crops[:, :, ::-1], crops)
