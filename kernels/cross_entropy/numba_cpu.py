"""Softmax cross-entropy, one row at a time; sums over rows and classes in float64."""

import numpy as np

from minires.kernels.jit import jit


def forward(z, labels, label_smoothing=0.0):
    """The mean loss as a scalar array."""
    p, labels = np.empty_like(z), labels.astype(np.int64)
    loss = _loss(z, labels, float(label_smoothing), p)
    return np.asarray(loss, z.dtype), (p, labels, label_smoothing)


def backward(dloss, saved, needs=(True,)):
    """dz = dloss (p - t) / N."""
    p, labels, label_smoothing = saved
    dz = np.empty_like(p)
    _gradient(p, labels, float(label_smoothing), float(dloss) / len(p), dz)
    return (dz,)


@jit
def _loss(z, labels, smoothing, p):
    rows, classes = z.shape
    total = 0.0
    for n in range(rows):
        largest = z[n].max()
        sum_of_exponentials = 0.0
        for k in range(classes):
            p[n, k] = np.exp(z[n, k] - largest)
            sum_of_exponentials += p[n, k]
        log_sum = np.log(sum_of_exponentials)
        sum_log_p = 0.0
        for k in range(classes):
            sum_log_p += z[n, k] - largest - log_sum
            p[n, k] /= sum_of_exponentials
        picked = z[n, labels[n]] - largest - log_sum
        total -= (1 - smoothing) * picked
        if smoothing:
            total -= smoothing * sum_log_p / classes
    return total / rows


@jit
def _gradient(p, labels, smoothing, share, dz):
    rows, classes = p.shape
    for n in range(rows):
        for k in range(classes):
            dz[n, k] = (p[n, k] - smoothing / classes) * share
        dz[n, labels[n]] -= (1 - smoothing) * share
