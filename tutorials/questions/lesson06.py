"""Exercises of lesson 6: training."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(6)


def _draw(count):
    return RNG.standard_normal(count)


def _sgd(w, g, v, lr, momentum, weight_decay):
    v = momentum * v + g + weight_decay * w
    return w - lr * v, v


def _lr_inside(w, g, v, lr, momentum, weight_decay):
    v = momentum * v + lr * (g + weight_decay * w)
    return w - v, v


def _damped(w, g, v, lr, momentum, weight_decay):
    v = momentum * v + (1 - momentum) * (g + weight_decay * w)
    return w - lr * v, v


def _decoupled(w, g, v, lr, momentum, weight_decay):
    v = momentum * v + g
    return w - lr * v - lr * weight_decay * w, v


def _old_velocity(w, g, v, lr, momentum, weight_decay):
    return w - lr * v, momentum * v + g + weight_decay * w


def _no_decay(w, g, v, lr, momentum, weight_decay):
    return _sgd(w, g, v, lr, momentum, 0)


def _negative_decay(w, g, v, lr, momentum, weight_decay):
    return _sgd(w, g, v, lr, momentum, -weight_decay)


def _adam(w, g, m, s, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, corrected=True):
    m = beta1 * m + (1 - beta1) * g
    s = beta2 * s + (1 - beta2) * g**2
    mean, square = (m / (1 - beta1**t), s / (1 - beta2**t)) if corrected else (m, s)
    return w - lr * mean / (np.sqrt(square) + eps), m, s


def _kept_corrected(w, g, m, s, t):
    w, m, s = _adam(w, g, m, s, t)
    return w, m / (1 - 0.9**t), s / (1 - 0.999**t)


def _without_root(w, g, m, s, t):
    _, m, s = _adam(w, g, m, s, t)
    return w - 0.001 * (m / (1 - 0.9**t)) / (s / (1 - 0.999**t) + 1e-8), m, s


def _no_square(w, g, m, s, t):
    _, m, _ = _adam(w, g, m, s, t)
    s = 0.999 * s + 0.001 * np.abs(g)
    return w - 0.001 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8), m, s


SGD = (
    (_draw(3), _draw(3), _draw(3), 0.1, 0.9, 0.01),
    (_draw(4), _draw(4), np.zeros(4), 0.5, 0.5, 0.1),
)
ADAM = (
    (_draw(3), _draw(3), np.zeros(3), np.zeros(3), 1),
    (_draw(3), _draw(3), _draw(3), RNG.random(3), 5),
)

QUESTIONS = {
    1: Question(
        0.08,
        mistakes=(
            Mistake("the rate that reaches the bottom of the steep direction in one step", 0.04),
            Mistake("the limit of the flat direction; the steep one diverges long before", 2.0),
        ),
    ),
    2: Question(
        _sgd,
        SGD,
        (
            Mistake("what comes out with the learning rate inside of the velocity", _lr_inside),
            Mistake("what comes out with (1 - momentum) before the gradient", _damped),
            Mistake(
                "what comes out when the decay is not part of the velocity (decoupled)",
                _decoupled,
            ),
            Mistake("a step with the old velocity", _old_velocity),
            Mistake("a step without weight decay", _no_decay),
            Mistake("a decay of the wrong sign: weights grow", _negative_decay),
        ),
        names=("w", "g", "v", "lr", "momentum", "weight_decay"),
        parts=("w", "v"),
    ),
    3: Question(
        _adam,
        ADAM,
        (
            Mistake(
                "what comes out without the division by 1 - beta^t",
                lambda w, g, m, s, t: _adam(w, g, m, s, t, corrected=False),
            ),
            Mistake("right for w, but m and s are kept corrected", _kept_corrected),
            Mistake("a step divided by s, not by its root", _without_root),
            Mistake("a step with |g| in the place of its square", _no_square),
        ),
        names=("w", "g", "m", "s", "t"),
        parts=("w", "m", "s"),
    ),
    4: Question(
        0.001,
        mistakes=(
            Mistake("the rate between the two milestones", 0.01),
            Mistake("the rate at the start", 0.1),
        ),
    ),
    5: Question(
        1.0,
        mistakes=(
            Mistake("the way with zero_grad: four steps of 0.1", 0.4),
            Mistake("what a doubling of the gradient gives: 1 + 2 + 4 + 8", 1.5),
        ),
    ),
}
"""By number."""
