"""Suspects: what is probably wrong with a backward, found by trying it on the numbers.

Each suspect is a hypothesis of the form "what backward gives is what it would give with this
mistake". If it holds for all entries to five digits, the report names it. Nothing is guessed from
the code.

See docs/decisions/autodiff.md, "Suspects, not guesses".

    the output's gradient    left out, squared, only its first row used
    a factor                 -1, 2, the batch N, another input
    a sum                    taken as a mean, or not taken: a broadcast
    the order of entries     transposed, flipped
    normalisation            the terms of the mean and of the variance left out
    one entry                all others are right
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np


class GradcheckError(AssertionError):
    """The gradients disagree, or cannot be compared; the message holds the report."""


class KinkError(GradcheckError):
    """The function has a kink where it was checked."""


@dataclass
class Finding:
    """A gradient that is wrong.

    Attributes
    ----------
    problem : Problem
        See `minires.differences`.
    array : int
        Which of its arrays the gradient belongs to.
    analytic, numerical : array
        What backward gives, and what is right; along a random direction two numbers.
    wrong : array of bool
        Where they differ.
    index : tuple
        Where they differ most.
    """

    problem: Any
    array: int
    analytic: np.ndarray
    numerical: np.ndarray
    wrong: np.ndarray
    index: tuple

    def values(self) -> tuple[float, float]:
        """What backward gives and what is right, at the worst entry."""
        return float(self.analytic[self.index]), float(self.numerical[self.index])

    @property
    def is_whole(self) -> bool:
        """Whether every entry is known, not one slope along a direction."""
        return self.analytic.shape == self.problem.arrays[self.array].shape

    def name(self, i: int) -> str:
        """What reports call an array."""
        return self.problem.names[i]

    def slope(self, cotangent: np.ndarray) -> float:
        """The right value at the worst entry for another cotangent."""
        problem, array = self.problem, self.problem.arrays[self.array]
        x, before, values = array[self.index], problem.cotangent, []
        h = 1e-6 * max(1.0, abs(x))
        problem.cotangent = cotangent
        for step in (h, -h):
            array[self.index] = x + step
            values.append(problem.value())
        array[self.index], problem.cotangent = x, before
        return (values[0] - values[1]) / (2 * h)

    def gradient(self, cotangent: np.ndarray) -> np.ndarray:
        """What backward gives for another cotangent."""
        position = self.problem.checked.index(self.array)
        return self.problem.gradients(cotangent)[position]


def hint(finding: Finding) -> str:
    """What the numbers suggest: the first suspect that explains all of them."""
    analytic, numerical = finding.values()
    if not np.isfinite(finding.analytic).all() or not np.isfinite(finding.numerical).all():
        return "a value is not finite: look for a division by zero, a log of zero or an overflow"
    for suspect in SUSPECTS:
        if (found := suspect(finding)) is not None:
            return found
    if abs(analytic) < 1e-12:
        return "backward gives zero: is this input's gradient, or this part of it, left out?"
    if abs(numerical) < 1e-12:
        return "the output does not depend on this entry, yet backward gives it a gradient"
    ratio = analytic / numerical
    return (
        factor(ratio, finding)
        or f"their ratio is {ratio:.4g}, no simple factor: a wrong index, or a term left out?"
    )


def factor(ratio: float, finding: Finding) -> str | None:
    """A simple factor between two gradients, in words."""
    if abs(ratio + 1) < 1e-3:
        return "the sign is wrong"
    sizes: dict[int, str] = {}
    for i, array in enumerate(finding.problem.arrays):
        if array.ndim:
            sizes.setdefault(array.shape[0], f"the batch, axis 0 of {finding.name(i)}")
            rows = array.size // max(1, array.shape[-1])
            sizes.setdefault(rows, f"all axes of {finding.name(i)} but the last")
        sizes.setdefault(array.size, f"the number of entries of {finding.name(i)}")
    y = finding.problem.y
    sizes.setdefault(y.size, "the number of entries of the output")
    for number in range(2, 2049):
        size = f" ({number} is {sizes[number]})" if number in sizes else ""
        if abs(ratio - number) < 1e-3 * number:
            return (
                f"backward is {number} times too large{size}: a mean taken as a sum, a term added "
                f"twice?"
            )
        if abs(1 / ratio - number) < 1e-3 * number:
            return (
                f"backward is {number} times too small{size}: a sum taken as a mean, a broadcast "
                f"not summed, a path left out?"
            )
    return None


def _close(a, b, rtol: float = 1e-5) -> bool:
    """Whether two arrays agree to five digits, as far as differences can tell."""
    return bool(np.abs(a - b).max(initial=0) <= rtol * np.abs(b).max(initial=0) + 1e-7)


def _zero(finding: Finding) -> str | None:
    if finding.is_whole and not finding.analytic.any() and finding.analytic.size > 1:
        return "backward gives zero for every entry: is this input's gradient left out?"
    return None


def _cotangent(finding: Finding) -> str | None:
    """dy left out, or multiplied in twice."""
    u = finding.problem.cotangent
    once, twice = finding.gradient(u), finding.gradient(2 * u)
    if not once.any():
        return None
    if _close(twice, once):
        return (
            "the gradient does not depend on dy, the gradient of the output: multiply by dy (the "
            "chain rule)"
        )
    if _close(twice, 4 * once):
        return "the gradient grows with the square of dy: dy is multiplied in twice"
    return None


def _few(finding: Finding) -> str | None:
    """A single wrong entry, or wrong entries along one edge."""
    wrong = np.argwhere(finding.wrong)
    if not finding.is_whole or finding.wrong.size < 4 or 2 * len(wrong) > finding.wrong.size:
        return None
    right = finding.wrong.size - len(wrong)
    if len(wrong) == 1:
        return f"only this entry is wrong, the other {right} are right: an index at this place?"
    for axis, length in enumerate(finding.wrong.shape):
        places = set(wrong[:, axis])
        if len(places) == 1 and length > 1:
            place = int(places.pop())
            edge = ", the last one" * (place == length - 1) + ", the first one" * (place == 0)
            return (
                f"the {len(wrong)} wrong entries all have index {place} along axis {axis}{edge}; "
                f"the other {right} are right: a border, or an off-by-one?"
            )
    return None


def _factor(finding: Finding) -> str | None:
    """The same factor everywhere."""
    total = float((finding.numerical**2).sum())
    if not total:
        return None
    ratio = float((finding.analytic * finding.numerical).sum()) / total
    if ratio and _close(finding.analytic, ratio * finding.numerical):
        return factor(ratio, finding)
    return None


def _other_input(finding: Finding) -> str | None:
    """Another input as a factor: left out, or there once too often."""
    if not finding.is_whole:
        return None
    a, n = finding.analytic, finding.numerical
    for i, array in enumerate(finding.problem.arrays):
        if array.dtype.kind != "f" or not _broadcasts(array.shape, a.shape):
            continue
        if array.size == 1 and a.size == 1:
            continue
        if _close(a * array, n):
            return f"a factor is left out: times {finding.name(i)} it would be right"
        if _close(a, n * array):
            return f"{finding.name(i)} is a factor once too often"
    return None


def _order(finding: Finding) -> str | None:
    """The right numbers at the wrong places."""
    a, n = finding.analytic, finding.numerical
    if not finding.is_whole or a.ndim < 1 or a.size < 2:
        return None
    for axes in combinations(range(a.ndim), 2):
        swapped = n.swapaxes(*axes)
        if swapped.shape == a.shape and _close(a, swapped):
            return f"the gradient is transposed: axes {axes[0]} and {axes[1]} are swapped"
        if _close(a.ravel(), swapped.ravel()):
            return f"axes {axes[0]} and {axes[1]} are swapped: a reshape where a transpose belongs?"
    for count in (1, 2):
        for flipped in combinations(range(a.ndim), count):
            if _close(a, np.flip(n, flipped)):
                return f"the gradient is flipped along axis {' and '.join(map(str, flipped))}"
    return None


def _row(finding: Finding) -> str | None:
    """A sum over an axis of dy not taken: only its first or its last row counts."""
    u = finding.problem.cotangent
    given = finding.gradient(u)
    for axis, length in enumerate(u.shape):
        for place, word in ((0, "first"), (length - 1, "last")):
            if length < 2:
                continue
            only = np.zeros(u.shape)
            at = (slice(None),) * axis + (place,)
            only[at] = u[at]
            if not given.any() or not _close(finding.gradient(only), given):
                continue
            if not finding.is_whole or not _close(finding.slope(only), finding.values()[1]):
                return (
                    f"only the {word} row of dy along axis {axis} counts: a broadcast not summed "
                    f"(sum over axis {axis})?"
                )
    return None


def _normalization(finding: Finding) -> str | None:
    """The terms by which mean and variance depend on x: left out of a normalisation, or wrong.

    Without them the gradient would be c u, c for each channel. The right one is c u - mean - slope
    times x without its mean: it has no part along a constant and none along x.
    """
    x = finding.problem.arrays[finding.array]
    error = finding.analytic - finding.numerical
    if not finding.is_whole or x.ndim < 2:
        return None
    for axes in _normalized(x.ndim):
        count = int(np.prod([x.shape[axis] for axis in axes]))
        if count < 3 or x.size < 6:
            continue
        centred = x - x.mean(axes, keepdims=True)
        mean, slope = _parts(error, centred, axes)
        over = f"over axes {axes}" if len(axes) > 1 else f"over axis {axes[0]}"
        says = (
            f"as in the backward of a normalisation {over}: the mean and the variance depend on x"
        )
        for parts, words in (
            ((mean, 0 * slope), "the term of the mean"),
            ((0 * mean, slope), "the term of the variance"),
            ((mean, slope), "the terms of the mean and of the variance"),
        ):
            if _close(error, parts[0] + parts[1] * centred):
                return f"{words} {_how(finding, centred, axes, parts, count)}, {says}"
    return None


def _parts(array, centred, axes: tuple) -> tuple[np.ndarray, np.ndarray]:
    """How much of an array is constant, and how much goes with x."""
    square = (centred**2).sum(axes, keepdims=True)
    slope = (array * centred).sum(axes, keepdims=True) / square
    return array.mean(axes, keepdims=True), slope


def _how(finding: Finding, centred, axes: tuple, parts: tuple, count: int) -> str:
    """What is wrong with the terms, from how large the error is beside them."""
    u = finding.problem.cotangent
    scales = [a for a in finding.problem.arrays if _broadcasts(a.shape, centred.shape)]
    wrong = parts[0] + parts[1] * centred
    for d in (u, *(u * scale for scale in scales)) if u.shape == centred.shape else ():
        mean, slope = _parts(d, centred, axes)
        free = d - mean - slope * centred
        c = (finding.numerical * free).sum(axes, keepdims=True) / (free**2).sum(axes, keepdims=True)
        right = c * mean * parts[0].any() + c * slope * parts[1].any() * centred
        for factor, words in (
            (1, "left out"),
            (1 - count, "summed where a mean belongs"),
            (2, "added where it must be subtracted"),
        ):
            if _close(wrong, factor * right, 1e-3):  # eps is part of the variance
                return f"{'are' if parts[0].any() and parts[1].any() else 'is'} {words}"
    return "seems to be left out or wrong"


def _normalized(ndim: int) -> Iterator[tuple[int, ...]]:
    """Axes of batch norm, layer norm and instance norm."""
    yield tuple(range(ndim - 1))
    yield (ndim - 1,)
    if ndim > 2:
        yield tuple(range(1, ndim))
        yield tuple(range(1, ndim - 1))


def _broadcasts(shape: tuple, to: tuple) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


SUSPECTS: tuple[Callable[[Finding], str | None], ...] = (
    _zero,
    _cotangent,
    _factor,
    _other_input,
    _order,
    _row,
    _normalization,
    _few,
)
"""In the order in which they are tried."""
