"""The SGD step in one pass: each parameter, gradient and velocity is read once."""

import numpy as np

from minires.kernels.arrays import alike
from minires.kernels.jit import jit
from minires.kernels.sgd import reference


def update(params, grads, velocities, lr, momentum, weight_decays, nesterov, scaling=None):
    """Update every parameter and velocity in place."""
    if scaling is not None:  # of half storage, which other backends have
        numbers = (lr, momentum, weight_decays, nesterov, scaling)
        return reference.update(params, grads, velocities, *numbers)
    for p, g, v, decay in zip(params, grads, velocities, weight_decays, strict=True):
        if not alike(p, g, v):
            reference.update([p], [g], [v], lr, momentum, [decay], nesterov)
            continue
        numbers = np.array([float(lr), momentum, decay], p.dtype)
        _update(p.reshape(-1), g.reshape(-1), v.reshape(-1), numbers, nesterov)


@jit
def _update(p, g, v, numbers, nesterov):
    lr, momentum, decay = numbers
    for i in range(len(p)):
        gradient = g[i] + decay * p[i] if decay else g[i]
        v[i] = momentum * v[i] + gradient
        p[i] -= lr * (gradient + momentum * v[i] if nesterov else v[i])
