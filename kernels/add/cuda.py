"""Addition of equal shapes by the kernel of `cuda.cu`; broadcasts by the reference."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.kernels.add import reference
from minires.kernels.arrays import array_module
from minires.kernels.grid import THREADS, blocks

KERNELS = Module(Path(__file__).parent / "cuda.cu", ["add<float>", "add<double>"])

backward = reference.backward  # hands dc on: nothing to compute


def forward(a, b):
    """c = a + b."""
    alike = a.shape == b.shape and a.dtype == b.dtype and a.dtype in (np.float32, np.float64)
    if not alike or not (a.flags.c_contiguous and b.flags.c_contiguous):
        return reference.forward(a, b)
    c = array_module(a).empty(a.shape, a.dtype)
    arguments = dict(a=a, b=b, c=c, size=a.size)
    KERNELS.launch(f"add<{element_type(a)}>", blocks(a.size), (THREADS,), arguments)
    return c, (a.shape, b.shape)
