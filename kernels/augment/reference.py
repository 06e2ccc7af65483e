"""Normalisation and augmentation in array code."""

import numpy as np

from minires.kernels.arrays import array_module, pad_image, windows


def normalize(images, chosen, mean, inv_std, dtype=np.float32):
    """z = (images[chosen] / 255 - mean) * inv_std."""
    z = images[chosen] * np.float32(1 / 255)
    z -= mean
    z *= inv_std
    return z.astype(dtype, copy=False)


def forward(images, chosen, offsets, flips, pad, mean, inv_std, dtype=np.float32):
    """Choose, normalise, pad, crop at each image's own offset, flip."""
    return crop(normalize(images, chosen, mean, inv_std, dtype), offsets, flips, pad)


def crop(z, offsets, flips, pad):
    """Pad, crop at each image's own offset, flip."""
    xp, padded = array_module(z), pad_image(z, (pad, pad))
    crops = windows(padded, z.shape[1:3], (1, 1))
    crops = crops[xp.arange(len(z)), offsets[:, 0], offsets[:, 1]]
    return xp.where(flips[:, None, None, None], crops[:, :, ::-1], crops)


def forward_at(
    images, labels, chosen, offsets, flips, pad, mean, inv_std, batch, size, dtype=np.float32
):
    """The batch of this number out of an epoch's tables, and its labels."""
    rows = slice(int(batch) * size, (int(batch) + 1) * size)
    y = forward(images, chosen[rows], offsets[rows], flips[rows], pad, mean, inv_std, dtype)
    return y, labels[chosen[rows]]
