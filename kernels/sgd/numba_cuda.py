"""The SGD step in Numba-CUDA: one launch for each parameter (all in one take a table of addresses,
which only CUDA C++ can follow: see `cuda.cu`)."""

from numba import cuda

from minires.kernels.numba_grid import visit
from minires.kernels.sgd import reference


def update(params, grads, velocities, lr, momentum, weight_decays, nesterov, scaling=None):
    """Update every parameter and velocity in place."""
    if scaling is not None:  # of half storage, which other backends have
        numbers = (lr, momentum, weight_decays, nesterov, scaling)
        return reference.update(params, grads, velocities, *numbers)
    for p, g, v, decay in zip(params, grads, velocities, weight_decays, strict=True):
        numbers = (p.dtype.type(number) for number in (float(lr), momentum, decay))
        visit(_update, p.size, p.reshape(-1), g.reshape(-1), v.reshape(-1), *numbers, nesterov)


@cuda.jit
def _update(p, g, v, lr, momentum, decay, nesterov):
    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        gradient = g[i] + decay * p[i] if decay != 0 else g[i]
        velocity = momentum * v[i] + gradient
        v[i] = velocity
        p[i] -= lr * (gradient + momentum * velocity if nesterov else velocity)
