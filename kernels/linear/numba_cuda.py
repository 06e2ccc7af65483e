"""The affine map in Numba-CUDA: a 1x1 convolution of images with one pixel, and a bias."""

from numba import cuda

from minires.kernels.arrays import array_module
from minires.kernels.conv2d import numba_cuda as conv2d
from minires.kernels.numba_grid import visit


def forward(x, w, b=None):
    """y = x w + b."""
    y, _ = conv2d.forward(_pixels(x), w.reshape(1, 1, *w.shape))
    if b is not None:
        visit(_add_bias, y.size, y.reshape(-1, w.shape[1]), b)
    return y.reshape(*x.shape[:-1], w.shape[1]), (x, w, b is not None)


def backward(dy, saved, needs=(True, True, True)):
    """(dx, dw, db), db only where there is a bias."""
    x, w, has_bias = saved
    saved_by_conv2d = (_pixels(x), w.reshape(1, 1, *w.shape), (1, 1), (0, 0))
    dx, dw = conv2d.backward(_pixels(dy), saved_by_conv2d, needs[:2])
    dx, dw = (g if g is None else g.reshape(v.shape) for g, v in ((dx, x), (dw, w)))
    if not has_bias:
        return dx, dw
    db = array_module(dy).empty(w.shape[1], dy.dtype)
    visit(_sum_rows, db.size, dy.reshape(-1, w.shape[1]), db)
    return dx, dw, db


def _pixels(x):
    return x.reshape(-1, 1, 1, x.shape[-1])


@cuda.jit
def _add_bias(y, b):
    columns = len(b)
    for e in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[e // columns, e % columns] += b[e % columns]


@cuda.jit
def _sum_rows(dy, db):
    for column in range(cuda.grid(1), len(db), cuda.gridsize(1)):
        total, lost = dy.dtype.type(0), dy.dtype.type(0)
        for row in range(len(dy)):  # what rounding loses is added to the next (Kahan 1965)
            number = dy[row, column] - lost
            before, total = total, total + number
            lost = (total - before) - number
        db[column] = total
