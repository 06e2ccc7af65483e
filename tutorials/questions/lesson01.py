"""Exercises of lesson 1: the chain rule."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(1)
X, DY = RNG.standard_normal((4, 3)), RNG.standard_normal((4, 2))
SQUARE_X, SQUARE_DY = RNG.standard_normal((3, 3)), RNG.standard_normal((3, 3))


def _bias(dy, b):
    return dy.sum(0) if b.ndim == 1 else dy.sum(1, keepdims=True)


QUESTIONS = {
    1: Question(
        lambda value: (max(0.0, value), 3.0 if value > 0 else 0.0),
        ((2.0,), (-1.5,), (0.5,)),
        (
            Mistake(
                "that of a ReLU whose slope is 1 everywhere: where it gives 0, nothing flows back",
                lambda value: (max(0.0, value), 3.0),
            ),
            Mistake(
                "that of a ReLU whose slope is x: the slope is 1 where x is positive",
                lambda value: (max(0.0, value), 3.0 * max(0.0, value)),
            ),
            Mistake("the absolute value, not the ReLU", lambda v: (abs(v), 3.0 * np.sign(v))),
        ),
        names=("x",),
        parts=("the result", "the gradient at x"),
    ),
    2: Question(
        11.0,
        mistakes=(
            Mistake("the slope of x*x alone: the path through + x is left out", 10.0),
            Mistake("one path of x*x and the path through + x; x*x has two", 6.0),
            Mistake("the value of z, not its slope", 30.0),
        ),
    ),
    3: Question(
        5.0,
        mistakes=(
            Mistake("the right gradient; with = one path replaces the other", 11.0),
            Mistake("what the sum writes first; x*x is visited later and replaces it", 1.0),
            Mistake("both paths of x*x added: with = the second replaces the first", 10.0),
        ),
    ),
    4: Question(
        lambda dy, x: x.T @ dy,
        ((DY, X), (SQUARE_DY, SQUARE_X)),
        (
            Mistake("transposed: (x^T dy)^T", lambda dy, x: dy.T @ x),
            Mistake("averaged over the rows: gradients add up", lambda dy, x: x.T @ dy / len(x)),
        ),
        names=("dy", "x"),
        parts=("dw",),
    ),
    5: Question(
        _bias,
        ((DY, np.zeros(2)), (DY, np.zeros((4, 1))), (SQUARE_DY, np.zeros((3, 1)))),
        (
            Mistake("dy as it is, not summed: b was used once in every row", lambda dy, b: dy),
            Mistake(
                "the mean over the repeated axis: paths add up, they are not averaged",
                lambda dy, b: _bias(dy, b) / (dy.size / b.size),
            ),
            Mistake(
                "right for b of shape (M,) only; for (N, 1) the other axis was repeated",
                lambda dy, b: dy.sum(0),
            ),
        ),
        names=("dy", "b"),
        parts=("db",),
    ),
    6: Question(
        4,
        mistakes=(
            Mistake("what the cut graph has: linear and cross_entropy", 2),
            Mistake("a count without the loss, which is a Function, too", 3),
        ),
    ),
}
"""By number."""
