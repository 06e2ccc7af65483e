"""How kernels that visit every element of an array are launched."""

THREADS = 256
"""Threads in a block."""

MOST_BLOCKS = 2048
"""Enough to fill any GPU; each thread then visits every so many elements."""


def blocks(size: int) -> tuple[int]:
    """The grid for `size` elements: a thread for each, up to MOST_BLOCKS * THREADS of them."""
    return (max(1, min(MOST_BLOCKS, -(-size // THREADS))),)
