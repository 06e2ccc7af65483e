"""Launches the kernel of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.cuda.signature import DTYPES
from minires.kernels.arrays import array_module
from minires.kernels.grid import THREADS, blocks
from minires.kernels.traffic import size_of

KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [
        f"{kernel}<{stored}>"
        for kernel in ("augment", "augment_at")
        for stored in ("float", "half16", "bfloat16")
        if stored in DTYPES
    ],
)


def normalize(images, chosen, mean, inv_std, dtype=np.float32):
    """z = (images[chosen] / 255 - mean) * inv_std."""
    xp, n = array_module(images), len(chosen)
    offsets, flips = xp.zeros((n, 2), np.int64), xp.zeros(n, bool)
    return forward(images, chosen, offsets, flips, 0, mean, inv_std, dtype)


def forward(images, chosen, offsets, flips, pad, mean, inv_std, dtype=np.float32):
    """Choose, normalise, pad, crop at each image's own offset, flip."""
    xp, (_, h, w, c) = array_module(images), images.shape
    y = xp.empty((len(chosen), h, w, c), dtype)
    tables = dict(chosen=chosen, offsets=offsets, flips=flips, mean=mean, inv_std=inv_std)
    sizes = dict(size=y.size, height=h, width=w, channels=c, pad=pad)
    read = y.size * images.itemsize + size_of(*tables.values())
    traffic = (read, y.nbytes)  # of the images only those that are chosen
    arguments = dict(images=images, **tables, y=y, **sizes)
    instance = f"augment<{element_type(y)}>"
    KERNELS.launch(instance, blocks(y.size), (THREADS,), arguments, traffic=traffic)
    return y


def forward_at(
    images, labels, chosen, offsets, flips, pad, mean, inv_std, batch, size, dtype=np.float32
):
    """The batch of this number out of an epoch's tables, and its labels."""
    xp, (_, h, w, c) = array_module(images), images.shape
    y = xp.empty((size, h, w, c), dtype)
    picked = xp.zeros(size, np.int64)  # while a graph is recorded: classes that there are
    tables = dict(chosen=chosen, offsets=offsets, flips=flips)
    sizes = dict(size=y.size, height=h, width=w, channels=c, pad=pad, count=size)
    read = y.size * images.itemsize + picked.nbytes + size_of(mean, inv_std, batch)
    read += sum(table[:size].nbytes for table in tables.values())
    grid = max(blocks(y.size), blocks(size))
    traffic = (read, y.nbytes + picked.nbytes)
    instance = f"augment_at<{element_type(y)}>"
    arguments = dict(images=images, labels=labels, **tables, mean=mean, inv_std=inv_std)
    arguments |= dict(batch=batch, y=y, picked=picked, **sizes)
    KERNELS.launch(instance, grid, (THREADS,), arguments, traffic=traffic)
    return y, picked
