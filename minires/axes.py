"""Axes and lengths that a caller names, as Python ints; or a sentence says what is wrong."""

from collections.abc import Sequence

from minires.arguments import integer


def axis(op: str, value, ndim: int) -> int:
    """One axis of a tensor with `ndim` axes; -1 is the last one."""
    number = integer(op, "axis", value)
    if not -ndim <= number < ndim:
        raise ValueError(
            f"{op}: axis {number} is out of range for a tensor with {ndim} axes"
            + (f" (from {-ndim} to {ndim - 1})" if ndim else "")
        )
    return number % ndim


def axes(op: str, value, ndim: int) -> tuple[int, ...]:
    """One or several distinct axes; None stands for all."""
    if value is None:
        return tuple(range(ndim))
    named = value if isinstance(value, tuple | list) else (value,)
    found = tuple(axis(op, one, ndim) for one in named)
    if len(set(found)) < len(found):
        raise ValueError(f"{op}: axis {value} names an axis twice")
    return found


def lengths(op: str, numbers: Sequence) -> tuple[int, ...]:
    """The ints of `f(2, 3)` or of `f((2, 3))`."""
    alone = len(numbers) == 1 and isinstance(numbers[0], tuple | list)
    return tuple(integer(op, "a length", n) for n in (numbers[0] if alone else numbers))
