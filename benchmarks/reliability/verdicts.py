"""Whose exception it is: minires' own sentence, Python's at its door, or one from inside."""

import traceback
from pathlib import Path

import minires
from minires import kernels

OWN = tuple(str(Path(package.__file__).parent) for package in (minires, kernels))


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
