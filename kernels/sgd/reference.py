"""The SGD step in array code."""


def update(params, grads, velocities, lr, momentum, weight_decays, nesterov):
    """Update every parameter and velocity in place."""
    lr = float(lr)
    for p, g, v, decay in zip(params, grads, velocities, weight_decays, strict=True):
        if decay:
            g = g + decay * p
        v *= momentum
        v += g
        p -= lr * (g + momentum * v if nesterov else v)
