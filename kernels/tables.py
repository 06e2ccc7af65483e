"""One launch for many arrays, which lie anywhere in memory: tables say where, and who does what."""

from functools import cache

import numpy as np

from minires.kernels.arrays import array_module

CHUNK = 1024
"""Elements that a block works on; the .cu files that follow such tables have the same constant."""


def addresses_of(arrays) -> list[int]:
    """Where these arrays begin in memory."""
    return [a.ctypes.data if isinstance(a, np.ndarray) else a.data.ptr for a in arrays]


@cache
def chunks(sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """For each block its array, int32, and where it begins in it, int64."""
    chunks = [(i, start) for i, size in enumerate(sizes) for start in range(0, size, CHUNK)]
    owners, starts = zip(*chunks, strict=True)
    return np.array(owners, np.int32), np.array(starts, np.int64)


def tables_of(*lists) -> dict:
    """The tables for a launch that visits equally long lists of arrays, element by element.

    Returns
    -------
    dict
        By the names of a kernel's parameters: "addresses", uint64, those of the first list, then
        those of the second, ...; "sizes", int64, the elements of each array of the first list;
        "owners", int32, and "starts", int64: block b works on up to CHUNK elements of array
        owners[b], from starts[b] on.
    """
    xp, sizes = array_module(lists[0][0]), tuple(array.size for array in lists[0])
    owners, starts = chunks(sizes)
    addresses = [address for arrays in lists for address in addresses_of(arrays)]
    return {
        "addresses": xp.asarray(addresses, np.uint64),
        "sizes": xp.asarray(sizes, np.int64),
        "owners": xp.asarray(owners),
        "starts": xp.asarray(starts),
    }
