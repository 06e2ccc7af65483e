"""What became of a foreign suite's case: a right number, a sentence, or a fault.

An adapter translates names and layouts. It calls minires' own operations and computes nothing that
they should.
"""

from collections import Counter

import numpy as np

from minires.benchmarks.reliability.verdicts import refused as refused

FAULTS = ("wrong", "inside")


class NotTried(Exception):
    """The adapter knows no such operation here."""


def agrees(ours, expected, rtol: float, atol: float) -> bool:
    """Whether two arrays have one shape and the same numbers, NaN being equal to NaN."""
    ours, expected = np.asarray(ours), np.asarray(expected)
    if ours.shape != expected.shape:
        return False
    if expected.dtype.kind in "fc":
        return np.allclose(ours, expected, rtol=rtol, atol=atol, equal_nan=True)
    return bool((ours == expected).all())


class Tally:
    """Outcomes by operation, and the first faults in words."""

    def __init__(self):
        self.counts: dict[str, Counter] = {}
        self.faults: list[str] = []

    def add(self, operation: str, outcome: str, what: str = "") -> None:
        """Count one case."""
        self.counts.setdefault(operation, Counter())[outcome] += 1
        if outcome in FAULTS:
            self.faults.append(f"{operation}: {outcome}: {what}")

    def total(self, outcome: str) -> int:
        """How many cases ended so."""
        return sum(count[outcome] for count in self.counts.values())

    def __str__(self) -> str:
        outcomes = ("right", "sentence", *FAULTS, "not tried")
        return ", ".join(f"{self.total(outcome)} {outcome}" for outcome in outcomes)
