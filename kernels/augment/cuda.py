"""Launches the kernel of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module
from minires.kernels.arrays import array_module
from minires.kernels.augment import reference
from minires.kernels.grid import THREADS, blocks

KERNELS = Module(Path(__file__).parent / "cuda.cu", ["augment"])

normalize = reference.normalize  # once per data set, not per step


def forward(images, offsets, flips, pad, mean, inv_std):
    """Normalise, pad, crop at each image's own offset, flip."""
    xp, (_, h, w, c) = array_module(images), images.shape
    y = xp.empty(images.shape, np.float32)
    whole = (
        xp.ascontiguousarray(xp.broadcast_to(a, (h, w, c)), np.float32) for a in (mean, inv_std)
    )
    arguments = (
        xp.ascontiguousarray(images),
        xp.ascontiguousarray(offsets, np.int64),
        xp.ascontiguousarray(flips),
        *whole,
        y,
        np.int64(y.size),
        *map(np.int32, (h, w, c, pad)),
    )
    KERNELS.launch("augment", blocks(y.size), (THREADS,), arguments)
    return y
