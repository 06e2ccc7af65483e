"""The basic block as the composition of the reference's plain operations."""

from minires.kernels.batch_norm import reference as batch_norm
from minires.kernels.conv2d import reference as conv2d


def forward(x, *parameters, **options):
    """y and what backward needs; see the contract."""
    return compose(conv2d, batch_norm, x, *parameters, **options)


def backward(dy, saved, needs=(True,) * 7):
    """(dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2)."""
    return compose_backward(conv2d, batch_norm, dy, saved, needs)


def compose(
    conv2d,
    batch_norm,
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
    identity,
):
    """The forward out of these modules' `forward`s."""
    padding = (w1.shape[0] // 2, w1.shape[1] // 2)
    options = {"training": training, "momentum": momentum, "eps": eps, "relu": True}

    def normalize(a, gamma, beta, running, *residual):
        mean, var = running
        statistics = {"running_mean": mean, "running_var": var}
        return batch_norm.forward(a, gamma, beta, *residual, **statistics, **options)

    a, saved_conv1 = conv2d.forward(x, w1, (1, 1), padding)
    h, saved_norm1 = normalize(a, gamma1, beta1, running1)
    b, saved_conv2 = conv2d.forward(h, w2, (1, 1), padding)
    y, saved_norm2 = normalize(b, gamma2, beta2, running2, *[x] * identity)
    return y, (saved_conv1, saved_norm1, saved_conv2, saved_norm2)


def compose_backward(conv2d, batch_norm, dy, saved, needs):
    """The backward out of these modules' `backward`s, last operation first."""
    saved_conv1, saved_norm1, saved_conv2, saved_norm2 = saved
    db, dgamma2, dbeta2, *dresidual = batch_norm.backward(dy, saved_norm2)
    dh, dw2 = conv2d.backward(db, saved_conv2)
    da, dgamma1, dbeta1 = batch_norm.backward(dh, saved_norm1)
    dx, dw1 = conv2d.backward(da, saved_conv1, (needs[0], True))
    if needs[0] and dresidual:
        dx = dx + dresidual[0]
    return dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2
