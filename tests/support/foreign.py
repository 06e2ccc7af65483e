"""What became of a foreign suite's case: a right number, a sentence, or a fault.

An adapter translates names and layouts. It calls minires' own operations and computes nothing that
they should.
"""

import traceback
from collections import Counter
from pathlib import Path

import numpy as np

import minires
from minires import kernels

OWN = tuple(str(Path(package.__file__).parent) for package in (minires, kernels))
FAULTS = ("wrong", "inside")


class NotTried(Exception):
    """The adapter knows no such operation here."""


def refused(error: Exception) -> str:
    """ "sentence" for an error that minires raises itself, or Python at its door; else "inside"."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    if isinstance(error, AttributeError | IndexError | KeyError | AssertionError | RecursionError):
        spoken = last.line and ("raise" in last.line or "Missing" in type(error).__name__)
        if not (spoken and last.filename.startswith(OWN)):
            return "inside"
    keyword = isinstance(error, TypeError) and "argument" in str(error)
    if last.filename.startswith(OWN) and not keyword:
        raised = (last.line or "").startswith("raise") or "_wrong(" in (last.line or "")
        return "sentence" if raised else "inside"
    return "sentence" if keyword else "inside"


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
