"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.kernels.arrays import array_module
from minires.kernels.grid import THREADS, blocks
from minires.kernels.traffic import bytes_of_channels, bytes_of_windows

KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [f"{kernel}<{kind}>" for kernel in ("forward", "backward") for kind in ("float", "double")],
)


def forward(x, stride, channels):
    """Every `stride`-th pixel, between zero channels."""
    n, h, w, _ = x.shape
    y = array_module(x).empty((n, -(-h // stride), -(-w // stride), channels), x.dtype)
    read = bytes_of_windows(x.shape, x.itemsize, (1, 1), (stride, stride))
    _launch("forward", x, y, x.shape, stride, channels, read)
    return y, (x.shape, stride, channels)


def backward(dy, saved, needs=(True,)):
    """Put dy's middle channels back where they came from."""
    shape, stride, channels = saved
    dx = array_module(dy).empty(shape, dy.dtype)
    pixels, low = dy.size // max(1, channels), (channels - shape[3]) // 2
    read = bytes_of_channels(pixels, channels, low, shape[3], dy.itemsize)
    _launch("backward", dy, dx, shape, stride, channels, read)
    return (dx,)


def _launch(kernel: str, source, target, shape, stride: int, channels: int, read: int):
    _, h, w, c = shape
    sizes = (h, w, c, -(-h // stride), -(-w // stride), channels, stride)
    KERNELS.launch(
        f"{kernel}<{element_type(source)}>",
        blocks(target.size),
        (THREADS,),
        (source, target, np.int64(target.size), *map(np.int32, sizes)),
        traffic=(read, target.nbytes),
    )
