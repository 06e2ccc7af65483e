"""Launches the kernel of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.cuda.graph import converted
from minires.kernels.traffic import size_of

THREADS = 1024
KERNELS = Module(Path(__file__).parent / "cuda.cu", ["accumulate<float>", "accumulate<double>"])


def accumulate(loss, logits, labels, loss_sum, correct):
    """Add a batch to loss_sum and correct, in place."""
    logits, labels = converted(logits, loss.dtype), converted(labels, np.int64)
    arrays = dict(loss=loss, logits=logits, labels=labels, loss_sum=loss_sum, correct=correct)
    rows, classes = logits.shape
    KERNELS.launch(
        f"accumulate<{element_type(loss)}>",
        (1,),
        (THREADS,),
        dict(**arrays, rows=rows, classes=classes),
        traffic=(size_of(*arrays.values()), size_of(loss_sum, correct)),
    )
