"""Exercises of lesson 10: threads and blocks. An answer is (faults, numbers); see the page."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(10)
X = RNG.standard_normal(50).astype("f4")
IMAGE, ROW = RNG.standard_normal((5, 9)).astype("f4"), RNG.standard_normal(9).astype("f4")
LONG = RNG.standard_normal(40).astype("f4")
PARTS = ("the faults", "y")


def _clean(y):
    return "no fault", y


def _faulty(kind, size):
    return lambda *arrays: (kind, np.zeros(size))


def _without_last(y):
    return np.where(np.arange(y.size) < y.size - 1, y, 0)


def _sums(x):
    return np.array([x[i : i + 16].sum() for i in range(0, x.size, 16)])


def _differences(x):
    return np.append(x[1:] - x[:-1], 0)


QUESTIONS = {
    1: Question(
        (8, 24),
        mistakes=(
            Mistake("from a division that rounds down: 104 elements would have no thread", (7, 0)),
            Mistake("right in the blocks; the idle threads are those behind element 999", (8, 104)),
            Mistake("a block for each warp; a block has 128 threads here", (32, 24)),
        ),
        parts=("blocks", "idle threads"),
    ),
    2: Question(
        lambda x: _clean(2 * x + 1),
        ((X,),),
        (
            Mistake(
                "that of a kernel without a guard: the last block has more threads than there are "
                "elements left",
                _faulty("out of bounds", 50),
            ),
            Mistake(
                "that of a kernel in which all blocks work on the same elements: threadIdx.x "
                "counts within a block, cuda.grid(1) counts through all of them",
                _faulty("race between blocks", 50),
            ),
            Mistake(
                "that of a guard one too strict: the last element is left out",
                lambda x: _clean(_without_last(2 * x + 1)),
            ),
        ),
        names=("x",),
        parts=PARTS,
        tolerance=1e-5,
    ),
    3: Question(
        lambda x, b: _clean(x + b),
        ((IMAGE, ROW),),
        (
            Mistake(
                "that of a kernel that takes the first axis of threads for rows: the grid has "
                "columns there, so the last columns get no thread",
                lambda x, b: _clean(np.where(np.arange(9) < 8, x + b, 0)),
            ),
            Mistake("that of a kernel without a guard in both axes", _faulty("out of bounds", 45)),
            Mistake(
                "a sum with b[i]; each column has its own b",
                lambda x, b: _clean(x + b[:5, None]),
            ),
        ),
        names=("x", "b"),
        parts=PARTS,
        tolerance=1e-5,
    ),
    4: Question(
        lambda x: _clean(_sums(x)),
        ((LONG,),),
        (
            Mistake(
                "that of a block whose threads read what others have not written yet: a barrier "
                "is missing",
                _faulty("race", 3),
            ),
            Mistake(
                "that of a block with empty places: threads behind the end must write a 0",
                _faulty("uninitialised", 3),
            ),
            Mistake(
                "that of a barrier inside an if: all threads of a block must reach it",
                _faulty("barrier", 3),
            ),
            Mistake(
                "that of threads which read x behind its end: guard the load, write 0 there",
                _faulty("out of bounds", 3),
            ),
            Mistake(
                "the first element of each part, with nothing added", lambda x: _clean(x[::16])
            ),
        ),
        names=("x",),
        parts=PARTS,
        tolerance=1e-5,
    ),
    5: Question(
        lambda x: _clean(_differences(x)),
        ((LONG,),),
        (
            Mistake(
                "that of the kernel as it was: the barrier is still inside the if",
                _faulty("barrier", 40),
            ),
            Mistake(
                "that of a kernel without the barrier: now nobody waits for the neighbour",
                _faulty("race", 40),
            ),
            Mistake(
                "that of a kernel whose last thread has no neighbour in s: place 16 is not filled",
                _faulty("uninitialised", 40),
            ),
        ),
        names=("x",),
        parts=PARTS,
        tolerance=1e-5,
    ),
}
"""By number."""
