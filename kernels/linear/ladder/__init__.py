"""A matrix product, c (M, N) = a (M, K) b (K, N), in five steps; float32.

Every c is a sum of K products: 2 M N K operations on M K + K N + M N numbers. A processor that had
to fetch both factors of every product from memory would fetch 2 M N K numbers: for 1,024 x 1,024
that is 683 times what there is. How often a number is fetched is what these versions differ in.

    v1 naive           a thread for each c; neighbours in a warp have neighbouring rows
    v2 coalesced       the same, but neighbours have neighbouring columns
    v3 shared          a block fetches tiles of a and b once for all its threads
    v4 registers       a thread has 4 x 4 results, and fetches four numbers at a time
    v5 tensor cores    a warp multiplies 16 x 8 by 8 x 8 numbers in one instruction
"""

import numpy as np

SHAPES = [(5, 7, 3), (1, 1, 1), (16, 32, 16), (33, 20, 70), (64, 8, 64), (65, 36, 68), (130, 3, 5)]
"""(M, K, N) that the tests use."""

SIZE, GPU_SIZE = (128, 128, 128), (2048, 2048, 2048)
"""What the benchmark uses on the emulator and on a GPU."""

TENSOR_CORE_ERROR = 2e-3
"""The largest, relative to the largest result: factors are rounded to 2^-11."""


def inputs(rng: np.random.Generator, shape) -> tuple[np.ndarray, np.ndarray]:
    """Random factors."""
    m, k, n = shape
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    return a.astype(np.float32), b.astype(np.float32)


def reference(a, b):
    """The result."""
    return a @ b


def flops(a, b) -> int:
    """Floating-point operations."""
    return 2 * a.size * b.shape[1]


def least_bytes(a, b) -> int:
    """Bytes read and written if each number is moved once."""
    return 4 * (a.size + b.size + len(a) * b.shape[1])
