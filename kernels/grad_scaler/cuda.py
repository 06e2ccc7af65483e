"""Launches the kernel of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module
from minires.cuda.graph import refuse
from minires.kernels.arrays import array_module
from minires.kernels.grad_scaler import reference
from minires.kernels.grid import THREADS
from minires.kernels.tables import tables_of
from minires.kernels.traffic import size_of

KERNELS = Module(Path(__file__).parent / "cuda.cu", ["update"])


def update(grads, state, growth, backoff, interval):
    """Look for numbers that are not finite, and set the scale for the next step."""
    grads = [gradient for gradient in grads if gradient.size]
    served = all(g.dtype == np.float32 and g.flags.c_contiguous for g in grads)
    if not grads or not served:
        refuse("loss scaling of gradients that are not contiguous and float32")
        return reference.update(grads, state, growth, backoff, interval)
    tables = tables_of(grads)
    counts = array_module(state).zeros(2, np.uint32)
    numbers = {"growth": growth, "backoff": backoff, "interval": interval}
    KERNELS.launch(
        "update",
        (len(tables["owners"]),),
        (THREADS,),
        tables | numbers | {"counts": counts, "state": state},
        traffic=(size_of(*tables.values(), *grads, counts) + 8, size_of(counts, state)),
    )
    return None
