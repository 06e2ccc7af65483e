"""Learning-rate schedules: pure functions of the iteration."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from math import cos, pi

Schedule = Callable[[float], float]
"""A learning-rate schedule: iteration (0, 1, ...) -> learning rate.

A pure function of the iteration, unlike PyTorch's stateful schedulers: set `opt.lr = schedule(i)`
before each step, and a resumed run needs to know nothing but i."""


def constant(lr: float) -> Schedule:
    """The same learning rate throughout."""
    return lambda iteration: lr


def step_decay(lr: float, milestones: Iterable[int], gamma: float = 0.1) -> Schedule:
    """`lr`, multiplied by `gamma` from each milestone (an iteration) on.

    The paper: 0.1, divided by 10 at 32,000 and 48,000 iterations (He et al. 2015, section 4.2).
    """
    milestones = sorted(milestones)
    return lambda iteration: lr * gamma ** bisect_right(milestones, iteration)


def cosine(lr: float, total: float, final: float = 0.0) -> Callable[[float], float]:
    """Half a cosine from `lr` at 0 down to `final` at `total` (Loshchilov & Hutter 2017)."""
    if not total > 0:
        raise ValueError(f"cosine: total must be above 0, but is {total}")

    def schedule(iteration: float) -> float:
        progress = min(iteration / total, 1.0)
        return final + (lr - final) * (1 + cos(pi * progress)) / 2

    return schedule


def one_cycle(lr: float, total: int, peak_at: float = 0.3, start: float = 0.04) -> Schedule:
    """Linear from `start * lr` up to `lr` at `peak_at * total`, then a cosine down to 0 at `total`.

    After Smith & Topin 2018, "Super-Convergence".
    """
    peak = peak_at * total
    fall = cosine(lr, max(total - peak, 1))

    def schedule(iteration: float) -> float:
        if iteration < peak:
            return lr * (start + (1 - start) * iteration / peak)
        return fall(iteration - peak)

    return schedule


def warm_up(schedule: Schedule, iterations: int, lr: float) -> Schedule:
    """A constant, small `lr` for the first `iterations`, then `schedule` as if they had not been.

    The paper warms ResNet-110 up with 0.01 for about 400 iterations (He et al. 2015, section 4.2).
    """
    return lambda iteration: lr if iteration < iterations else schedule(iteration)
