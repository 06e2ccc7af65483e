"""gradcheck: compare backward with numerical gradients.

For a function f of some inputs and a fixed random cotangent u, the number L = sum(u * f(inputs))
has one gradient, computed twice: by `backward`, and by central differences
(L(x + h) - L(x - h)) / 2h. A *random* cotangent matters: the plain sum of a batch norm's output,
for one, does not depend on its input at all, so u = 1 would pass almost any backward.

In float64 central differences are good to about 1e-9; what differs by more than 1e-6 is a bug.
Except at a kink (ReLU at 0, max pooling with a tie), where there is no gradient to compare with:
kinks are noticed by their one-sided slopes and reported as such.
"""

from collections.abc import Callable, Sequence

import numpy as np

from minires import backend
from minires.tensor import Tensor, as_tensor, no_grad

FULL_LIMIT = 5000
"""mode="auto" checks every entry up to this many of them, and random directions beyond."""


class GradcheckError(AssertionError):
    """The gradients disagree, or cannot be compared; the message holds the report."""


def gradcheck(
    fn: Callable,
    inputs: Tensor | Sequence,
    *,
    mode: str = "auto",
    eps: float = 1e-6,
    rtol: float = 1e-6,
    atol: float = 1e-7,
    directions: int = 4,
    seed: int = 0,
) -> bool:
    """Check the backward of `fn` at `inputs` against numerical gradients.

    Parameters
    ----------
    fn : callable
        Tensors in, one Tensor of any shape out; deterministic.
    inputs : Tensor, or sequence of Tensor or array, float64
        The arguments of `fn`. Checked are the Tensors that require a gradient (all of them, if
        none does); integer inputs are handed on as they are.
    mode : "auto", "full" or "directional"
        "full" differentiates by every entry (2 calls of `fn` each) and names the worst; for big
        inputs "directional" differentiates each input along `directions` random directions.
    eps : float
        The step h, relative to max(1, |x|) in full mode.
    rtol, atol : float
        Allowed is |backward - numerical| <= atol + rtol * max(|backward|, |numerical|), and on top
        of it the round-off of the differences.
    seed : int
        Seed of the cotangent and the directions.

    Returns
    -------
    bool
        True. A failed check raises.

    Raises
    ------
    GradcheckError
        If gradients disagree: the report names the worst entry, its index, both values and what
        the ratio suggests. If an input lies at a kink. If `fn` is not deterministic.
    TypeError, ValueError
        If an input is not float64, nothing needs a gradient, or `mode` is unknown.
    """
    if mode not in ("auto", "full", "directional"):
        raise ValueError(f"gradcheck: mode is auto, full or directional, but is {mode!r}")
    tensors = _prepare(inputs)
    checked = [i for i, tensor in enumerate(tensors) if tensor.requires_grad]
    rng = np.random.default_rng(seed)

    y = fn(*tensors)
    if not isinstance(y, Tensor):
        raise TypeError(f"gradcheck: fn must return a Tensor, but returned {type(y).__name__}")
    if not y.requires_grad:
        raise GradcheckError("gradcheck: the output does not depend on any checked input")
    cotangent = rng.standard_normal(y.shape)
    y.backward(cotangent)
    analytic = [_gradient(tensors[i]) for i in checked]
    arrays = [tensor.numpy().copy() for tensor in tensors]

    def loss() -> float:
        with no_grad():
            out = fn(*(Tensor(backend.asarray(array)) for array in arrays))
        return float((out.numpy() * cotangent).sum())

    base = loss()
    expected = float((y.numpy() * cotangent).sum())
    if not np.isclose(base, expected, rtol=1e-9, atol=1e-9, equal_nan=True) or base != loss():
        raise GradcheckError(
            "gradcheck: fn returned different values for the same inputs; make it deterministic "
            "(for dropout call minires.seed inside fn)"
        )
    # Each L carries a round-off of about 1e-16 times its terms: no difference can do better.
    noise = 8 * np.finfo(np.float64).eps * (np.abs(y.numpy() * cotangent).sum() + abs(base))
    total = sum(arrays[i].size for i in checked)
    probe = _Probe(loss, base, noise, rtol, atol)
    for i, gradient in zip(checked, analytic, strict=True):
        if mode == "full" or (mode == "auto" and total <= FULL_LIMIT):
            _check_entries(probe, i, arrays[i], gradient, eps)
        else:
            _check_directions(probe, i, arrays[i], gradient, eps, directions, rng)
    return True


