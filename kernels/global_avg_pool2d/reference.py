"""Global average pooling in array code."""

from minires.kernels.arrays import array_module, sum_over, widened


def forward(x):
    """y = the mean of each channel of each image."""
    wide = widened(x)
    return sum_over(wide, (1, 2)) / wide.dtype.type(x.shape[1] * x.shape[2]), (x.shape, x.dtype)


def backward(dy, saved, needs=(True,)):
    """dx = dy / (H W) at every pixel."""
    shape, stored = saved
    n, h, w, c = shape
    share = (dy / (h * w)).astype(stored).reshape(n, 1, 1, c)
    return (array_module(dy).broadcast_to(share, shape).copy(),)
