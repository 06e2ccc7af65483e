"""Arrays whose memory is used again: a training step needs the same shapes over and over.

A fresh array of some megabytes costs more than reading it: the operating system hands out its pages
one fault at a time. The pool keeps the memory of arrays that nobody holds any longer and gives it
to the next array of about that size, so that after the second step nothing new is allocated.
"""

from collections import defaultdict
from math import prod

import numpy as np

SMALL = 1 << 16
"""Arrays below 64 KiB are left to the C library, which uses their memory again by itself."""

ALIGNMENT = 64
"""Every larger array begins at a multiple of this: no vector straddles two cache lines."""

_free: dict[int, list[np.ndarray]] = defaultdict(list)
_reserved = 0


class _Loan:
    """Holds a piece of memory while an array lies in it; gives it back when that is garbage."""

    def __init__(self, memory: np.ndarray, shape: tuple[int, ...], dtype: np.dtype):
        self.memory = memory
        place = (memory.ctypes.data, False)
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": place,
            "version": 3,
        }

    def __del__(self, free=_free):
        free[self.memory.nbytes].append(self.memory)


def empty(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array with arbitrary contents; its memory returns to the pool when it is garbage."""
    global _reserved
    dtype = np.dtype(dtype)
    needed = prod(shape) * dtype.itemsize
    if needed < SMALL:
        return np.empty(shape, dtype)
    size = _rounded(needed)
    if not _free[size]:
        _free[size].append(_aligned(size))
        _reserved += size
    return np.asarray(_Loan(_free[size].pop(), shape, dtype))


def zeros(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array of zeros; its memory returns to the pool when it is garbage."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def reserved() -> int:
    """Bytes the pool has allocated: those in use and those that wait for their next use."""
    return _reserved


def release() -> None:
    """Give the memory that waits for its next use back to the operating system."""
    global _reserved
    _reserved -= sum(size * len(blocks) for size, blocks in _free.items())
    _free.clear()


def _aligned(size: int) -> np.ndarray:
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


def _rounded(size: int) -> int:
    """Up to a multiple of an eighth of its power of two: 8 sizes per octave, 12 % lost at most."""
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step
