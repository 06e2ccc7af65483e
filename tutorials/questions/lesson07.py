"""Exercises of lesson 7: the degradation problem."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(7)


def _clip(a, b, limit):
    scale = min(1.0, limit / np.sqrt((a**2).sum() + (b**2).sum()))
    return a * scale, b * scale


def _each(a, b, limit):
    return tuple(g * min(1.0, limit / np.sqrt((g**2).sum())) for g in (a, b))


def _always(a, b, limit):
    scale = limit / np.sqrt((a**2).sum() + (b**2).sum())
    return a * scale, b * scale


def _entries(a, b, limit):
    return np.clip(a, -limit, limit), np.clip(b, -limit, limit)


A, B = 3 * RNG.standard_normal((3, 2)), RNG.standard_normal(4)
X, R = RNG.standard_normal((4, 5)), RNG.random((4, 5))

QUESTIONS = {
    1: Question(
        "AB",
        mistakes=(
            Mistake("without B: layers that hand on their input would be a good solution", "A"),
            Mistake("without A: who overfits has a small training error", "B"),
            Mistake("all of them: one explanation must remain", "ABC"),
        ),
    ),
    2: Question(
        0.5**25,
        mistakes=(
            Mistake("the factor of the mean square; the root changes by its root", 0.5**50),
            Mistake("the factor of one layer", 0.5**0.5),
            Mistake("that without ReLU, where nothing is cut away", 1.0),
        ),
    ),
    3: Question(
        lambda shape: np.sqrt(2 / np.prod(shape[:3])),
        (((3, 3, 16, 32),), ((5, 1, 7, 4),)),
        (
            Mistake(
                "the variance, not its root: a standard deviation is asked for",
                lambda shape: 2 / np.prod(shape[:3]),
            ),
            Mistake(
                "that of Xavier's rule, without the 2 that ReLU needs",
                lambda shape: np.sqrt(1 / np.prod(shape[:3])),
            ),
            Mistake(
                "with the number of channels for n: the window counts, too",
                lambda shape: np.sqrt(2 / shape[2]),
            ),
            Mistake(
                "with the results' channels K; one result adds up KH KW C products",
                lambda shape: np.sqrt(2 / (shape[0] * shape[1] * shape[3])),
            ),
        ),
        names=("shape",),
    ),
    4: Question(
        _clip,
        ((A, B, 1.0), (A, B, 100.0)),
        (
            Mistake("clipped array by array; one length counts for all of them", _each),
            Mistake("scaled to the limit also where it was shorter", _always),
            Mistake("clipped entry by entry, which changes the direction", _entries),
        ),
        names=("a", "b", "limit"),
        parts=("the first gradient", "the second gradient"),
    ),
    5: Question(
        lambda x, r, p: x * (r >= p) / (1 - p),
        ((X, R, 0.3), (X, R, 0.8)),
        (
            Mistake(
                "what comes out without the division: in evaluation the mean would differ",
                lambda x, r, p: x * (r >= p),
            ),
            Mistake(
                "what comes out when the share p is kept, not dropped",
                lambda x, r, p: x * (r < p) / p,
            ),
            Mistake("divided by p, the share that is dropped", lambda x, r, p: x * (r >= p) / p),
        ),
        names=("x", "r", "p"),
        parts=("the result",),
    ),
}
"""By number."""
