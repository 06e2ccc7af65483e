"""The step of Adam and AdamW in Numba-CUDA: one launch for each parameter, as in `sgd`."""

from math import sqrt

from numba import cuda

from minires.kernels.adam import reference
from minires.kernels.arrays import array_module
from minires.kernels.numba_grid import visit


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
        t += 1
        number = t.astype("f8")  # on the device: nobody waits for it
        corrections = array_module(p).stack([1 - beta1**number, 1 - beta2**number]).astype(p.dtype)
        numbers = map(p.dtype.type, (lr, beta1, 1 - beta1, beta2, 1 - beta2, eps, decay))
        flat = (array.reshape(-1) for array in (p, g, m, v))
        visit(_update, p.size, *flat, corrections, *numbers, decoupled)
    return None


@cuda.jit
def _update(p, g, m, v, corrections, lr, beta1, new1, beta2, new2, eps, decay, decoupled):
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        gradient, value = g[i], p[i]
        if decay != 0:
            if decoupled:
                value -= lr * decay * value
            else:
                gradient += decay * value
        first = beta1 * m[i] + new1 * gradient
        second = beta2 * v[i] + new2 * gradient * gradient
        m[i], v[i] = first, second
        p[i] = value - lr * (first / corrections[0]) / (sqrt(second / corrections[1]) + eps)
