"""Launches the kernel of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

from minires.cuda import Module, element_type
from minires.kernels.arrays import array_module
from minires.kernels.grid import THREADS, blocks

KERNELS = Module(Path(__file__).parent / "cuda.cu", ["scale<float>", "scale<double>"])


def forward(x, keep, p):
    """y = x * keep / (1 - p)."""
    return _scale(x, keep, p), (keep, p)


def backward(dy, saved, needs=(True,)):
    """dx = dy * keep / (1 - p)."""
    return (_scale(dy, *saved),)


def _scale(x, keep, p):
    y = array_module(x).empty(x.shape, x.dtype)
    factor = 1 / (1 - p) if p < 1 else 0  # p = 1 keeps nothing: all zeros
    arguments = dict(x=x, keep=keep, y=y, size=x.size, factor=factor)
    KERNELS.launch(f"scale<{element_type(x)}>", blocks(x.size), (THREADS,), arguments)
    return y
