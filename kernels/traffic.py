"""How many bytes a launch must move to and from memory, where that is not all of its arrays.

Each byte counts once. If a launch reads only some pixels or channels of an array, all bytes of the
sectors that hold them count, since memory moves in sectors.
"""

from functools import cache

import numpy as np

from minires.kernels.arrays import output_size

SECTOR = 32
"""Bytes that memory moves at a time; every array begins with a sector."""


def size_of(*arrays) -> int:
    """Bytes of all these arrays; None is no array."""
    return sum(array.nbytes for array in arrays if array is not None)


@cache
def bytes_of_windows(shape, itemsize: int, kernel, stride, padding=(0, 0)) -> int:
    """What is read of images of `shape` (N,H,W,C) where each window is read whole.

    All of them, unless the windows leave pixels out: by a stride that is longer than the kernel, or
    at the end of a row or column.
    """
    n, height, width, channels = shape
    rows, columns = (
        {
            place
            for first in range(output_size(size, k, s, p))
            for place in range(first * s - p, first * s - p + k)
            if 0 <= place < size
        }
        for size, k, s, p in zip((height, width), kernel, stride, padding, strict=True)
    )
    if (len(rows), len(columns)) == (height, width):
        return n * height * width * channels * itemsize
    rows, columns = (np.array(sorted(places), np.int64) for places in (rows, columns))
    pixels = (np.arange(n)[:, None, None] * height + rows[:, None]) * width + columns
    return _bytes_of_pieces(pixels.ravel() * channels * itemsize, channels * itemsize)


@cache
def bytes_of_channels(pixels: int, wider: int, low: int, channels: int, itemsize: int) -> int:
    """Bytes read of an array (pixels, wider) where only `channels` channels from `low` on are."""
    return _bytes_of_pieces((np.arange(pixels) * wider + low) * itemsize, channels * itemsize)


def _bytes_of_pieces(starts, length: int) -> int:
    """Bytes of the sectors that hold these pieces of an array: in order, without overlap."""
    if len(starts) == 0 or length == 0:
        return 0
    first, last = starts // SECTOR, (starts + length - 1) // SECTOR
    shared = np.count_nonzero(first[1:] == last[:-1])  # by a piece and the one before it
    return SECTOR * int((last - first + 1).sum() - shared)
