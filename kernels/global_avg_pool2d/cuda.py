"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

from minires.cuda import NUMBERS, Module, element_type
from minires.cuda.signature import DTYPES
from minires.kernels.arrays import array_module
from minires.kernels.grid import THREADS

KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [
        f"{kernel}<{stored}, {number}>"
        for kernel in ("forward", "backward")
        for stored, number in NUMBERS.items()
    ],
)


def forward(x):
    """y = the mean of each channel of each image."""
    number = DTYPES[NUMBERS[element_type(x)]]
    y = array_module(x).empty((len(x), x.shape[3]), number)
    _launch("forward", x, dict(x=x, y=y))
    return y, (x.shape, x.dtype)


def backward(dy, saved, needs=(True,)):
    """dx = dy / (H W) at every pixel."""
    shape, stored = saved
    dx = array_module(dy).empty(shape, stored)
    _launch("backward", dx, dict(dy=dy, dx=dx))
    return (dx,)


def _launch(kernel: str, images, arrays: dict) -> None:
    n, h, w, c = images.shape
    grid = (max(1, -(-n * c // THREADS)),)
    stored = element_type(images)
    instance = f"{kernel}<{stored}, {NUMBERS[stored]}>"
    arguments = dict(**arrays, images=n, pixels=h * w, channels=c)
    KERNELS.launch(instance, grid, (THREADS,), arguments)
