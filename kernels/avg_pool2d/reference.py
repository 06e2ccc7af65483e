"""Average pooling in array code."""

import numpy as np

from minires.kernels.arrays import array_module, pad_image, windows


def forward(x, kernel, stride, padding=(0, 0)):
    """y, the mean of every window."""
    view = windows(pad_image(x, padding), kernel, stride)
    mean = view.mean(axis=(3, 4), dtype=np.float64).astype(x.dtype)  # windows may be large
    return mean, (x.shape, kernel, stride, padding)


def backward(dy, saved, needs=(True,)):
    """Spread dy / (KH KW) over each window: for every position in it, one strided addition."""
    (n, h, w, c), (kh, kw), (sh, sw), (ph, pw) = saved
    ho, wo = dy.shape[1:3]
    share = dy / (kh * kw)
    dxp = array_module(dy).zeros((n, h + 2 * ph, w + 2 * pw, c), dy.dtype)
    for i in range(kh):
        for j in range(kw):
            dxp[:, i : i + (ho - 1) * sh + 1 : sh, j : j + (wo - 1) * sw + 1 : sw] += share
    return (dxp[:, ph : ph + h, pw : pw + w],)
