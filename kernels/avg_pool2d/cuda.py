"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

from minires.cuda import Module, element_type
from minires.kernels.arrays import array_module, output_size
from minires.kernels.grid import THREADS, blocks, window_sizes
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
    sizes = window_sizes(x.shape, (ho, wo), kernel, stride, padding)
    _launch("forward", dict(x=x, y=y, **sizes), y, read)
    return y, (x.shape, kernel, stride, padding)


def backward(dy, saved, needs=(True,)):
    """Each pixel collects its share of the windows that hold it."""
    shape, kernel, stride, padding = saved
    dx = array_module(dy).empty(shape, dy.dtype)
    sizes = window_sizes(shape, dy.shape[1:3], kernel, stride, padding)
    _launch("backward", dict(dy=dy, dx=dx, **sizes), dx, dy.nbytes)
    return (dx,)


def _launch(kernel: str, arguments: dict, target, read: int) -> None:
    """One of the kernels; it reads `read` bytes and writes `target`."""
    KERNELS.launch(
        f"{kernel}<{element_type(target)}>",
        blocks(target.size),
        (THREADS,),
        dict(**arguments, size=target.size),
        traffic=(read, target.nbytes),
    )
