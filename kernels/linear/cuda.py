"""The affine map: a 1x1 convolution of images with one pixel, and the kernels of `cuda.cu`."""

from math import prod
from pathlib import Path

from minires.cuda import Module, element_type
from minires.kernels.arrays import array_module
from minires.kernels.conv2d import cuda as conv2d
from minires.kernels.grid import THREADS, blocks

KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [f"{kernel}<{kind}>" for kernel in ("add_bias", "sum_rows") for kind in ("float", "double")],
)


def forward(x, w, b=None):
    """y = x w + b."""
    y, _ = conv2d.forward(_pixels(x), _filter(w))
    if b is not None:
        arguments = dict(y=y, b=b, size=y.size, columns=w.shape[1])
        KERNELS.launch(
            f"add_bias<{element_type(x)}>",
            blocks(y.size),
            (THREADS,),
            arguments,
            traffic=(y.nbytes + b.nbytes, y.nbytes),
        )
    return y.reshape(*x.shape[:-1], w.shape[1]), (x, w, b is not None)


def backward(dy, saved, needs=(True, True, True)):
    """(dx, dw, db), db only where there is a bias."""
    x, w, has_bias = saved
    saved_by_conv2d = (_pixels(x), _filter(w), (1, 1), (0, 0))
    dx, dw = conv2d.backward(_pixels(dy), saved_by_conv2d, needs[:2])
    dx, dw = (g if g is None else g.reshape(v.shape) for g, v in ((dx, x), (dw, w)))
    if not has_bias:
        return dx, dw
    columns = w.shape[1]
    db = array_module(dy).empty(columns, dy.dtype)
    arguments = dict(dy=dy, db=db, rows=dy.size // max(1, columns), columns=columns)
    KERNELS.launch(f"sum_rows<{element_type(dy)}>", blocks(columns), (THREADS,), arguments)
    return dx, dw, db


def _pixels(x):
    return x.reshape(prod(x.shape[:-1]), 1, 1, x.shape[-1])


def _filter(w):
    return w.reshape(1, 1, *w.shape)
