"""Addition of equal shapes in parallel, into memory from the pool; broadcasts by the reference."""

import numpy as np
from numba import prange

from minires.kernels.add import reference
from minires.kernels.jit import jit
from minires.kernels.memory import SMALL, empty

backward = reference.backward  # hands dc on: nothing to compute


def forward(a, b):
    """c = a + b."""
    alike = a.shape == b.shape and a.dtype == b.dtype and a.dtype in (np.float32, np.float64)
    if not alike or a.nbytes < SMALL:
        return reference.forward(a, b)
    c = empty(a.shape, a.dtype)
    _add(a.reshape(-1), b.reshape(-1), c.reshape(-1))
    return c, (a.shape, b.shape)


@jit(parallel=True)
def _add(a, b, c):
    for i in prange(len(a)):
        c[i] = a[i] + b[i]
