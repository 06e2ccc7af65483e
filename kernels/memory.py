"""Arrays whose memory is used again: a training step needs the same shapes over and over.

A fresh array of some megabytes costs more than reading it: the operating system hands out its pages
one fault at a time. The pool keeps the memory of arrays that nobody holds any longer and gives it
to the next array of about that size, so that after the second step nothing new is allocated.

See docs/decisions/cpu.md, "Memory pool".
"""

from collections import defaultdict
from math import prod

import numpy as np

SMALL = 1 << 16
"""Arrays below 64 KiB are left to the C library, which uses their memory again by itself."""

ALIGNMENT = 64
"""Larger arrays begin at a multiple of a cache line's bytes: no vector straddles two of them."""

PAGE, STAGGER = 4096, 9 * ALIGNMENT
"""Blocks begin at different places of a page, each STAGGER bytes farther than the one before: a
processor that reads x[i] just after it wrote y[i] may take them for the same address, of which it
first compares the low 12 bits."""

LARGER = 1.75
"""A free block up to LARGER times as large as needed is taken rather than a new one, so that the
last, smaller batch of an epoch needs no memory of its own."""

_free: dict[int, list["_Block"]] = defaultdict(list)
_reserved = 0


class _Block:
    """A piece of memory, as long as it belongs to the pool."""

    made = 0

    def __init__(self, size: int):
        self.memory, self.size = np.empty(size + PAGE, np.uint8), size
        start = self.memory.ctypes.data
        self.address = start + (_Block.made * STAGGER - start) % PAGE
        _Block.made += 1


class _Loan:
    """Holds a block while an array lies in it; gives it back when the array is garbage."""

    lent_to_one_array = True
    block: _Block | None = None  # until __init__ has come to its end, which Ctrl-C can prevent

    def __init__(self, block: _Block, shape: tuple[int, ...], dtype: np.dtype):
        self.block = block
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (block.address, False),
            "version": 3,
        }

    def __del__(self, free=_free):
        if self.block is not None:
            free[self.block.size].append(self.block)


def empty(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array with arbitrary contents; its memory returns to the pool when it is garbage."""
    dtype = np.dtype(dtype)
    needed = prod(shape) * dtype.itemsize
    if needed < SMALL:
        return np.empty(shape, dtype)
    return np.asarray(_Loan(_borrow(_rounded(needed)), shape, dtype))


def _borrow(size: int) -> _Block:
    """A free block of this size, or one not much larger, or a new one."""
    global _reserved
    try:
        return _free[size].pop()
    except IndexError:
        pass
    larger = [s for s, blocks in list(_free.items()) if blocks and size < s <= LARGER * size]
    for fitting in sorted(larger):
        try:
            return _free[fitting].pop()
        except IndexError:  # another thread was quicker
            pass
    try:
        block = _Block(size)
    except MemoryError:
        release()
        block = _Block(size)
    _reserved += size
    return block


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
    for size, blocks in list(_free.items()):
        while blocks:
            blocks.pop()
            _reserved -= size


def _rounded(size: int) -> int:
    """Up to a multiple of an eighth of its power of two: 8 sizes per octave, 12 % lost at most."""
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step
