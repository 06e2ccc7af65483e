"""Exercises of lesson 5: batch normalisation."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(5)
EPS = 1e-5


def _draw(*shape):
    return RNG.standard_normal(shape)


def _axes(x):
    return tuple(range(x.ndim - 1))


def _normal(x, eps=EPS, ddof=0):
    """x_hat and 1 / sqrt(var + eps)."""
    s = 1 / np.sqrt(x.var(_axes(x), ddof=ddof) + eps)
    return (x - x.mean(_axes(x))) * s, s


def _forward(x, gamma, beta):
    return gamma * _normal(x)[0] + beta


def _outside(x, gamma, beta):
    axes = _axes(x)
    return gamma * (x - x.mean(axes)) / (np.sqrt(x.var(axes)) + EPS) + beta


def _one_statistic(x, gamma, beta):
    return gamma * (x - x.mean()) / np.sqrt(x.var() + EPS) + beta


def _backward(dy, x, gamma, terms="dmv", scale=True):
    axes, m = _axes(x), x.size / x.shape[-1]
    x_hat, s = _normal(x)
    dbeta, dgamma = dy.sum(axes), (dy * x_hat).sum(axes)
    dx = dy.copy()
    if "m" in terms:
        dx -= dbeta / m
    if "v" in terms:
        dx -= x_hat * dgamma / m
    return (gamma if scale else 1) * s * dx, dgamma, dbeta


def _mean_of_parameters(dy, x, gamma):
    dx, dgamma, dbeta = _backward(dy, x, gamma)
    m = x.size / x.shape[-1]
    return dx, dgamma / m, dbeta / m


def _raw_gamma(dy, x, gamma):
    dx, _, dbeta = _backward(dy, x, gamma)
    return dx, (dy * x).sum(_axes(x)), dbeta


def _update(running_mean, running_var, x, momentum=0.1, ddof=1):
    axes = _axes(x)
    mean, var = x.mean(axes), x.var(axes, ddof=ddof)
    return (
        running_mean + momentum * (mean - running_mean),
        running_var + momentum * (var - running_var),
    )


# The numbers are small in one case, so that eps counts.
FORWARD = (
    (3 + 2 * _draw(2, 3, 2, 4), _draw(4), _draw(4)),
    (0.01 * _draw(5, 3), _draw(3), _draw(3)),
)
BACKWARD = (
    (_draw(2, 3, 2, 4), 3 + 2 * _draw(2, 3, 2, 4), _draw(4)),
    (_draw(5, 3), 0.01 * _draw(5, 3), _draw(3)),
)
RUNNING = (
    (_draw(3), RNG.random(3), _draw(2, 2, 2, 3)),
    (np.zeros(2), np.ones(2), 4 + _draw(5, 2)),
)

QUESTIONS = {
    1: Question(
        _forward,
        FORWARD,
        (
            Mistake("what comes out when eps stands outside of the root", _outside),
            Mistake(
                "what comes out with M - 1 in the variance; normalisation divides by M",
                lambda x, g, b: g * _normal(x, ddof=1)[0] + b,
            ),
            Mistake(
                "what comes out without eps",
                lambda x, g, b: g * _normal(x, eps=0)[0] + b,
            ),
            Mistake("normalised over everything; each channel has its own mean", _one_statistic),
            Mistake("x_hat: gamma and beta are left out", lambda x, g, b: _normal(x)[0]),
            Mistake(
                "divided by the variance, not by its root",
                lambda x, g, b: g * _normal(x)[0] * _normal(x)[1] + b,
            ),
        ),
        names=("x", "gamma", "beta"),
        parts=("y",),
    ),
    2: Question(
        _backward,
        BACKWARD,
        (
            Mistake(
                "what comes out when the variance term is left out of dx",
                lambda dy, x, g: _backward(dy, x, g, "dm"),
            ),
            Mistake(
                "what comes out when the mean term is left out of dx",
                lambda dy, x, g: _backward(dy, x, g, "dv"),
            ),
            Mistake(
                "what comes out when mean and variance are taken for constants",
                lambda dy, x, g: _backward(dy, x, g, "d"),
            ),
            Mistake(
                "what comes out when gamma is left out of dx",
                lambda dy, x, g: _backward(dy, x, g, scale=False),
            ),
            Mistake("that with means for dgamma and dbeta: paths add up", _mean_of_parameters),
            Mistake("that with dgamma from x, not from x_hat", _raw_gamma),
        ),
        names=("dy", "x", "gamma"),
        parts=("dx", "dgamma", "dbeta"),
    ),
    3: Question(
        _update,
        RUNNING,
        (
            Mistake(
                "what comes out with the biased variance; the running one has M - 1",
                lambda m, v, x: _update(m, v, x, ddof=0),
            ),
            Mistake(
                "what comes out with the momentum the other way round: 0.9 of the new batch",
                lambda m, v, x: _update(m, v, x, 0.9),
            ),
            Mistake(
                "the batch's own statistics: nothing is kept", lambda m, v, x: _update(m, v, x, 1.0)
            ),
        ),
        names=("running_mean", "running_var", "x"),
        parts=("the running mean", "the running variance"),
    ),
    4: Question(
        0.1,
        mistakes=(Mistake("the weight of the old value; here it is that of the new batch", 0.9),),
    ),
    5: Question(
        "ACE",
        mistakes=(
            Mistake("without E: evaluation's forward is wrong, and backward agrees with it", "AC"),
            Mistake("without A: forward and backward have the same wrong eps", "CE"),
            Mistake("without C: the running variance takes no part in the gradient", "AE"),
            Mistake("with B, which a random cotangent finds", "ABCE"),
            Mistake("with D, which a random gamma finds", "ACDE"),
        ),
    ),
}
"""By number."""
