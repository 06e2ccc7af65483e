"""One step of Adam or AdamW on all parameters at once.

For each parameter p with gradient g, moments m and v, step number t and its own weight decay d
(Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1):

    t <- t + 1
    g' = g + d p                         Adam: the decay is part of the gradient
    g' = g,  p <- p - lr d p             AdamW: it is decoupled from the gradient
    m <- beta1 m + (1 - beta1) g'        a running mean of gradients,
    v <- beta2 v + (1 - beta2) g'^2      and of their squares
    p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

as in PyTorch; m, v and t start at zero. The divisions by 1 - beta^t correct the bias of moments
that start at zero: after one step m is (1 - beta1) g', which is far too small. Decoupled decay is
algorithm 2 of Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization": coupled, it would
be divided by sqrt(v), too, so that weights with large gradients would hardly decay.

update(params, grads, first_moments, second_moments, steps, lr, betas, eps, weight_decays,
       decoupled, scaling=None) -> None
    params, grads, first_moments, second_moments: lists of arrays of equal shapes; steps: a list of
    arrays () of int64. All but grads are updated in place. weight_decays: a list of numbers, one
    per parameter. betas: (beta1, beta2).
    lr: a number, or an array () of float64 that holds it, on the device: a CUDA graph reads it
    there at every replay. So it does the step numbers.
    scaling: what `grad_scaler` says of the gradients, if they are those of a scaled loss: g is
    divided by the scale first, and if one of them was not finite, nothing is updated.
"""
