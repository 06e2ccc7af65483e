"""Exercises of lesson 11: CUDA C++. A kernel's answer is (fault, numbers); see the page."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(11)
X = RNG.standard_normal(150).astype("f4")
A, B = RNG.standard_normal((20, 24)).astype("f4"), RNG.standard_normal((24, 17)).astype("f4")
PARTS = ("the fault", "the numbers")


def _sums(x):
    return "no fault", np.array([x[i : i + 64].sum() for i in range(0, x.size, 64)])


def _faulty(kind, size):
    return lambda *arrays: (kind, np.zeros(size))


QUESTIONS = {
    1: Question(
        lambda x: ("no fault", x + 1),
        ((X,),),
        (
            Mistake(
                "that of a kernel without a guard, or with the guard i <= n",
                _faulty("out of bounds", 150),
            ),
            Mistake(
                "that of a guard i < n - 1: the last element is never written",
                _faulty("never written", 150),
            ),
        ),
        names=("x",),
        parts=PARTS,
        tolerance=1e-5,
    ),
    2: Question(
        (4, 8, 32, 5),
        mistakes=(
            Mistake(
                "the bytes that are wanted, in sectors; a sector is moved as a whole",
                (4, 4, 4, 4),
            ),
            Mistake(
                "right for the strides; the last request begins in the middle of a sector, so it "
                "touches one more",
                (4, 8, 32, 4),
            ),
            Mistake(
                "one that goes on with the stride: 32 lanes cannot touch more than 32 sectors",
                (4, 8, 128, 5),
            ),
            Mistake("bytes, not sectors of 32 bytes", (128, 256, 1024, 160)),
        ),
        parts=("stride 1", "stride 2", "stride 32", "stride 1, shifted"),
    ),
    3: Question(
        _sums,
        ((X,),),
        (
            Mistake(
                "that of a kernel in which threads read what others still write: put a barrier "
                "between filling s and adding",
                _faulty("race", 3),
            ),
            Mistake(
                "that of a block whose places behind n stay empty: write 0 there",
                _faulty("uninitialised", 3),
            ),
            Mistake("that of a barrier which not all threads reach", _faulty("barrier", 3)),
            Mistake(
                "that of threads which read x behind its end: guard the load",
                _faulty("out of bounds", 3),
            ),
        ),
        names=("x",),
        parts=PARTS,
        tolerance=1e-5,
    ),
    4: Question(
        (32, 1, 2, 4),
        mistakes=(
            Mistake("what rows would need; the lanes go down a column", (1, 1, 1, 1)),
            Mistake(
                "one that counts each pitch but 32 as free of conflicts; 34 and 36 have a common "
                "divisor with 32",
                (32, 1, 1, 1),
            ),
            Mistake("the other way round: 33 and 32 share no divisor", (1, 32, 16, 8)),
        ),
        parts=("pitch 32", "pitch 33", "pitch 34", "pitch 36"),
    ),
    5: Question(
        lambda a, b: ("no fault", a @ b),
        ((A, B),),
        (
            Mistake(
                "that of a tile loop with a barrier missing: one is needed before the tiles are "
                "used, one before they are overwritten",
                _faulty("race", (20, 17)),
            ),
            Mistake(
                "that of a load without guards: 20, 24 and 17 are no multiples of 16",
                _faulty("out of bounds", (20, 17)),
            ),
            Mistake(
                "that of a thread which leaves before a barrier",
                _faulty("barrier", (20, 17)),
            ),
            Mistake(
                "that of tiles with places that nobody fills: write 0 there",
                _faulty("uninitialised", (20, 17)),
            ),
            Mistake(
                "the product over the first 16 terms: the loop over tiles ends too early",
                lambda a, b: ("no fault", a[:, :16] @ b[:16]),
            ),
        ),
        names=("a", "b"),
        parts=PARTS,
        tolerance=1e-4,
    ),
}
"""By number."""
