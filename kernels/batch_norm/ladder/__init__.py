"""The sums behind batch norm's statistics, in five steps: for x (rows, C), the sum of each column
and the sum of its squares, (2, C); float32.

One addition (and one product) for each number that is read: here memory is the limit from the first
version on, and the question is only how to keep it busy. Many threads must add, and then be added.
Every version writes the sums of `parts` parts of the rows; those are added in order, so that the
result has the same bits every time, which atomic additions would not give.

    v1 naive           a block for each channel; neighbours in a warp have neighbouring rows
    v2 coalesced       neighbours have neighbouring channels; every thread writes its own sum
    v3 shared          the threads of a block add their sums in shared memory
    v4 registers       a thread sums four channels, which it fetches at a time
    v5 tensor cores    a sum of rows is a product with ones

(`kernels/batch_norm/cuda.cu` sums the squares of distances from the mean of each part instead of
the squares themselves, which lose digits where a channel's mean is far from zero.)
"""

import numpy as np

SHAPES = [(5, 3), (1, 1), (40, 16), (300, 17), (129, 64), (1030, 4), (64, 40)]
"""(rows, C) that the tests use."""

SIZE, GPU_SIZE = (2048, 64), (1_048_576, 64)
"""What the benchmark uses on the emulator and on a GPU, there more than fits in a cache."""

TENSOR_CORE_ERROR = 1e-5
"""The largest, relative to the largest result: numbers are taken apart, and keep 21 bits."""


def inputs(rng: np.random.Generator, shape) -> tuple[np.ndarray]:
    """A random matrix."""
    return (rng.standard_normal(shape).astype(np.float32),)


def reference(x):
    """The result."""
    exact = x.astype(np.float64)
    return np.stack([exact.sum(0), (exact * exact).sum(0)]).astype(np.float32)


def flops(x) -> int:
    """Floating-point operations."""
    return 3 * x.size


def least_bytes(x) -> int:
    """Bytes read and written if each number is moved once."""
    return 4 * (x.size + 2 * x.shape[1])
