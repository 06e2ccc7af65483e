"""The parameter-free shortcut where a ResNet's shape changes: option A of He et al. 2015, sec. 4.2.

    x (N, H, W, C) -> y (N, ceil(H/s), ceil(W/s), K),   K >= C,   s = stride

    y[n,p,q,c + low] = x[n, p s, q s, c],  low = floor((K - C) / 2);  all other channels are zero

It subsamples without averaging and pads the new channels with zeros, half in front, half behind
(C/4 of the larger count each side where the channels double), as the published weights expect.

forward(x, stride, channels) -> (y, saved);  saved = (x.shape, stride, channels)
backward(dy, saved, needs) -> (dx,)

Linear with coefficients 0 and 1: dx[n, p s, q s, c] = dy[n,p,q,c + low], zero elsewhere.
"""
