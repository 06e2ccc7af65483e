"""Batch normalisation (Ioffe & Szegedy 2015), optionally with a residual added and a ReLU applied.

    x, residual, y (..., C)    gamma, beta, mean, var, running_mean, running_var (C,)
    M = number of values per channel = x.size / C

    training:    mean = sum(x) / M,  var = sum((x - mean)^2) / M            (over all axes but C)
    evaluation:  mean = running_mean,  var = running_var
    inv_std = 1 / sqrt(var + eps)
    x_hat = (x - mean) * inv_std
    u = gamma * x_hat + beta  (+ residual)
    y = max(u, 0) if relu else u

In training the running statistics are updated in place, as in PyTorch with the *unbiased* variance:

    running_mean += momentum * (mean - running_mean)
    running_var  += momentum * (var * M / (M - 1) - running_var)

forward(x, gamma, beta, residual=None, *, running_mean, running_var, training, momentum, eps, relu)
    -> (y, saved);  saved: what the file's own backward needs. The reference keeps x_hat, gamma,
    inv_std and y; others keep x, the convolution's output, and recompute x_hat from it
backward(dy, saved, needs) -> (dx, dgamma, dbeta, dresidual), dresidual only where a residual was

One dtype for x, gamma, beta, residual and y; the running statistics may have another. A fused
operation is the composition of plain ones: batch_norm, then add, then relu.

Derivation of the backward
--------------------------
Through the ReLU, du = dy where y > 0 (or is NaN), else 0. The sum hands du on unchanged:
dresidual = du.

    dbeta = sum(du)        dgamma = sum(du * x_hat)        g := dx_hat = gamma * du

In evaluation mean and inv_std are constants and dx = g * inv_std. In training each x reaches every
x_hat of its channel, through the mean and through the variance:

    d x_hat_j / d x_i = inv_std * ( [i = j] - 1/M - x_hat_i x_hat_j / M )

(the term of the mean is -1/M; the variance has d var / d x_i = 2 (x_i - mean) / M and
d inv_std / d var = -inv_std^3 / 2, which together give -x_hat_i x_hat_j / M). Summed against g:

    dx_i = inv_std * ( g_i - sum(g)/M - x_hat_i sum(g x_hat)/M )
         = gamma inv_std * ( du_i - dbeta/M - x_hat_i dgamma/M )

so the two sums that the parameters need anyway are all that dx needs.
"""
