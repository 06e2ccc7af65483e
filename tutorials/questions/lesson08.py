"""Exercises of lesson 8: residual learning."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(8)


def _draw(*shape):
    return RNG.standard_normal(shape)


def _du(dy, x, w):
    return dy * (x @ w + x > 0)


def _backward(dy, x, w):
    du = _du(dy, x, w)
    return du + du @ w.T, x.T @ du


def _no_shortcut(dy, x, w):
    du = _du(dy, x, w)
    return du @ w.T, x.T @ du


def _only_shortcut(dy, x, w):
    du = _du(dy, x, w)
    return du, x.T @ du


def _twice(dy, x, w):
    du = _du(dy, x, w)
    return 2 * du + du @ w.T, x.T @ du


def _no_mask(dy, x, w):
    return dy + dy @ w.T, x.T @ dy


def _half_mask(dy, x, w):
    du = _du(dy, x, w)
    return dy + du @ w.T, x.T @ du


def _mask_of_f(dy, x, w):
    du = dy * (x @ w > 0)
    return du + du @ w.T, x.T @ du


def _shortcut(x, stride, channels, front=None, step=None):
    new = channels - x.shape[3]
    low = new // 2 if front is None else front * new
    step = step or stride
    return np.pad(x[:, ::step, ::step], ((0, 0), (0, 0), (0, 0), (low, new - low)))


def _averaged(x, stride, channels):
    n, h, w, c = x.shape
    h, w = h // stride * stride, w // stride * stride
    blocks = x[:, :h, :w].reshape(n, h // stride, stride, w // stride, stride, c)
    return _shortcut(blocks.mean((2, 4)), 1, channels)


BACKWARD = tuple((_draw(4, 3), _draw(4, 3), _draw(3, 3)) for _ in range(2))
SHORTCUT = ((_draw(2, 4, 6, 2), 2, 4), (_draw(1, 6, 6, 2), 3, 7))

QUESTIONS = {
    1: Question(
        _backward,
        BACKWARD,
        (
            Mistake("what comes out without the gradient of the shortcut", _no_shortcut),
            Mistake("what comes out without the gradient through F", _only_shortcut),
            Mistake("that with the shortcut's gradient added twice", _twice),
            Mistake("what comes out when the ReLU is left out in backward", _no_mask),
            Mistake("that with the ReLU's mask on one of the two paths only", _half_mask),
            Mistake("that with the mask of x @ w, before the addition", _mask_of_f),
        ),
        names=("dy", "x", "w"),
        parts=("dx", "dw"),
    ),
    2: Question(
        2752,
        mistakes=(
            Mistake("the weights without the two batch norms", 2560),
            Mistake("that with one number per batch norm's channel; it has gamma and beta", 2656),
            Mistake("that with windows of 3 x 3", 23232),
        ),
    ),
    3: Question(
        _shortcut,
        SHORTCUT,
        (
            Mistake(
                "that with all new channels behind; half of them stand in front",
                lambda x, s, k: _shortcut(x, s, k, front=0),
            ),
            Mistake(
                "that with all new channels in front; half of them stand behind",
                lambda x, s, k: _shortcut(x, s, k, front=1),
            ),
            Mistake("the mean of the pixels; option A takes every second pixel", _averaged),
            Mistake("that without the stride", lambda x, s, k: _shortcut(x, s, k, step=1)),
        ),
        names=("x", "stride", "channels"),
        parts=("the result",),
    ),
    4: Question(
        lambda dy, x: dy * (x > 0),
        ((_draw(3, 4), _draw(3, 4)),),
        (
            Mistake("zero: that of a block without its shortcut", lambda dy, x: 0 * dy),
            Mistake("dy itself; behind the addition stands a ReLU", lambda dy, x: dy),
            Mistake("that with the shortcut counted twice", lambda dy, x: 2 * dy * (x > 0)),
        ),
        names=("dy", "x"),
        parts=("dx",),
    ),
}
"""By number."""
