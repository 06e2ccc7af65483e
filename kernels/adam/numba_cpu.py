"""The step of Adam and AdamW in one pass: each array is read once."""

from math import sqrt

import numpy as np

from minires.kernels.adam import reference
from minires.kernels.arrays import alike
from minires.kernels.jit import jit


def update(
    params,
    grads,
    first_moments,
    second_moments,
    steps,
    lr,
    betas,
    eps,
    weight_decays,
    decoupled,
    scaling=None,
):
    """Update every parameter, its moments and its step number in place."""
    arrays = (params, grads, first_moments, second_moments, steps)
    if scaling is not None:  # of half storage, which other backends have
        return reference.update(*arrays, lr, betas, eps, weight_decays, decoupled, scaling)
    lr, (beta1, beta2) = float(lr), betas
    for p, g, m, v, t, decay in zip(*arrays, weight_decays, strict=True):
        if not alike(p, g, m, v):
            reference.update([p], [g], [m], [v], [t], lr, betas, eps, [decay], decoupled)
            continue
        t += 1
        numbers = (
            lr / (1 - beta1 ** int(t)),
            1 - lr * decay if decoupled else 1,
            0 if decoupled else decay,
            beta1,
            1 - beta1,
            beta2,
            1 - beta2,
            1 - beta2 ** int(t),
            eps,
        )
        flat = (array.reshape(-1) for array in (p, g, m, v))
        _update(*flat, np.array(numbers, p.dtype))
    return None


@jit
def _update(p, g, m, v, numbers):
    rate, kept, decay, beta1, new1, beta2, new2, correction2, eps = numbers
    for i in range(len(p)):
        gradient = g[i] + decay * p[i] if decay else g[i]
        m[i] = beta1 * m[i] + new1 * gradient
        v[i] = beta2 * v[i] + new2 * gradient * gradient
        p[i] = kept * p[i] - rate * m[i] / (sqrt(v[i] / correction2) + eps)
