"""Mean 0 and variance 1 over some axes: what layer, group and instance normalisation share.

    y = (x - mean) inv_std    mean, var over `axis`,    inv_std = 1 / sqrt(var + eps)
    dx = inv_std (dy - mean(dy) - y mean(dy y))         means over the same axes

var is the mean of squared deviations (divided by n, not n - 1). Derivation: as of batch norm's
`dx`, whose axes are all but the last, with gamma = 1 (see `batch_norm`).
Ba, Kiros and Hinton 2016, "Layer Normalization", section 3.

forward(x, axis, eps) -> (y, saved);  axis: a tuple of axes
    saved = (y, inv_std, axis)
backward(dy, saved, needs) -> (dx,)
"""
