"""Addition of equal shapes in Numba-CUDA; broadcasts by the reference."""

from numba import cuda

from minires.kernels.add import reference
from minires.kernels.arrays import array_module
from minires.kernels.numba_grid import visit

backward = reference.backward  # hands dc on: nothing to compute


def forward(a, b):
    """c = a + b."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return reference.forward(a, b)
    c = array_module(a).empty(a.shape, a.dtype)
    visit(_add, a.size, a.reshape(-1), b.reshape(-1), c.reshape(-1))
    return c, (a.shape, b.shape)


@cuda.jit
def _add(a, b, c):
    for i in range(cuda.grid(1), a.size, cuda.gridsize(1)):
        c[i] = a[i] + b[i]
