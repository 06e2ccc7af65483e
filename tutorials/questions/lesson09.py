"""Exercises of lesson 9: a CIFAR ResNet, end to end."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(9)


def _crop(image, pad, top, left, flip, axis=1):
    h, w, _ = image.shape
    window = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))[top : top + h, left : left + w]
    return np.flip(window, axis) if flip else window


def _surest(logits, labels, count, worst_first=True):
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    sure = np.where(p.argmax(1) == labels, -1, p.max(1))
    wrong = np.flatnonzero(sure >= 0)
    order = wrong[np.argsort(sure[wrong])]
    return (order[::-1] if worst_first else order)[:count]


def _by_logit(logits, labels, count):
    sure = np.where(logits.argmax(1) == labels, -np.inf, logits.max(1))
    return np.argsort(-sure)[:count]


def _also_right(logits, labels, count):
    p = np.exp(logits - logits.max(1, keepdims=True))
    return np.argsort(-(p / p.sum(1, keepdims=True)).max(1))[:count]


IMAGE = RNG.random((6, 5, 3))
CROPS = (
    (IMAGE, 2, 0, 3, True),
    (IMAGE, 2, 4, 1, False),
    (RNG.random((4, 4, 1)), 1, 2, 0, True),
)
LOGITS = 3 * RNG.standard_normal((30, 4)) + 2 * RNG.standard_normal((30, 1))
LABELS = RNG.integers(0, 4, 30)

QUESTIONS = {
    1: Question(
        _crop,
        CROPS,
        (
            Mistake(
                "mirrored up and down; left and right are exchanged",
                lambda *given: _crop(*given, axis=0),
            ),
            Mistake(
                "never mirrored",
                lambda image, pad, top, left, flip: _crop(image, pad, top, left, False),
            ),
            Mistake(
                "cut with top and left exchanged",
                lambda image, pad, top, left, flip: _crop(image, pad, left, top, flip),
            ),
        ),
        names=("image", "pad", "top", "left", "flip"),
        parts=("the window",),
    ),
    2: Question(
        56,
        mistakes=(
            Mistake("the count without the first convolution and the linear layer", 54),
            Mistake("the number of blocks and two more; a block has two convolutions", 29),
            Mistake("the count without the linear layer", 55),
        ),
    ),
    3: Question(
        "ABCE",
        mistakes=(
            Mistake("without C: momentum would begin from zero", "ABE"),
            Mistake("without B: evaluation would use other statistics", "ACE"),
            Mistake("without E: order of images and rate depend on it", "ABC"),
            Mistake("with D: the next step computes its gradients anew", "ABCDE"),
        ),
    ),
    4: Question(
        _surest,
        ((LOGITS, LABELS, 5), (LOGITS[:12], LABELS[:12], 3)),
        (
            Mistake("by the largest logit; a probability compares it with the others", _by_logit),
            Mistake("with right predictions among them", _also_right),
            Mistake("least sure first", lambda *given: _surest(*given, worst_first=False)),
        ),
        names=("logits", "labels", "count"),
        parts=("the indices",),
    ),
    5: Question(
        100 * (0.0831 * (1 - 0.0831) / 10_000) ** 0.5,
        mistakes=(
            Mistake("the share, not percentage points", (0.0831 * (1 - 0.0831) / 10_000) ** 0.5),
            Mistake("the variance, without the root", 100 * 0.0831 * (1 - 0.0831) / 10_000),
        ),
        tolerance=0.02,
    ),
}
"""By number."""
