"""Softmax cross-entropy with integer labels, averaged over the batch.

    logits z (N, K)    labels (N,) integers in [0, K)    loss (), a scalar array

    p[n,k] = exp(z[n,k]) / sum_j exp(z[n,j])
    t[n,k] = (1 - s) [k = labels[n]] + s / K
    s = label_smoothing (Szegedy et al. 2016, sec. 7)
    loss = - sum over n,k of t[n,k] log p[n,k] / N

log p is computed as (z - max z) - log sum exp(z - max z), which cannot overflow.

forward(z, labels, label_smoothing) -> (loss, saved);  saved = (p, labels, label_smoothing)
    labels: a copy, since the backward writes where they say
backward(dloss, saved, needs) -> (dz,)

Derivation: d log p_k / d z_j = [j = k] - p_j, and the t of a row sum to 1, so
dz[n,j] = -sum_k t_k ([j = k] - p_j) / N = (p[n,j] - t[n,j]) / N, times dloss.
"""
