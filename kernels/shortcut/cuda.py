"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

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
    _launch("forward", dict(x=x, y=y), y, read, x.shape, stride, channels)
    return y, (x.shape, stride, channels)


def backward(dy, saved, needs=(True,)):
    """Put dy's middle channels back where they came from."""
    shape, stride, channels = saved
    dx = array_module(dy).empty(shape, dy.dtype)
    pixels, low = dy.size // max(1, channels), (channels - shape[3]) // 2
    read = bytes_of_channels(pixels, channels, low, shape[3], dy.itemsize)
    _launch("backward", dict(dy=dy, dx=dx), dx, read, shape, stride, channels)
    return (dx,)


def _launch(kernel: str, arrays: dict, target, read: int, shape, stride: int, wider: int) -> None:
    """One of the kernels; it reads `read` bytes and writes `target`."""
    _, height, width, channels = shape
    KERNELS.launch(
        f"{kernel}<{element_type(target)}>",
        blocks(target.size),
        (THREADS,),
        dict(
            **arrays,
            size=target.size,
            height=height,
            width=width,
            channels=channels,
            rows=-(-height // stride),
            columns=-(-width // stride),
            wider=wider,
            stride=stride,
        ),
        traffic=(read, target.nbytes),
    )
