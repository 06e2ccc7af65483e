"""Transposed convolution: the gradients of a convolution with the roles exchanged."""

from minires.kernels.arrays import pad_image
from minires.kernels.conv2d_grouped.reference import convolve, filter_gradient, input_gradient


def forward(x, w, size, stride, padding, dilation, groups):
    """y: the input gradient of a convolution whose output has the gradient x."""
    shape = (len(x), *size, w.shape[2] * groups)
    y = input_gradient(x, w, shape, stride, padding, dilation, groups)
    return y, (x, w, stride, padding, dilation, groups)


def backward(dy, saved, needs=(True, True)):
    """(dx, dw): the convolution of dy, and its filter gradient."""
    x, w, stride, padding, dilation, groups = saved
    dyp = pad_image(dy, padding)
    dx = convolve(dyp, w, x.shape[1:3], stride, dilation, groups) if needs[0] else None
    dw = filter_gradient(dyp, x, w.shape, stride, dilation, groups) if needs[1] else None
    return dx, dw
