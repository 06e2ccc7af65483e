"""The option-A shortcut in array code."""

from minires.kernels.arrays import array_module


def forward(x, stride, channels):
    """Every `stride`-th pixel, between zero channels."""
    picked = x[:, ::stride, ::stride]
    low = (channels - x.shape[3]) // 2
    y = array_module(x).zeros((*picked.shape[:3], channels), x.dtype)
    y[..., low : low + x.shape[3]] = picked
    return y, (x.shape, stride, channels)


def backward(dy, saved, needs=(True,)):
    """Put dy's middle channels back where they came from."""
    shape, stride, channels = saved
    low = (channels - shape[3]) // 2
    dx = array_module(dy).zeros(shape, dy.dtype)
    dx[:, ::stride, ::stride] = dy[..., low : low + shape[3]]
    return (dx,)
