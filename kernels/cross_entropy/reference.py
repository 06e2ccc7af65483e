"""Softmax cross-entropy in array code."""

from minires.kernels.arrays import array_module


def forward(z, labels, label_smoothing=0.0):
    """The mean loss as a scalar array."""
    xp = array_module(z)
    shifted = z - z.max(axis=1, keepdims=True)
    exponentials = xp.exp(shifted)
    total = exponentials.sum(axis=1, keepdims=True)
    log_p = shifted - xp.log(total)
    picked = log_p[xp.arange(len(z)), labels].mean(dtype="f8")
    loss = -(1 - label_smoothing) * picked
    if label_smoothing:
        loss -= label_smoothing * log_p.mean(dtype="f8")
    return xp.asarray(loss, z.dtype), (exponentials / total, labels.copy(), label_smoothing)


def backward(dloss, saved, needs=(True,)):
    """dz = dloss (p - t) / N."""
    p, labels, label_smoothing = saved
    n, k = p.shape
    dz = p - label_smoothing / k
    dz[array_module(p).arange(n), labels] -= 1 - label_smoothing
    dz *= dloss / n
    return (dz,)
