"""What every reference kernel needs to know about arrays: whose they are, windows, broadcasting.

See docs/decisions/autodiff.md, "Two dtypes".
"""

import sys
from math import prod
from types import ModuleType

import numpy as np

from minires.cuda.graph import refuse


def array_module(x) -> ModuleType:
    """The module whose functions work on `x`: numpy, or cupy for a CuPy array."""
    return np if isinstance(x, np.ndarray | np.generic) else sys.modules["cupy"]


def alike(*arrays) -> bool:
    """Whether they have one shape and one dtype, and all are C-contiguous."""
    first = arrays[0]
    return all(
        array.shape == first.shape and array.dtype == first.dtype and array.flags.c_contiguous
        for array in arrays
    )


def output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """How many windows fit: floor((size + 2 padding - kernel) / stride) + 1."""
    return (size + 2 * padding - kernel) // stride + 1


def pad_image(x, padding: tuple[int, int], value: float = 0.0):
    """Pad H and W of x (N,H,W,C) on both sides; x itself where there is nothing to pad."""
    ph, pw = padding
    if ph == pw == 0:
        return x
    n, h, w, c = x.shape
    padded = array_module(x).full((n, h + 2 * ph, w + 2 * pw, c), value, x.dtype)
    padded[:, ph : ph + h, pw : pw + w] = x
    return padded


def windows(x, kernel: tuple[int, int], stride: tuple[int, int]):
    """Every window of x (N,H,W,C) as a view (N,Ho,Wo,KH,KW,C): no copy, overlapping memory."""
    n, h, w, c = x.shape
    (kh, kw), (sh, sw) = kernel, stride
    shape = (n, (h - kh) // sh + 1, (w - kw) // sw + 1, kh, kw, c)
    bn, bh, bw, bc = x.strides
    strides = (bn, bh * sh, bw * sw, bh, bw, bc)
    return array_module(x).lib.stride_tricks.as_strided(x, shape, strides)


SUM_ROWS = 128


def column_sum(x):
    """Sum x (..., C) over all axes but the last -> (C,), in the dtype of x.

    Products with a vector of ones: BLAS sums 16 channels ten times faster than `x.sum(0)`. Each
    product adds SUM_ROWS rows in the dtype of x, the partial sums are added in float64, so the
    error does not grow with the number of rows.
    """
    xp, channels = array_module(x), x.shape[-1]
    rows = x.reshape(prod(x.shape[:-1]), channels)
    blocks = len(rows) // SUM_ROWS
    whole, rest = rows[: blocks * SUM_ROWS], rows[blocks * SUM_ROWS :]
    parts = xp.ones(SUM_ROWS, x.dtype) @ whole.reshape(blocks, SUM_ROWS, channels)
    total = parts.sum(axis=0, dtype=np.float64) + rest.sum(axis=0, dtype=np.float64)
    return total.astype(x.dtype)


def sum_over(x, axis: tuple[int, ...], keepdims: bool = False):
    """Sum of x over these axes, in the dtype of x; float32 numbers are added in float64 parts.

    NumPy adds along a leading axis one by one: a million times 0.1 would be 100958 in float32.
    """
    if x.dtype not in (np.float32, np.float64):
        return array_module(x).asarray(x.sum(axis=axis, keepdims=keepdims), x.dtype)
    kept = [n for i, n in enumerate(x.shape) if i not in axis]
    if sorted(axis) == list(range(len(axis))) and x.ndim > len(axis) > 0:
        total = column_sum(x.reshape(prod(x.shape[: len(axis)]), prod(kept)))
    else:
        total = x.sum(axis=axis, dtype=np.float64)
    if keepdims:
        kept = [1 if i in axis else n for i, n in enumerate(x.shape)]
    return array_module(x).asarray(total, x.dtype).reshape(kept)


def unbroadcast(gradient, shape: tuple[int, ...]):
    """Sum `gradient` down to `shape`, the adjoint of broadcasting an array of `shape` up to it.

    A value that broadcasting used k times receives the sum of its k gradients: added leading axes
    are summed away, stretched axes of length 1 are summed and kept.
    """
    if gradient.shape == shape:
        return gradient
    if shape == gradient.shape[-1:]:
        return column_sum(gradient)
    extra = gradient.ndim - len(shape)
    stretched = [
        extra + i for i, n in enumerate(shape) if n == 1 and gradient.shape[extra + i] != 1
    ]
    return sum_over(gradient, (*range(extra), *stretched), keepdims=True).reshape(shape)


def widened(x):
    """x in a dtype to calculate with: half-length numbers as float32, others as they are."""
    if x.dtype.itemsize > 2:
        return x
    refuse("array code that widens numbers of half length")
    return x.astype(np.float32)


def rounded(x, storage):
    """x as it comes back from memory where it was kept as `storage`."""
    return x if x.dtype == storage else narrowed(x, storage).astype(x.dtype)


def narrowed(x, storage):
    """x as it is kept in memory: in the dtype `storage`. What is too large becomes infinite."""
    if x.dtype == storage:
        return x
    refuse("array code that narrows numbers to half their length")
    with np.errstate(over="ignore"):
        return x.astype(storage)
