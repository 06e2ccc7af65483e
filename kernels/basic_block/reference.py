"""The basic block as the composition of the reference's plain operations."""

from minires.kernels.add import reference as add
from minires.kernels.arrays import narrowed, rounded, widened
from minires.kernels.batch_norm import reference as batch_norm
from minires.kernels.conv2d import reference as conv2d
from minires.kernels.shortcut import reference as option_a

OPERATIONS = (conv2d, batch_norm, option_a, add)


def forward(x, *parameters, **options):
    """y and what backward needs; see the contract."""
    return compose(OPERATIONS, x, *parameters, **options)


def backward(dy, saved, needs=(True,) * 7):
    """(dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2)."""
    return compose_backward(OPERATIONS, dy, saved, needs)


def compose(
    operations,
    x,
    w1,
    gamma1,
    beta1,
    w2,
    gamma2,
    beta2,
    *,
    running1,
    running2,
    training,
    momentum,
    eps,
    shortcut,
    stride=1,
):
    """The forward out of these modules' `forward`s: conv2d, batch_norm, shortcut, add."""
    conv2d, batch_norm, option_a, _ = operations
    storage, x = x.dtype, widened(x)
    padding = (w1.shape[0] // 2, w1.shape[1] // 2)
    options = {"training": training, "momentum": momentum, "eps": eps, "relu": True}

    def normalize(a, gamma, beta, running, *residual):
        mean, var = running
        statistics = {"running_mean": mean, "running_var": var}
        return batch_norm.forward(a, gamma, beta, *residual, **statistics, **options)

    a, saved_conv1 = conv2d.forward(x, w1, (stride, stride), padding)
    h, saved_norm1 = normalize(rounded(a, storage), gamma1, beta1, running1)
    b, saved_conv2 = conv2d.forward(h, w2, (1, 1), padding)
    residual, saved_shortcut = [x] * shortcut, None
    if shortcut and b.shape != x.shape:
        residual[0], saved_shortcut = option_a.forward(x, stride, b.shape[3])
    y, saved_norm2 = normalize(rounded(b, storage), gamma2, beta2, running2, *residual)
    saved = (saved_conv1, saved_norm1, saved_conv2, saved_norm2, saved_shortcut, storage)
    return narrowed(y, storage), saved


def compose_backward(operations, dy, saved, needs):
    """The backward out of these modules' `backward`s, last operation first."""
    conv2d, batch_norm, option_a, add = operations
    saved_conv1, saved_norm1, saved_conv2, saved_norm2, saved_shortcut, storage = saved
    db, dgamma2, dbeta2, *dresidual = batch_norm.backward(widened(dy), saved_norm2)
    dh, dw2 = conv2d.backward(db, saved_conv2)
    da, dgamma1, dbeta1 = batch_norm.backward(rounded(dh, storage), saved_norm1)
    dx, dw1 = conv2d.backward(da, saved_conv1, (needs[0], True))
    if needs[0] and dresidual:
        if saved_shortcut is not None:
            dresidual = option_a.backward(dresidual[0], saved_shortcut)
        dx, _ = add.forward(dx, dresidual[0])
    dx = None if dx is None else narrowed(dx, storage)
    return dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2
