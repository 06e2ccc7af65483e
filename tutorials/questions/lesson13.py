"""Exercises of lesson 13: further."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(13)
LOGITS = 2 * RNG.standard_normal((3, 5, 4))
BOXES = ((1.0, 2.0, 6.0, 5.0), (3.0, 1.0, 8.0, 4.0)), ((0.0, 0.0, 2.0, 3.0), (4.0, 4.0, 6.0, 9.0))
POINT = np.array([1.0, 0.5])


def _softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _votes(z):
    return np.eye(z.shape[-1])[z.argmax(-1)].mean(0)


def _areas(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width, height, area


def _iou(a, b):
    width, height, area = _areas(a, b)
    shared = max(width, 0) * max(height, 0)
    return shared / (sum(area) - shared)


def _unclipped(a, b):
    width, height, area = _areas(a, b)
    return width * height / (sum(area) - width * height)


def _of_both(a, b):
    width, height, area = _areas(a, b)
    return max(width, 0) * max(height, 0) / sum(area)


def _turned(x):
    return np.array([-x[1], x[0]])


def _euler(x, steps):
    for _ in range(steps):
        x = x + _turned(x) / steps
    return x


def _plain(x, steps):
    for _ in range(steps):
        x = _turned(x) / steps
    return x


def _whole(x, steps):
    for _ in range(steps):
        x = x + _turned(x)
    return x


def _at_once(x, steps):
    return x + _turned(x)


QUESTIONS = {
    1: Question(
        (73_728, 69_632, 1_179_648),
        mistakes=(
            Mistake("right but for the second convolution of a pair", (36_864, 69_632, 589_824)),
            Mistake(
                "one in which the last 1x1 convolution is left out", (73_728, 53_248, 1_179_648)
            ),
            Mistake("one without the 9 places of a 3x3 filter", (8_192, 36_864, 131_072)),
        ),
        parts=("two 3x3 at 64", "the bottleneck at 256", "two 3x3 at 256"),
    ),
    2: Question(
        lambda n, s: -(-n // s) + s,
        ((54, 7), (54, 10), (600, 24), (100, 10)),
        (
            Mistake(
                "the inputs alone: one segment at a time is there as a whole",
                lambda n, s: -(-n // s),
            ),
            Mistake(
                "rounded down: the last, shorter segment has an input, too", lambda n, s: n // s + s
            ),
            Mistake("what is kept without recomputing", lambda n, s: n),
            Mistake("not rounded: the number of segments is whole", lambda n, s: n / s + s),
        ),
        names=("n", "s"),
    ),
    3: Question(
        lambda logits: _softmax(logits).mean(0),
        ((LOGITS,),),
        (
            Mistake(
                "the softmax of the mean logits: a network that is very sure weighs more",
                lambda z: _softmax(z.mean(0)),
            ),
            Mistake("the mean of the logits; they are no probabilities", lambda z: z.mean(0)),
            Mistake("the share of votes: how sure each network is gets lost", _votes),
            Mistake(
                "the sum of the probabilities: its rows do not sum to 1",
                lambda z: _softmax(z).sum(0),
            ),
            Mistake(
                "a softmax over the networks, not over the classes",
                lambda z: (np.exp(z) / np.exp(z).sum(0)).mean(0),
            ),
        ),
        names=("logits",),
        parts=("the probabilities",),
    ),
    4: Question(
        _iou,
        BOXES,
        (
            Mistake(
                "right where the boxes meet; apart in both axes, two negative lengths make a "
                "positive area",
                _unclipped,
            ),
            Mistake("one that counts the shared area twice below the line", _of_both),
            Mistake(
                "the shared area by that of the first box",
                lambda a, b: max(_areas(a, b)[0], 0) * max(_areas(a, b)[1], 0) / _areas(a, b)[2][0],
            ),
        ),
        names=("a", "b"),
    ),
    5: Question(
        _euler,
        ((POINT, 4), (POINT, 32)),
        (
            Mistake("that of a plain net: the x in front of f is missing", _plain),
            Mistake("one whose steps are 1 long; the whole time is 1", _whole),
            Mistake("a single step over the whole time", _at_once),
        ),
        names=("x", "steps"),
        parts=("x",),
    ),
}
"""By number."""
