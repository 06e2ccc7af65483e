"""Exercises of lesson 12: going fast."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(12)
D, G = RNG.standard_normal(4), RNG.standard_normal(3)
NOISE = np.where(RNG.random(15) < 0.2, 3.0, 1.0)
PHASE = np.where(np.arange(15) < 8, 1.0, 1.2)
A = PHASE * (1 + 0.02 * RNG.random(15)) * NOISE
B = 0.8 * PHASE * (1 + 0.02 * RNG.random(15))
IN_ALL_PIXELS = 2 * 9 * 16 * 16


def _slide(d, g):
    return np.array([d[0:3] @ g, d[1:4] @ g])


def _middle(d, g):
    """What m2 and m3 bring to the two results."""
    m2 = (d[1] + d[2]) * (g[0] + g[1] + g[2]) / 2
    m3 = (d[2] - d[1]) * (g[0] - g[1] + g[2]) / 2
    return np.array([m2 + m3, m2 - m3])


QUESTIONS = {
    1: Question(
        (1 / 12, IN_ALL_PIXELS / 128),
        mistakes=(
            Mistake(
                "FLOPs per number, not per byte: a float32 has 4 bytes",
                (1 / 3, IN_ALL_PIXELS / 32),
            ),
            Mistake(
                "that of a count in which only reading costs: the result is written, too",
                (1 / 8, IN_ALL_PIXELS / 64),
            ),
            Mistake(
                "one with a multiply-add counted as one FLOP; it counts as two",
                (1 / 12, IN_ALL_PIXELS / 256),
            ),
        ),
        parts=("the addition", "the convolution"),
        tolerance=1e-3,
    ),
    2: Question(
        lambda d, g: (_slide(d, g), 4),
        ((D, G),),
        (
            Mistake("right, but by the plain formula", lambda d, g: (_slide(d, g), 6)),
            Mistake(
                "the convolution with the filter turned around; networks do not turn it",
                lambda d, g: (_slide(d, g[::-1]), 4),
            ),
            Mistake(
                "one with the wrong sign of m4 = (d1 - d3) g2",
                lambda d, g: (_slide(d, g) + [0, 2 * (d[1] - d[3]) * g[2]], 4),
            ),
            Mistake(
                "one in which the sums of the filter are not halved",
                lambda d, g: (_slide(d, g) + _middle(d, g), 4),
            ),
        ),
        names=("d", "g"),
        parts=("y", "the multiplications"),
    ),
    3: Question(
        (16, 36, 2.25, 4.0),
        mistakes=(
            Mistake("the plain count: 9 for each of the pixels", (36, 144, 2.25, 4.0)),
            Mistake("that of one dimension: both axes are transformed", (4, 6, 1.5, 2.0)),
        ),
        parts=("F(2x2)", "F(4x4)", "the first saving", "the second saving"),
    ),
    4: Question(
        (6, 2),
        mistakes=(
            Mistake(
                "a count without batch norm's statistics, which read all of y once more", (5, 2)
            ),
            Mistake("the writes alone", (3, 1)),
            Mistake(
                "right for the first; the fused one writes the convolution's result and reads it "
                "when the next one needs it",
                (6, 1),
            ),
        ),
        parts=("each on its own", "fused"),
    ),
    5: Question(
        lambda a, b: np.median(a / b),
        ((A, B), (B, A)),
        (
            Mistake(
                "the ratio of the means: one disturbed run moves it",
                lambda a, b: a.mean() / b.mean(),
            ),
            Mistake(
                "the mean of the ratios: one disturbed pair moves it", lambda a, b: (a / b).mean()
            ),
            Mistake(
                "the ratio of the best times: they may come from different phases of the machine",
                lambda a, b: a.min() / b.min(),
            ),
            Mistake(
                "the ratio of the medians: the two medians may come from different phases",
                lambda a, b: np.median(a) / np.median(b),
            ),
            Mistake("upside down", lambda a, b: np.median(b / a)),
        ),
        names=("a", "b"),
        parts=("the ratio",),
    ),
}
"""By number."""
