"""The step of Adam and AdamW in array code."""

from minires.kernels.arrays import array_module
from minires.kernels.grad_scaler import FOUND, INVERSE


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
    if scaling is not None:
        if scaling[FOUND]:
            return
        grads = [gradient * scaling[INVERSE] for gradient in grads]
    lr, (beta1, beta2) = float(lr), betas
    arrays = (params, grads, first_moments, second_moments, steps, weight_decays)
    for p, g, m, v, t, decay in zip(*arrays, strict=True):
        t += 1
        if decay and decoupled:
            p -= lr * decay * p
        elif decay:
            g = g + decay * p
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g * g
        mean, square = m / (1 - beta1 ** int(t)), v / (1 - beta2 ** int(t))
        p -= lr * mean / (array_module(p).sqrt(square) + eps)
