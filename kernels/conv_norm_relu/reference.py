"""Convolution, batch norm and ReLU as the composition of the reference's plain operations."""

from minires.kernels.arrays import narrowed, rounded, widened
from minires.kernels.batch_norm import reference as batch_norm
from minires.kernels.conv2d import reference as conv2d


def forward(x, *parameters, **options):
    """y and what backward needs; see the contract."""
    return compose(conv2d, batch_norm, x, *parameters, **options)


def backward(dy, saved, needs=(True,) * 4):
    """(dx, dw, dgamma, dbeta)."""
    return compose_backward(conv2d, batch_norm, dy, saved, needs)


def compose(
    conv2d, batch_norm, x, w, gamma, beta, *, running, stride, padding, training, momentum, eps
):
    """The forward out of these modules' `forward`s."""
    storage = x.dtype
    a, saved_conv = conv2d.forward(widened(x), w, stride, padding)
    mean, var = running
    y, saved_norm = batch_norm.forward(
        rounded(a, storage),
        gamma,
        beta,
        running_mean=mean,
        running_var=var,
        training=training,
        momentum=momentum,
        eps=eps,
        relu=True,
    )
    return narrowed(y, storage), (saved_conv, saved_norm, storage)


def compose_backward(conv2d, batch_norm, dy, saved, needs):
    """The backward out of these modules' `backward`s, last operation first."""
    saved_conv, saved_norm, storage = saved
    da, dgamma, dbeta = batch_norm.backward(widened(dy), saved_norm)
    dx, dw = conv2d.backward(da, saved_conv, (needs[0], True))
    return None if dx is None else narrowed(dx, storage), dw, dgamma, dbeta
