"""One step of SGD with momentum and weight decay, on all parameters at once.

For each parameter p with gradient g, velocity v and its own weight decay d:

    g' = g + d p
    v <- momentum v + g'
    p <- p - lr (g' + momentum v)    with Nesterov's momentum (Sutskever et al. 2013)
    p <- p - lr v                    without

as in PyTorch (the learning rate outside the velocity), v starting at zero.

update(params, grads, velocities, lr, momentum, weight_decays, nesterov, scaling=None) -> None
    params, grads, velocities: lists of arrays of equal shapes; params and velocities are updated in
    place, grads are left as they are. weight_decays: a list of numbers, one per parameter.
    lr: a number, or an array () of float64 that holds it, on the device: a CUDA graph reads it
    there at every replay.
    scaling: what `grad_scaler` says of the gradients, if they are those of a scaled loss: g is
    divided by the scale first, and if one of them was not finite, nothing is updated.
"""
