"""Softmax cross-entropy in Numba-CUDA: a thread has a row of logits; then one block adds the
losses, in an order that is always the same."""

import math

from numba import cuda

from minires.kernels.arrays import array_module
from minires.kernels.numba_grid import SIMULATED, launch, visit

ADDING = 4 if SIMULATED else 256
"""Threads of the block that adds the losses; a power of two."""


def forward(z, labels, label_smoothing=0.0):
    """The mean loss as a scalar array."""
    xp = array_module(z)
    p, losses, loss = xp.empty(z.shape, z.dtype), xp.empty(len(z), z.dtype), xp.empty(1, z.dtype)
    visit(_rows, len(z), z, labels, p, losses, z.dtype.type(label_smoothing))
    launch(_mean, 1, ADDING, losses, loss)
    return loss.reshape(()), (p, labels.copy(), label_smoothing)


def backward(dloss, saved, needs=(True,)):
    """dz = dloss (p - t) / N."""
    p, labels, label_smoothing = saved
    dz = array_module(p).empty(p.shape, p.dtype)
    smoothing = p.dtype.type(label_smoothing)
    visit(_backward, p.size, dloss.reshape(1), p, labels, smoothing, dz)
    return (dz,)


@cuda.jit
def _rows(z, labels, p, losses, smoothing):
    classes, certain = z.shape[1], z.dtype.type(1) - smoothing
    for row in range(cuda.grid(1), len(z), cuda.gridsize(1)):
        largest = z[row, 0]
        for k in range(1, classes):
            largest = max(largest, z[row, k])
        total, distance = z.dtype.type(0), z.dtype.type(0)
        for k in range(classes):
            total += math.exp(z[row, k] - largest)
            distance += z[row, k] - largest
        for k in range(classes):
            p[row, k] = math.exp(z[row, k] - largest) / total
        log_total = math.log(total)
        losses[row] = -certain * (z[row, labels[row]] - largest - log_total)
        if smoothing != 0:  # the mean may be infinite
            losses[row] -= smoothing * (distance / z.dtype.type(classes) - log_total)


@cuda.jit
def _mean(losses, loss):
    sums = cuda.shared.array(ADDING, losses.dtype)
    own = cuda.threadIdx.x
    total = losses.dtype.type(0)
    for row in range(own, len(losses), ADDING):
        total += losses[row]
    sums[own] = total
    cuda.syncthreads()  # all sums are there
    half = ADDING // 2
    while half > 0:
        if own < half:
            sums[own] += sums[own + half]
        cuda.syncthreads()  # this half is added
        half //= 2
    if own == 0:
        loss[0] = sums[0] / losses.dtype.type(len(losses))


@cuda.jit
def _backward(dloss, p, labels, smoothing, dz):
    rows, classes = p.shape
    for e in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        row, k = e // classes, e % classes
        target = smoothing / p.dtype.type(classes)
        if k == labels[row]:
            target += p.dtype.type(1) - smoothing
        dz[row, k] = dloss[0] * (p[row, k] - target) / p.dtype.type(rows)
