"""Max pooling in array code."""

import numpy as np

from minires.kernels.arrays import array_module, pad_image, windows


def forward(x, kernel, stride, padding=(0, 0)):
    """y and the position of each winner."""
    xp = array_module(x)
    view = windows(pad_image(x, padding, -np.inf), kernel, stride)
    n, ho, wo, kh, kw, c = view.shape
    candidates = view.reshape(n, ho, wo, kh * kw, c)
    winner = candidates.argmax(axis=3)
    if any(padding):
        _leave_the_border(winner, candidates, x, kernel, stride, padding)
    y = xp.take_along_axis(candidates, winner[:, :, :, None], axis=3)[:, :, :, 0]
    return y, (winner, x.shape, kernel, stride, padding)


def _leave_the_border(winner, candidates, x, kernel, stride, padding) -> None:
    """Where all pixels of a window are -inf, like the border, the first pixel wins."""
    xp = array_module(x)
    value = xp.take_along_axis(candidates, winner[:, :, :, None], axis=3)[:, :, :, 0]
    lost = xp.isneginf(value)
    if lost.any():
        pixels = windows(pad_image(xp.ones_like(x), padding), kernel, stride)
        winner[lost] = pixels.reshape(candidates.shape).argmax(axis=3)[lost]


def backward(dy, saved, needs=(True,)):
    """Send dy to the winners: for each of the KH KW positions, one strided addition."""
    winner, (n, h, w, c), (kh, kw), (sh, sw), (ph, pw) = saved
    ho, wo = dy.shape[1:3]
    xp = array_module(dy)
    dxp = xp.zeros((n, h + 2 * ph, w + 2 * pw, c), dy.dtype)
    for i in range(kh):
        for j in range(kw):
            reached = dxp[:, i : i + (ho - 1) * sh + 1 : sh, j : j + (wo - 1) * sw + 1 : sw]
            reached += xp.where(winner == i * kw + j, dy, 0)
    return (dxp[:, ph : ph + h, pw : pw + w],)
