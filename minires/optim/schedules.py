"""Learning-rate schedules: pure functions of the iteration."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from math import cos, pi

from minires.arguments import integer, members, real

Schedule = Callable[[float], float]
"""A learning-rate schedule: iteration (0, 1, ...) -> learning rate.

A pure function of the iteration, unlike PyTorch's stateful schedulers: set `opt.lr = schedule(i)`
before each step, and a resumed run needs to know nothing but i."""


def constant(lr: float) -> Schedule:
    """The same learning rate throughout."""
    lr = real("constant", "lr", lr, least=0)
    return lambda iteration: lr


def step_decay(lr: float, milestones: Iterable[float], gamma: float = 0.1) -> Schedule:
    """`lr`, multiplied by `gamma` from each milestone (an iteration) on.

    A milestone need not be whole: half of 3 iterations are the first two.

    The paper: 0.1, divided by 10 at 32,000 and 48,000 iterations (He et al. 2015, section 4.2).
    """
    lr, gamma = (real("step_decay", name, n, least=0) for name, n in (("lr", lr), ("gamma", gamma)))
    given = members("step_decay", "milestones", milestones)
    stones = sorted(real("step_decay", "a milestone", stone, least=0) for stone in given)
    return lambda iteration: lr * gamma ** bisect_right(stones, iteration)


def cosine(lr: float, total: float, final: float = 0.0) -> Schedule:
    """Half a cosine from `lr` at 0 down to `final` at `total` (Loshchilov & Hutter 2017)."""
    lr, final = (real("cosine", name, n, least=0) for name, n in (("lr", lr), ("final", final)))
    total = real("cosine", "total", total, above=0)

    def schedule(iteration: float) -> float:
        progress = min(iteration / total, 1.0)
        return final + (lr - final) * (1 + cos(pi * progress)) / 2

    return schedule


def one_cycle(lr: float, total: float, peak_at: float = 0.3, start: float = 0.04) -> Schedule:
    """Linear from `start * lr` up to `lr` at `peak_at * total`, then a cosine down to 0 at `total`.

    After Smith & Topin 2018, "Super-Convergence".
    """
    lr = real("one_cycle", "lr", lr, least=0)
    peak = real("one_cycle", "peak_at", peak_at, least=0, most=1)
    start = real("one_cycle", "start", start, least=0, most=1)
    peak *= real("one_cycle", "total", total, above=0)
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
    lr = real("warm_up", "lr", lr, least=0)
    first = integer("warm_up", "iterations", iterations, least=0)
    return lambda iteration: lr if iteration < first else schedule(iteration)
