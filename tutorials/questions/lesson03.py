"""Exercises of lesson 3: convolution."""

import numpy as np

from minires.judging import Mistake, Question
from minires.kernels.conv2d import reference

RNG = np.random.default_rng(3)


def _draw(*shape):
    return RNG.standard_normal(shape)


def _columns(x, kh, kw, stride, padding, order=(0, 1, 2, 4, 5, 3)):
    xp = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(xp, (kh, kw), (1, 2))
    return view[:, ::stride, ::stride].transpose(order).reshape(-1, kh * kw * x.shape[3])


def _wide(dy, w):
    kh, kw = w.shape[:2]
    return np.pad(dy, ((0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1), (0, 0)))


def _dx(dy, w):
    return reference.convolve(_wide(dy, w), w[::-1, ::-1].transpose(0, 1, 3, 2), (1, 1))


def _unflipped(dy, w):
    return reference.convolve(_wide(dy, w), w.transpose(0, 1, 3, 2), (1, 1))


def _flipped_once(dy, w):
    return reference.convolve(_wide(dy, w), w[::-1].transpose(0, 1, 3, 2), (1, 1))


def _turned(dy, w):
    return reference.convolve(_wide(dy, w), w[:, ::-1].transpose(0, 1, 3, 2), (1, 1))


def _any(dy, w, x_shape, stride, padding):
    return reference.input_gradient(dy, w, x_shape, (stride, stride), (padding, padding))


def _scattered(dy, w, x_shape, stride, padding, add):
    """dx by a loop over the window's places; without `add` later places replace earlier ones."""
    n, h, width, c = x_shape
    kh, kw = w.shape[:2]
    ho, wo = dy.shape[1:3]
    dxp = np.zeros((n, h + 2 * padding, width + 2 * padding, c))
    for i in range(kh):
        for j in range(kw):
            place = (
                slice(None),
                slice(i, i + (ho - 1) * stride + 1, stride),
                slice(j, j + (wo - 1) * stride + 1, stride),
            )
            dxp[place] = dxp[place] + dy @ w[i, j].T if add else dy @ w[i, j].T
    return dxp


def _inside(dxp, x_shape, padding):
    return dxp[:, padding : padding + x_shape[1], padding : padding + x_shape[2]]


def _overwritten(dy, w, x_shape, stride, padding):
    dxp = _scattered(dy, w, x_shape, stride, padding, add=False)
    return _inside(dxp, x_shape, padding)


def _shifted(dy, w, x_shape, stride, padding):
    return _scattered(dy, w, x_shape, stride, padding, add=True)[:, : x_shape[1], : x_shape[2]]


def _crowded(dy, w, x_shape, stride, padding):
    """dx where dy was not spread: as if the stride were 1."""
    return _inside(_scattered(dy, w, x_shape, 1, padding, add=True), x_shape, padding)


def _asymmetric(dy, w, x_shape, stride, padding):
    turned = np.ascontiguousarray(w[::-1, ::-1])
    return _any(dy, turned, x_shape, stride, padding)


IMAGES = ((_draw(2, 5, 6, 3), 3, 2, 1, 0), (_draw(1, 7, 5, 2), 2, 3, 2, 1))
PLAIN = ((_draw(2, 4, 3, 3), _draw(3, 2, 2, 3)), (_draw(1, 3, 5, 2), _draw(2, 3, 1, 2)))
ANY = (
    (_draw(2, 3, 3, 3), _draw(3, 2, 2, 3), (2, 7, 6, 2), 2, 0),
    (_draw(1, 3, 4, 2), _draw(2, 3, 3, 2), (1, 5, 7, 3), 2, 1),
    (_draw(1, 5, 4, 2), _draw(3, 3, 1, 2), (1, 5, 4, 1), 1, 1),
)

QUESTIONS = {
    1: Question(
        16,
        mistakes=(
            Mistake("that of a padding on one side only", 15.5),
            Mistake("the result without padding", 15),
            Mistake("rounded up; a window that does not fit is left out", 17),
            Mistake("that of stride 1", 32),
        ),
    ),
    2: Question(
        _columns,
        IMAGES,
        (
            Mistake(
                "a matrix whose columns are in the order c, i, j; w has the order i, j, c",
                lambda x, kh, kw, s, p: _columns(x, kh, kw, s, p, (0, 1, 2, 3, 4, 5)),
            ),
            Mistake(
                "a matrix with the window's two axes exchanged",
                lambda x, kh, kw, s, p: _columns(x, kh, kw, s, p, (0, 1, 2, 5, 4, 3)),
            ),
            Mistake(
                "a matrix without the padding", lambda x, kh, kw, s, p: _columns(x, kh, kw, s, 0)
            ),
            Mistake(
                "a matrix of all windows: the stride is left out",
                lambda x, kh, kw, s, p: _columns(x, kh, kw, 1, p),
            ),
        ),
        names=("x", "kh", "kw", "stride", "padding"),
        parts=("X",),
    ),
    3: Question(
        _dx,
        PLAIN,
        (
            Mistake("what comes out when the filter is not flipped", _unflipped),
            Mistake("what comes out when only the rows of the filter are flipped", _flipped_once),
            Mistake("what comes out when only its columns are flipped", _turned),
        ),
        names=("dy", "w"),
        parts=("dx",),
    ),
    4: Question(
        _any,
        ANY,
        (
            Mistake(
                "what comes out when windows overwrite each other: terms must be added",
                _overwritten,
            ),
            Mistake("shifted by the padding: the border was cut off at one side only", _shifted),
            Mistake("what comes out when the stride is left out in backward", _crowded),
            Mistake("what comes out when the filter is flipped once too often", _asymmetric),
        ),
        names=("dy", "w", "x_shape", "stride", "padding"),
        parts=("dx",),
    ),
    5: Question(
        2,
        mistakes=(
            Mistake("the cost of one of the two gradients", 1),
            Mistake("the cost of forward and backward together", 3),
        ),
    ),
}
"""By number."""
