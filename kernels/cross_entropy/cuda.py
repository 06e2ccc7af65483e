"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.cuda.graph import converted
from minires.kernels.arrays import array_module
from minires.kernels.grid import THREADS, blocks

KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [
        f"{kernel}<{kind}>"
        for kernel in ("forward", "mean", "backward")
        for kind in ("float", "double")
    ],
)


def forward(z, labels, label_smoothing=0.0):
    """The mean loss as a scalar array."""
    xp, kind, (rows, classes) = array_module(z), element_type(z), z.shape
    labels = converted(labels, np.int64)
    p, losses, loss = xp.empty(z.shape, z.dtype), xp.empty(rows, z.dtype), xp.empty((), z.dtype)
    sizes = (np.int32(rows), np.int32(classes))
    KERNELS.launch(
        f"forward<{kind}>",
        (-(-32 * rows // THREADS),),
        (THREADS,),
        (z, labels, p, losses, *sizes, z.dtype.type(label_smoothing)),
    )
    KERNELS.launch(f"mean<{kind}>", (1,), (THREADS,), (losses, loss, sizes[0]))
    return loss, (p, labels, label_smoothing)


def backward(dloss, saved, needs=(True,)):
    """dz = dloss (p - t) / N."""
    p, labels, label_smoothing = saved
    dz = array_module(p).empty(p.shape, p.dtype)
    KERNELS.launch(
        f"backward<{element_type(p)}>",
        blocks(p.size),
        (THREADS,),
        (dloss, p, labels, dz, *map(np.int32, p.shape), p.dtype.type(label_smoothing)),
    )
    return (dz,)
