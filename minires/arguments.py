"""Numbers that a caller gives, looked at: each comes back as Python's own, or a sentence names it.

    steps = integer("warmup", "steps", steps, least=0)
    momentum = real("SGD", "momentum", momentum, least=0, most=1)

A 0-d array or NumPy's scalar of the right kind is such a number, a bool is not one. A wrong kind is
a TypeError, a wrong value a ValueError.
"""

import operator
from math import isfinite

import numpy as np


def integer(where: str, name: str, value, least: int | None = None, most: int | None = None) -> int:
    """`value` as an int, from `least` to `most`; 2.0 is no integer."""
    kind: type[Exception] = TypeError
    if not isinstance(value, bool | np.bool_):
        try:
            number = operator.index(value)
            if _within(number, least, None, most):
                return number
            kind = ValueError
        except TypeError:
            pass
    raise _wrong(kind, where, name, "an integer" + _bounds(least, None, most), value)


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
    kind: type[Exception] = TypeError
    if type(value) is float or _is_one_number(value):  # the first, since training steps ask here
        number = float(value)
        if isfinite(number) and _within(number, least, above, most, below):
            return number
        kind = ValueError
    bounds = _bounds(least, above, most, below)
    raise _wrong(kind, where, name, "a finite number" + bounds, value)


def flag(where: str, name: str, value) -> bool:
    """`value` as a bool: True or False, nothing that merely counts as one."""
    if not isinstance(value, bool | np.bool_):
        raise _wrong(TypeError, where, name, "True or False", value)
    return bool(value)


def choice(where: str, name: str, value, *known: str | None) -> str | None:
    """`value`, which must be one of the `known` words (or None, if that is one of them)."""
    if isinstance(value, str | None) and value in known:
        return value
    *others, last = map(repr, known)
    kind = ValueError if isinstance(value, str | None) else TypeError
    raise _wrong(kind, where, name, f"{', '.join(others)} or {last}" if others else last, value)


def data_type(where: str, value) -> np.dtype:
    """`value` as a dtype: np.float64, "float64", a Python type of numbers."""
    try:
        return np.dtype(value)
    except (TypeError, ValueError, SyntaxError):
        raise _wrong(TypeError, where, "dtype", "a dtype, such as np.float64", value) from None


def members(where: str, name: str, value) -> list:
    """`value`, something that can be iterated, as a list."""
    try:
        return list(value)
    except TypeError:
        raise _wrong(TypeError, where, name, "a list", value) from None


def _is_one_number(value) -> bool:
    if isinstance(value, list | tuple | str | bytes) or np.ndim(value):
        return False
    return np.asarray(value).dtype.kind in ("i", "u", "f")


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
