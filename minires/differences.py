"""Numerical gradients: central differences of a number L, and the judgement on what they show.

L = sum(u * f(arrays)) for a fixed random cotangent u. Its slope along an entry x of an array is
(L(x + h) - L(x - h)) / 2h, in float64 good to about 1e-9. Where the slopes to the left and to the
right differ there is a kink, and no gradient to compare with.

See docs/own.md, "Gradients, checked".
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from minires import backend, suspects
from minires.suspects import GradcheckError, KinkError
from minires.tensor import Tensor, no_grad

FULL_LIMIT = 5000
"""mode="auto" checks every entry up to this many of them, and random directions beyond."""


@dataclass
class Problem:
    """A function whose gradients are to be checked.

    Attributes
    ----------
    call : callable
        Tensors in, one for each array; a Tensor out.
    arrays : list of array
        Where it is checked, on the host.
    names : list of str
        What reports call each array.
    checked : list of int
        Which arrays it is differentiated by; they are float64.
    leaves : callable
        Makes Tensors of arrays: ``leaves(arrays, record)``.
    case : str
        What reports call this problem, if there are several.
    """

    call: Callable[[list[Tensor]], Tensor]
    arrays: list[np.ndarray]
    names: list[str]
    checked: list[int]
    leaves: Callable[[list[np.ndarray], bool], list[Tensor]]
    case: str = ""
    y: np.ndarray = field(default_factory=lambda: np.zeros(0))
    cotangent: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def value(self) -> float:
        """L at the present arrays."""
        with no_grad():
            y = self.call(self.leaves(self.arrays, False))
        return float((y.numpy() * self.cotangent).sum())

    def start(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Draw the cotangent; returns the gradients that backward gives."""
        leaves = self.leaves(self.arrays, True)
        y = self.call(leaves)
        if not isinstance(y, Tensor):
            raise TypeError(f"gradcheck: fn must return a Tensor, but returned {type(y).__name__}")
        if not y.requires_grad:
            raise GradcheckError("gradcheck: the output does not depend on any checked input")
        self.y, self.cotangent = y.numpy().copy(), rng.standard_normal(y.shape)
        if not np.isfinite(self.y).all():
            raise GradcheckError(
                f"gradcheck: the output is not finite{self.place()}: are inputs outside of the "
                f"domain, like negative ones of a logarithm? Choose others; with shapes= give draw="
            )
        self.backward(y, self.cotangent)
        return self.gradients_of(leaves)

    def gradients(self, cotangent: np.ndarray) -> list[np.ndarray]:
        """The gradients that backward gives for another cotangent."""
        leaves = self.leaves(self.arrays, True)
        self.backward(self.call(leaves), cotangent)
        return self.gradients_of(leaves)

    def backward(self, y: Tensor, cotangent: np.ndarray) -> None:
        """Run backward; a GradcheckError if it fails."""
        try:
            y.backward(cotangent)
        except Exception as error:
            raise GradcheckError(
                f"gradcheck: backward fails{self.place()}: {type(error).__name__}: {error}"
            ) from error

    def gradients_of(self, leaves: list[Tensor]) -> list[np.ndarray]:
        """The gradients of the leaves that are checked."""
        found = []
        for i in self.checked:
            grad = leaves[i].grad
            zero = np.zeros(self.arrays[i].shape)
            found.append(zero if grad is None else backend.to_numpy(grad).copy())
        return found

    def place(self) -> str:
        """The case, as a part of a sentence."""
        return f" at {self.case}" if self.case else ""


@dataclass
class Tolerances:
    """How gradients are compared; see `gradcheck`."""

    mode: str = "auto"
    eps: float = 1e-6
    rtol: float = 1e-6
    atol: float = 1e-7
    directions: int = 4
    seed: int = 0


def compare(problem: Problem, how: Tolerances) -> list[float]:
    """Compare all gradients; returns the largest error of each checked array.

    Raises
    ------
    GradcheckError
        If gradients disagree, or cannot be compared.
    """
    rng = np.random.default_rng(how.seed)
    analytic = problem.start(rng)
    problem.arrays = [array.copy() for array in problem.arrays]
    base, terms = problem.value(), problem.y * problem.cotangent
    same = np.isclose(base, float(terms.sum()), rtol=1e-9, atol=1e-9, equal_nan=True)
    if not same or base != problem.value():
        raise GradcheckError(
            "gradcheck: fn returned different values for the same inputs; make it deterministic "
            "(for dropout call minires.seed inside fn)"
        )
    # Each L carries a round-off of about 1e-16 times its terms: no difference can do better.
    noise = 8 * np.finfo(np.float64).eps * (np.abs(terms).sum() + abs(base))
    total = sum(problem.arrays[i].size for i in problem.checked)
    probe, errors = _Probe(problem, base, noise, how), []
    for i, gradient in zip(problem.checked, analytic, strict=True):
        if how.mode == "full" or (how.mode == "auto" and total <= FULL_LIMIT):
            errors.append(_check_entries(probe, i, gradient))
        else:
            errors.append(_check_directions(probe, i, gradient, rng))
    return errors


