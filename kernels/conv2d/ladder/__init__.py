"""Convolution forward in five steps, by the contract of `kernels/conv2d`; float32.

y[n,p,q,k] is a sum of KH KW C products: the matrix product of the windows of x, a row for each
output pixel, with the filter. Each pixel of x lies in KH KW windows and is used for K channels; who
fetches it anew each time moves it 9 K times, with a 3x3 filter.

    v1 naive           a thread for each y; neighbours in a warp have neighbouring pixels
    v2 coalesced       the same, but neighbours have neighbouring channels
    v3 shared          a block fetches tiles of the windows and of the filter for all its threads
    v4 registers       a thread has 4 x 4 results, and fetches four channels at a time
    v5 tensor cores    a warp multiplies 16 x 8 by 8 x 8 numbers in one instruction

`kernels/conv2d/cuda.cu` is where this leads: v4 and v5 with tiles of several widths, and both
gradients by the same code.
"""

import numpy as np

from minires.kernels.conv2d import reference as definition

SHAPES = [  # x, KH and KW, K, stride, padding
    ((1, 5, 4, 2), (3, 3), 3, (1, 1), (1, 1)),
    ((2, 4, 3, 4), (1, 1), 5, (1, 1), (0, 0)),
    ((1, 7, 6, 3), (3, 2), 4, (2, 1), (0, 2)),
    ((1, 1, 1, 1), (1, 1), 1, (1, 1), (0, 0)),
    ((2, 9, 9, 8), (3, 3), 16, (2, 2), (1, 1)),
    ((1, 10, 9, 6), (5, 5), 70, (1, 1), (2, 2)),
    ((3, 6, 6, 16), (3, 3), 12, (1, 1), (1, 1)),
]
"""What the tests use."""

SIZE = ((2, 16, 16, 16), (3, 3), 32, (1, 1), (1, 1))
GPU_SIZE = ((128, 32, 32, 64), (3, 3), 64, (1, 1), (1, 1))
"""What the benchmark uses on the emulator and on a GPU."""

TENSOR_CORE_ERROR = 2e-3
"""The largest, relative to the largest result: factors are rounded to 2^-11."""


def inputs(rng: np.random.Generator, shape):
    """Random image and filter; stride and padding."""
    x, kernel, k, stride, padding = shape
    w = rng.standard_normal((*kernel, x[3], k)).astype(np.float32)
    return rng.standard_normal(x).astype(np.float32), w, stride, padding


def reference(x, w, stride, padding):
    """The result."""
    return definition.forward(x, w, stride, padding)[0]


def flops(x, w, stride, padding) -> int:
    """Floating-point operations."""
    return 2 * reference(x, w, stride, padding).size * (w.size // w.shape[3])


def least_bytes(x, w, stride, padding) -> int:
    """Bytes read and written if each number is moved once."""
    return 4 * (x.size + w.size + reference(x, w, stride, padding).size)
