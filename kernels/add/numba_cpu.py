"""Addition of equal shapes in parallel, into memory from the pool; broadcasts by the reference."""

from numba import prange

from minires.kernels.add import reference
from minires.kernels.jit import jit
from minires.kernels.memory import SMALL, empty

backward = reference.backward  # hands dc on: nothing to compute


def forward(a, b):
    """c = a + b."""
    if a.shape != b.shape or a.dtype != b.dtype or a.nbytes < SMALL:
        return reference.forward(a, b)
    c = empty(a.shape, a.dtype)
    _add(a.reshape(-1), b.reshape(-1), c.reshape(-1))
    return c, (a.shape, b.shape)


@jit(parallel=True)
def _add(a, b, c):
    for i in prange(len(a)):
        c[i] = a[i] + b[i]