def _prepare(inputs) -> list[Tensor]:
    """Fresh leaf Tensors; those to be checked require a gradient."""
    inputs = inputs if isinstance(inputs, list | tuple) else (inputs,)
    given = [as_tensor(value) for value in inputs]
    some = any(tensor.requires_grad for tensor in given)
    tensors = []
    for i, tensor in enumerate(given):
        check = tensor.dtype.kind == "f" and (tensor.requires_grad or not some)
        if check and tensor.dtype != np.float64:
            raise TypeError(
                f"gradcheck: input {i} is {tensor.dtype}; numerical gradients need float64 (in "
                f"float32 round-off hides all but gross errors): pass array.astype(np.float64)"
            )
        tensors.append(Tensor(backend.asarray(tensor.numpy().copy()), requires_grad=check))
    if not any(tensor.requires_grad for tensor in tensors):
        raise ValueError("gradcheck: there is no floating input to differentiate by")
    return tensors


def _gradient(tensor: Tensor) -> np.ndarray:
    return np.zeros(tensor.shape) if tensor.grad is None else backend.to_numpy(tensor.grad)


class _Probe:
    """Numerical slopes of the loss, and the judgement on one slope."""

    def __init__(self, loss, base, noise, rtol, atol):
        self.loss, self.base, self.noise, self.rtol, self.atol = loss, base, noise, rtol, atol

    def slopes(self, move: Callable[[float], None], h: float) -> tuple[float, float, float]:
        """(central, left, right) slope along `move`, which shifts the inputs by a multiple of h."""
        move(h)
        above = self.loss()
        move(-h)
        below = self.loss()
        move(0.0)
        return (above - below) / (2 * h), (self.base - below) / h, (above - self.base) / h

    def tolerance(self, analytic: float, numerical: float, h: float) -> float:
        return self.atol + self.rtol * max(abs(analytic), abs(numerical)) + self.noise / h

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


def _check_entries(probe: _Probe, i: int, array, gradient, eps: float) -> None:
    worst = None
    for index in np.ndindex(array.shape):
        x = array[index]
        h = eps * max(1.0, abs(x))

        def move(step, index=index, x=x):
            array[index] = x + step

        analytic = float(gradient[index])
        numerical, _, _ = probe.slopes(move, h)
        allowed = probe.tolerance(analytic, numerical, h)
        excess = abs(analytic - numerical) / allowed
        if not excess <= 1 and (worst is None or not excess <= worst[0]):
            worst = (excess, index, analytic, numerical, move, h)
    if worst is not None:
        _, index, analytic, numerical, move, h = worst
        _report(probe, f"input {i}, index {index} of {array.shape}", analytic, numerical, move, h)


def _check_directions(probe: _Probe, i: int, array, gradient, eps: float, count: int, rng) -> None:
    start = array.copy()
    for n in range(count):
        direction = rng.standard_normal(array.shape)
        direction /= np.sqrt((direction**2).mean())

        def move(step, direction=direction):
            array[...] = start + step * direction

        analytic = float((gradient * direction).sum())
        numerical, _, _ = probe.slopes(move, eps)
        if not abs(analytic - numerical) <= probe.tolerance(analytic, numerical, eps):
            place = f"input {i} of shape {array.shape}, random direction {n}"
            _report(probe, place, analytic, numerical, move, eps)


def _report(probe: _Probe, place: str, analytic: float, numerical: float, move, h: float) -> None:
    if probe.is_kink(move, h, analytic):
        raise GradcheckError(
            f"gradcheck: {place}: the function has a kink within a step of {h:.1g} (its slopes to "
            f"the left and to the right differ: ReLU near 0, or a tie in a maximum), so there is "
            f"no gradient to compare with; choose inputs away from kinks"
        )
    raise GradcheckError(
        f"gradcheck: backward and numerical gradient disagree, worst at {place}:\n"
        f"    backward  {analytic: .10g}\n"
        f"    numerical {numerical: .10g}\n"
        f"    hint: {_hint(analytic, numerical)}"
    )


def _hint(analytic: float, numerical: float) -> str:
    """What the two values suggest."""
    if not np.isfinite(analytic) or not np.isfinite(numerical):
        return "a value is not finite: look for a division by zero, a log of zero or an overflow"
    if abs(analytic) < 1e-12:
        return "backward gives zero: is this input's gradient, or this part of it, left out?"
    if abs(numerical) < 1e-12:
        return "the output does not depend on this entry, yet backward gives it a gradient"
    ratio = analytic / numerical
    if abs(ratio + 1) < 1e-3:
        return "the sign is wrong"
    for factor in range(2, 2049):
        if abs(ratio - factor) < 1e-3 * factor:
            return (
                f"backward is {factor} times too large: a mean taken as a sum, a term added twice?"
            )
        if abs(1 / ratio - factor) < 1e-3 * factor:
            return f"backward is {factor} times too small: a broadcast not summed, a path left out?"
    return f"their ratio is {ratio:.4g}, no simple factor: a wrong index, or a term left out?"