class _Probe:
    """Numerical slopes of the loss, and the judgement on one slope."""

    def __init__(self, problem: Problem, base: float, noise: float, how: Tolerances):
        self.problem, self.base, self.noise, self.how = problem, base, noise, how

    def slopes(self, move: Callable[[float], None], h: float) -> tuple[float, float, float]:
        """(central, left, right) slope along `move`, which shifts the inputs by a multiple of h."""
        move(h)
        above = self.problem.value()
        move(-h)
        below = self.problem.value()
        move(0.0)
        return (above - below) / (2 * h), (self.base - below) / h, (above - self.base) / h

    def tolerance(self, analytic, numerical, h):
        """What an error may be."""
        largest = np.maximum(np.abs(analytic), np.abs(numerical))
        return self.how.atol + self.how.rtol * largest + self.noise / h

    def is_kink(self, move, h: float, analytic: float) -> bool:
        """Whether left and right slope still differ when the step shrinks.

        The slopes of a smooth function differ by h f'', a hundredth of it at h / 100; a kink within
        the step keeps its jump, or, if it lies between h / 100 and h, loses it altogether, and then
        the small step agrees with backward.
        """
        _, left, right = self.slopes(move, h)
        central, near_left, near_right = self.slopes(move, h / 100)
        jump, near_jump = abs(right - left), abs(near_right - near_left)
        allowed = self.tolerance(analytic, central, h / 100)
        stays = near_jump > max(0.5 * jump, 4 * allowed)
        vanishes = jump > 100 * allowed and abs(central - analytic) <= allowed
        return stays or vanishes


def _check_entries(probe: _Probe, i: int, gradient: np.ndarray) -> float:
    array, eps = probe.problem.arrays[i], probe.how.eps
    steps = eps * np.maximum(1.0, np.abs(array))
    numerical = np.zeros(array.shape)

    def mover(index):
        x = array[index]

        def move(step):
            array[index] = x + step

        return move

    for index in np.ndindex(array.shape):
        numerical[index], _, _ = probe.slopes(mover(index), float(steps[index]))
    errors = np.abs(gradient - numerical)
    excess = errors / probe.tolerance(gradient, numerical, steps)
    wrong = ~(excess <= 1)  # a NaN is wrong, too
    if wrong.any():
        worst = np.where(np.isnan(excess), np.inf, excess)
        index = tuple(int(k) for k in np.unravel_index(np.argmax(worst), array.shape))
        finding = suspects.Finding(probe.problem, i, gradient, numerical, wrong, index)
        name = probe.problem.names[i]
        _report(
            probe, f"{name}, index {index} of {array.shape}", finding, mover(index), steps[index]
        )
    return float(errors.max(initial=0))


def _check_directions(probe: _Probe, i: int, gradient: np.ndarray, rng) -> float:
    array, eps = probe.problem.arrays[i], probe.how.eps
    start, largest = array.copy(), 0.0
    for n in range(probe.how.directions):
        direction = rng.standard_normal(array.shape)
        direction /= np.sqrt((direction**2).mean())

        def move(step, direction=direction):
            array[...] = start + step * direction

        analytic = float((gradient * direction).sum())
        numerical, _, _ = probe.slopes(move, eps)
        largest = max(largest, abs(analytic - numerical))
        if not abs(analytic - numerical) <= probe.tolerance(analytic, numerical, eps):
            place = f"{probe.problem.names[i]} of shape {array.shape}, random direction {n}"
            slopes = np.array(analytic), np.array(numerical), np.array(True), ()
            finding = suspects.Finding(probe.problem, i, *slopes)
            _report(probe, place, finding, move, eps)
    return largest


def _report(probe: _Probe, place: str, finding, move, h: float) -> None:
    analytic, numerical = finding.values()
    case = f"\n    case      {probe.problem.case}" * bool(probe.problem.case)
    if probe.is_kink(move, h, analytic):
        raise KinkError(
            f"gradcheck: {place}: the function has a kink within a step of {h:.1g} (its slopes to "
            f"the left and to the right differ: ReLU near 0, or a tie in a maximum), so there is "
            f"no gradient to compare with; choose inputs away from kinks{case}"
        )
    raise GradcheckError(
        f"gradcheck: backward and numerical gradient disagree, worst at {place}:{case}\n"
        f"    backward  {analytic: .10g}\n"
        f"    numerical {numerical: .10g}\n"
        f"    hint: {suspects.hint(finding)}"
    )
