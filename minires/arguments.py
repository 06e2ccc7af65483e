"""Numbers that a caller gives, looked at: each comes back as Python's own, or a sentence names it.

    steps = integer("warmup", "steps", steps, least=0)
    momentum = real("SGD", "momentum", momentum, least=0, most=1)

A 0-d array or NumPy's scalar of the right kind is such a number, a bool is not one. A wrong kind is
a TypeError, a wrong value a ValueError.
"""

import operator

import numpy as np


def integer(where: str, name: str, value, least: int | None = None, most: int | None = None) -> int:
    """`value` as an int, from `least` to `most`; 2.0 is no integer."""
    expected = "an integer" + _bounds(least, None, most)
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise _wrong(TypeError, where, name, expected, value) from None
    if not _within(number, least, None, most):
        raise _wrong(ValueError, where, name, expected, value)
    return number


def real(
    where: str,
    name: str,
    value,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """`value` as a float: finite, and within these bounds."""
    expected = "a finite number" + _bounds(least, above, most, below)
    kind = np.asarray(value).dtype.kind if np.ndim(value) == 0 else "not one number"
    if kind not in ("i", "u", "f"):
        raise _wrong(TypeError, where, name, expected, value)
    number = float(value)
    if not (np.isfinite(number) and _within(number, least, above, most, below)):
        raise _wrong(ValueError, where, name, expected, value)
    return number


def flag(where: str, name: str, value) -> bool:
    """`value` as a bool: True or False, nothing that merely counts as one."""
    if not isinstance(value, bool | np.bool_):
        raise _wrong(TypeError, where, name, "True or False", value)
    return bool(value)


def _within(number, least, above, most, below=None) -> bool:
    at_least = (least is None or number >= least) and (above is None or number > above)
    return at_least and (most is None or number <= most) and (below is None or number < below)


def _bounds(least, above, most, below=None) -> str:
    said = [("at least", least), ("more than", above), ("at most", most), ("less than", below)]
    parts = [f"{words} {bound}" for words, bound in said if bound is not None]
    return ", " + " and ".join(parts) if parts else ""


def _wrong(kind: type[Exception], where: str, name: str, expected: str, value) -> Exception:
    text = repr(value)
    text = text if len(text) <= 80 else text[:77] + "..."
    return kind(f"{where}: {name} must be {expected}, but is {text}")
