"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.kernels.arrays import array_module, output_size
from minires.kernels.grid import THREADS, blocks, window_sizes
from minires.kernels.traffic import bytes_of_windows, size_of

KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [f"{kernel}<{kind}>" for kernel in ("forward", "backward") for kind in ("float", "double")],
)


def forward(x, kernel, stride, padding=(0, 0)):
    """y and the position of each winner."""
    ho, wo = map(output_size, x.shape[1:3], kernel, stride, padding)
    xp, shape = array_module(x), (len(x), ho, wo, x.shape[3])
    y, winner = xp.empty(shape, x.dtype), xp.empty(shape, np.int32)
    sizes = window_sizes(x.shape, (ho, wo), kernel, stride, padding)
    read = bytes_of_windows(x.shape, x.itemsize, tuple(kernel), tuple(stride), tuple(padding))
    KERNELS.launch(
        f"forward<{element_type(x)}>",
        blocks(y.size),
        (THREADS,),
        dict(x=x, y=y, winner=winner, size=y.size, **sizes),
        traffic=(read, size_of(y, winner)),
    )
    return y, (winner, x.shape, kernel, stride, padding)


def backward(dy, saved, needs=(True,)):
    """Each pixel collects from the windows that it won."""
    winner, shape, kernel, stride, padding = saved
    dx = array_module(dy).empty(shape, dy.dtype)
    sizes = window_sizes(shape, dy.shape[1:3], kernel, stride, padding)
    arguments = dict(dy=dy, winner=winner, dx=dx, size=dx.size, **sizes)
    KERNELS.launch(f"backward<{element_type(dy)}>", blocks(dx.size), (THREADS,), arguments)
    return (dx,)
