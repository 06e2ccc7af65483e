"""The SGD step in array code."""

from minires.kernels.grad_scaler import FOUND, INVERSE


def update(params, grads, velocities, lr, momentum, weight_decays, nesterov, scaling=None):
    """Update every parameter and velocity in place."""
    if scaling is not None:
        if scaling[FOUND]:
            return
        grads = [gradient * scaling[INVERSE] for gradient in grads]
    lr = float(lr)
    for p, g, v, decay in zip(params, grads, velocities, weight_decays, strict=True):
        if decay:
            g = g + decay * p
        v *= momentum
        v += g
        p -= lr * (g + momentum * v if nesterov else v)
