"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

from minires.cuda import Module, element_type
from minires.kernels.arrays import array_module
from minires.kernels.grid import THREADS, blocks

KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [f"{kernel}<{kind}>" for kernel in ("forward", "backward") for kind in ("float", "double")],
)


def forward(x):
    """y = max(x, 0)."""
    y = array_module(x).empty(x.shape, x.dtype)
    arguments = dict(x=x, y=y, size=x.size)
    KERNELS.launch(f"forward<{element_type(x)}>", blocks(x.size), (THREADS,), arguments)
    return y, (y,)


def backward(dy, saved, needs=(True,)):
    """dx = dy where y is positive, or NaN."""
    (y,) = saved
    dx = array_module(y).empty(y.shape, y.dtype)
    arguments = dict(dy=dy, y=y, dx=dx, size=y.size)
    KERNELS.launch(f"backward<{element_type(y)}>", blocks(y.size), (THREADS,), arguments)
    return (dx,)
