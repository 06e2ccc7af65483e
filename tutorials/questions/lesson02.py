"""Exercises of lesson 2: checking gradients."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(2)
X, U = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))
DX, V = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))
ROWS_X, ROWS_U = RNG.standard_normal((2, 3)), RNG.standard_normal(2)


def cube(x):
    return x**3


def row_products(x):
    return x[:, 0] * x[:, 1] * x[:, 2]


def _gradient(f, x, u):
    h, dx = 1e-5, np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        dx[i] = (u * (f(x + step) - f(x - step))).sum() / (2 * h)
    return dx


def _slopes(f, x, u, dx, v):
    h = 1e-5
    return (u * (f(x + h * v) - f(x - h * v))).sum() / (2 * h), (dx * v).sum()


CASES = ((cube, X, U), (row_products, ROWS_X, ROWS_U))
ALONG = ((cube, X, U, DX, V), (row_products, ROWS_X, ROWS_U, DX[:2, :3], V[:2, :3]))

QUESTIONS = {
    1: Question(
        4,
        mistakes=(
            Mistake("that of a one-sided difference, whose error is h f''/2", 2),
            Mistake("h cubed; the term that remains is h squared", 8),
        ),
    ),
    2: Question(
        _gradient,
        CASES,
        (
            Mistake(
                "the gradient for u = 1: the cotangent is left out",
                lambda f, x, u: _gradient(f, x, np.ones_like(u)),
            ),
            Mistake(
                "twice too large: a central difference is divided by 2h",
                lambda f, x, u: 2 * _gradient(f, x, u),
            ),
            Mistake("of the wrong sign: up minus down", lambda f, x, u: -_gradient(f, x, u)),
            Mistake(
                "the gradient of the mean, not of the sum",
                lambda f, x, u: _gradient(f, x, u) / u.size,
            ),
        ),
        names=("f", "x", "u"),
        parts=("dx",),
        tolerance=1e-5,
    ),
    3: Question(
        "ACE",
        mistakes=(
            Mistake("without C: the sum of x minus its mean is 0 for every x", "AE"),
            Mistake("without A: probabilities add up to 1 for every x", "CE"),
            Mistake("without E: a layer norm's result has the mean 0 for every x", "AC"),
            Mistake("with B: the sum of a ReLU grows where x is positive", "ABCE"),
        ),
    ),
    4: Question(
        _slopes,
        ALONG,
        (
            Mistake(
                "the two slopes with u = 1 in the first",
                lambda f, x, u, dx, v: _slopes(f, x, np.ones_like(u), dx, v),
            ),
            Mistake(
                "a second slope that is a sum of dx, not of dx times v",
                lambda f, x, u, dx, v: (_slopes(f, x, u, dx, v)[0], dx.sum()),
            ),
            Mistake(
                "a second slope with u in it: dx has been computed with u already",
                lambda f, x, u, dx, v: (_slopes(f, x, u, dx, v)[0], (dx * v).sum() * u.sum()),
            ),
        ),
        names=("f", "x", "u", "dx", "v"),
        parts=("the numerical slope", "the gradient's slope"),
        tolerance=1e-5,
    ),
    5: Question(
        0,
        mistakes=(
            Mistake("the last row; with height 8, kernel 2 and stride 2 nothing remains", 1),
            Mistake("two rows; with height 8, kernel 2 and stride 2 nothing remains", 2),
        ),
    ),
}
"""By number."""
