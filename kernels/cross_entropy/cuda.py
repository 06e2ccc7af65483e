"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.cuda.graph import converted, copied
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
    KERNELS.launch(
        f"forward<{kind}>",
        (-(-32 * rows // THREADS),),
        (THREADS,),
        dict(
            z=z,
            labels=labels,
            p=p,
            losses=losses,
            rows=rows,
            classes=classes,
            smoothing=label_smoothing,
        ),
    )
    KERNELS.launch(f"mean<{kind}>", (1,), (THREADS,), dict(losses=losses, loss=loss, rows=rows))
    return loss, (p, copied(labels), label_smoothing)


def backward(dloss, saved, needs=(True,)):
    """dz = dloss (p - t) / N."""
    p, labels, label_smoothing = saved
    dz, (rows, classes) = array_module(p).empty(p.shape, p.dtype), p.shape
    KERNELS.launch(
        f"backward<{element_type(p)}>",
        blocks(p.size),
        (THREADS,),
        dict(
            dloss=dloss,
            p=p,
            labels=labels,
            dz=dz,
            rows=rows,
            classes=classes,
            smoothing=label_smoothing,
        ),
    )
    return (dz,)
