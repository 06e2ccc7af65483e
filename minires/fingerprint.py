"""Checksums that tell whether an array that backward needs was modified in place.

See docs/decisions/autodiff.md, "Fingerprints".
"""

import zlib
from functools import cache

import numpy as np

SAMPLES = 256
EXACT_BYTES = 1 << 13


def fingerprint(value):
    """A checksum that changes when the array `value` is modified in place; None for other values.

    It covers every byte of an array up to 8 KiB, and 256 elements scattered over a larger one, so
    that it costs microseconds: a change of the whole array, of one of up to 256 channels or images
    is noticed, one of a single element of a large array may not be. Arrays on a GPU are not looked
    at, because reading one would stop the device. For a tuple: the checksums of its values.
    """
    if isinstance(value, tuple):
        return tuple(map(fingerprint, value))
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        return None
    if value.nbytes > EXACT_BYTES:
        flat = value.reshape(-1) if value.flags.c_contiguous else value.flat
        value = flat[_scattered(value.size)]
    return zlib.crc32(np.ascontiguousarray(value))


@cache
def _scattered(size: int) -> np.ndarray:
    """SAMPLES positions all over an array of `size` elements, one of each remainder modulo SAMPLES.

    So every image of a batch of up to SAMPLES images has one, and every channel.
    """
    rng, edges = np.random.default_rng(size), np.arange(SAMPLES + 1) * size // SAMPLES
    places = rng.integers(edges[:-1], edges[1:])
    places += (rng.permutation(SAMPLES) - places) % SAMPLES
    return np.where(places < size, places, places - SAMPLES)
