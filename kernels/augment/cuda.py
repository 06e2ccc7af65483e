"""Launches the kernel of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module
from minires.kernels.arrays import array_module
from minires.kernels.grid import THREADS, blocks
from minires.kernels.traffic import size_of

KERNELS = Module(Path(__file__).parent / "cuda.cu", ["augment"])


def normalize(images, chosen, mean, inv_std):
    """z = (images[chosen] / 255 - mean) * inv_std, float32."""
    xp, n = array_module(images), len(chosen)
    offsets, flips = xp.zeros((n, 2), np.int64), xp.zeros(n, bool)
    return forward(images, chosen, offsets, flips, 0, mean, inv_std)


def forward(images, chosen, offsets, flips, pad, mean, inv_std):
    """Choose, normalise, pad, crop at each image's own offset, flip."""
    xp, (_, h, w, c) = array_module(images), images.shape
    y = xp.empty((len(chosen), h, w, c), np.float32)
    numbers = (np.int64(y.size), *map(np.int32, (h, w, c, pad)))
    arguments = (images, chosen, offsets, flips, mean, inv_std, y, *numbers)
    read = y.size * images.itemsize + size_of(chosen, offsets, flips, mean, inv_std)
    traffic = (read, y.nbytes)  # of the images only those that are chosen
    KERNELS.launch("augment", blocks(y.size), (THREADS,), arguments, traffic=traffic)
    return y
