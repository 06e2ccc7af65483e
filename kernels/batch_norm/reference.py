"""Batch normalisation in array code, by the formulas of `__init__.py`."""

from math import prod

from minires.kernels.arrays import array_module, column_sum


def forward(
    x,
    gamma,
    beta,
    residual=None,
    *,
    running_mean,
    running_var,
    training,
    momentum=0.1,
    eps=1e-5,
    relu=False,
):
    """Normalise each channel, scale, shift, add the residual, clip; see the contract."""
    xp = array_module(x)
    if training:
        m = prod(x.shape[:-1])
        mean, centred = _centre(x, m)
        var = column_sum(centred * centred) / m
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * (m / (m - 1)) - running_var)
    else:
        var = running_var.astype(x.dtype, copy=False)
        centred = x - running_mean.astype(x.dtype, copy=False)
    inv_std = (1 / xp.sqrt(var + eps)).astype(x.dtype, copy=False)
    x_hat = xp.multiply(centred, inv_std, out=centred)
    y = gamma * x_hat
    y += beta
    if residual is not None:
        y += residual
    if relu:
        xp.maximum(y, 0, out=y)
    return y, (x_hat, gamma, inv_std, y if relu else None, training, residual is not None)


def _centre(x, m):
    """Mean of each channel, and x without it.

    Rounding leaves a part of a large mean in the difference: 0.8 standard deviations where all x
    are 1000.1. So the mean of the difference is subtracted, too.
    """
    xp = array_module(x)
    mean = column_sum(x) / m
    centred = x - mean
    rest = column_sum(centred) / m
    rest = xp.where(xp.isfinite(rest), rest, 0)
    centred -= rest
    return mean + rest, centred


def backward(dy, saved, needs=(True, True, True, True)):
    """(dx, dgamma, dbeta, dresidual); see the derivation in `__init__.py`."""
    x_hat, gamma, inv_std, y, training, has_residual = saved
    xp = array_module(dy)
    du = dy if y is None else xp.where(y <= 0, 0, dy)
    dbeta = column_sum(du)
    dgamma = column_sum(du * x_hat)
    dx = None
    if needs[0]:
        if training:
            m = prod(dy.shape[:-1])
            dx = du - x_hat * (dgamma / m)
            dx -= dbeta / m
            dx *= gamma * inv_std
        else:
            dx = du * (gamma * inv_std)
    return (dx, dgamma, dbeta, du) if has_residual else (dx, dgamma, dbeta)
