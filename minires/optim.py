"""Stochastic gradient descent, learning-rate schedules, gradient clipping."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from math import cos, pi, sqrt

from minires import backend
from minires.cuda import graph
from minires.nn import Module, Parameter
from minires.tensor import Tensor

Schedule = Callable[[int], float]
"""A learning-rate schedule: iteration (0, 1, ...) -> learning rate.

A pure function of the iteration, unlike PyTorch's stateful schedulers: set `opt.lr = schedule(i)`
before each step, and a resumed run needs to know nothing but i."""


class SGD:
    """Stochastic gradient descent with momentum, Nesterov's variant and weight decay.

    The update, as in PyTorch, stands in `kernels/sgd`.

    Parameters
    ----------
    params : Module or iterable of Parameter
        A Module's parameters, or a list of them.
    lr : float
        Learning rate; the attribute `lr` may be set between steps. It may also be an array () of
        float64 on the current backend, for a step that is captured as a graph: every replay reads
        the rate that it then holds.
    momentum, weight_decay : float
    nesterov : bool
        Needs momentum > 0.
    decay_norm_bias : bool
        False spares batch norm's scale and shift and all biases (the parameters with one axis)
        from weight decay. The paper, like PyTorch, decays all.
    """

    def __init__(
        self,
        params: Module | Iterable[Parameter],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        nesterov: bool = False,
        decay_norm_bias: bool = True,
    ):
        self.params = _listed("SGD", params)
        if not self.params:
            raise ValueError("SGD: there are no parameters to optimise")
        settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        for name, value in settings.items():
            if not value >= 0:
                raise ValueError(f"SGD: {name} must not be negative, but is {value}")
        if len({id(parameter) for parameter in self.params}) < len(self.params):
            raise ValueError("SGD: a parameter is listed twice and would be updated twice")
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self.lr, self.momentum, self.nesterov = lr, momentum, nesterov
        self.weight_decays = [
            weight_decay if decay_norm_bias or parameter.ndim > 1 else 0.0
            for parameter in self.params
        ]
        self.velocities = [backend.xp().zeros_like(parameter.data) for parameter in self.params]

    def step(self, scaling=None) -> None:
        """Update all parameters that have a gradient.

        `scaling` is the `state` of a `minires.amp.GradScaler` that has seen the gradients.
        """
        active = [i for i, parameter in enumerate(self.params) if parameter.grad is not None]
        backend.kernel("sgd").update(
            [self.params[i].data for i in active],
            [self.params[i].grad for i in active],
            [self.velocities[i] for i in active],
            self.lr,
            self.momentum,
            [self.weight_decays[i] for i in active],
            self.nesterov,
            scaling,
        )

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.params:
            parameter.grad = None


def clip_grad_norm(params: Module | Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients together so that their joint Euclidean norm is at most `max_norm`.

    Returns
    -------
    float
        The norm before clipping.
    """
    graph.refuse("clip_grad_norm, which reads the norm on the host")
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm: max_norm must not be negative, but is {max_norm}")
    params = _listed("clip_grad_norm", params)
    gradients = [parameter.grad for parameter in params if parameter.grad is not None]
    norm = sqrt(float(sum((g * g).sum(dtype="f8") for g in gradients)))
    if norm > max_norm:
        for gradient in gradients:
            gradient *= max_norm / norm
    return norm


def _listed(name: str, params: Module | Iterable[Parameter]) -> list[Parameter]:
    if isinstance(params, Tensor):
        raise TypeError(f"{name}: params must be a Module or a list of Parameters, not one Tensor")
    return params.parameters() if isinstance(params, Module) else list(params)


def constant(lr: float) -> Schedule:
    """The same learning rate throughout."""
    return lambda iteration: lr


def step_decay(lr: float, milestones: Iterable[int], gamma: float = 0.1) -> Schedule:
    """`lr`, multiplied by `gamma` from each milestone (an iteration) on.

    The paper: 0.1, divided by 10 at 32,000 and 48,000 iterations (He et al. 2015, section 4.2).
    """
    milestones = sorted(milestones)
    return lambda iteration: lr * gamma ** bisect_right(milestones, iteration)


def cosine(lr: float, total: int, final: float = 0.0) -> Schedule:
    """Half a cosine from `lr` at 0 down to `final` at `total` (Loshchilov & Hutter 2017)."""
    if not total > 0:
        raise ValueError(f"cosine: total must be above 0, but is {total}")

    def schedule(iteration: int) -> float:
        progress = min(iteration / total, 1.0)
        return final + (lr - final) * (1 + cos(pi * progress)) / 2

    return schedule


def one_cycle(lr: float, total: int, peak_at: float = 0.3, start: float = 0.04) -> Schedule:
    """Linear from `start * lr` up to `lr` at `peak_at * total`, then a cosine down to 0 at `total`.

    After Smith & Topin 2018, "Super-Convergence".
    """
    peak = peak_at * total
    fall = cosine(lr, max(total - peak, 1))

    def schedule(iteration: int) -> float:
        if iteration < peak:
            return lr * (start + (1 - start) * iteration / peak)
        return fall(iteration - peak)

    return schedule


def warm_up(schedule: Schedule, iterations: int, lr: float) -> Schedule:
    """A constant, small `lr` for the first `iterations`, then `schedule` as if they had not been.

    The paper warms ResNet-110 up with 0.01 for about 400 iterations (He et al. 2015, section 4.2).
    """
    return lambda iteration: lr if iteration < iterations else schedule(iteration)
