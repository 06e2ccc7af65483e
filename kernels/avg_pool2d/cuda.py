"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.kernels.arrays import array_module, output_size
from minires.kernels.grid import THREADS, blocks
from minires.kernels.traffic import bytes_of_windows

KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [f"{kernel}<{kind}>" for kernel in ("forward", "backward") for kind in ("float", "double")],
)


def forward(x, kernel, stride, padding=(0, 0)):
    """y, the mean of every window."""
    ho, wo = map(output_size, x.shape[1:3], kernel, stride, padding)
    y = array_module(x).empty((len(x), ho, wo, x.shape[3]), x.dtype)
    read = bytes_of_windows(x.shape, x.itemsize, tuple(kernel), tuple(stride), tuple(padding))
    _launch("forward", x, y, read, x.shape, (ho, wo), kernel, stride, padding)
    return y, (x.shape, kernel, stride, padding)


def backward(dy, saved, needs=(True,)):
    """Each pixel collects its share of the windows that hold it."""
    shape, kernel, stride, padding = saved
    dx = array_module(dy).empty(shape, dy.dtype)
    _launch("backward", dy, dx, dy.nbytes, shape, dy.shape[1:3], kernel, stride, padding)
    return (dx,)


def _launch(name: str, source, target, read: int, shape, outputs, *window) -> None:
    sizes = (*shape[1:], *outputs, *(size for pair in window for size in pair))
    arguments = (source, target, np.int64(target.size), *map(np.int32, sizes))
    instance = f"{name}<{element_type(source)}>"
    traffic = (read, target.nbytes)
    KERNELS.launch(instance, blocks(target.size), (THREADS,), arguments, traffic=traffic)
