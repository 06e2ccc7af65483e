"""PyTorch's schedulers: objects that set the rates of an optimizer at every `step()`.

Each is a pure function of the number of steps so far, applied to the rates that the groups had when
the scheduler was made. Where one rate for all groups is enough, a function of `schedules` does the
same: `sgd.lr = schedule(iteration)`.

>>> scheduler = optim.lr_scheduler.StepLR(sgd, step_size=30)
>>> for epoch in range(90):
...     train_one_epoch()
...     scheduler.step()
"""

from collections.abc import Callable, Iterable, Sequence
from math import cos, inf, pi

from minires.arguments import integer, real
from minires.hints import asked_in
from minires.optim.optimizer import Optimizer
from minires.optim.schedules import one_cycle, step_decay


class LRScheduler:
    """The base: `rate(base, epoch)` is the learning rate of a group after `epoch` steps.

    Attributes
    ----------
    base_lrs : list of float
        The groups' rates when the scheduler was made.
    last_epoch : int
        How many steps there were.
    """

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: the first argument is an optimizer, but this is a "
                f"{type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self.base_lrs = [float(group["lr"]) for group in optimizer.groups]
        self.last_epoch = 0
        self._set()

    def rate(self, base: float, epoch: int) -> float:
        """The learning rate after `epoch` steps of a group that began with `base`."""
        raise NotImplementedError

    def step(self) -> None:
        """Count one more step and set the rates."""
        self.last_epoch += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The rates of all groups."""
        return [group["lr"] for group in self.optimizer.groups]

    def state_dict(self) -> dict:
        """What `load_state_dict` needs to go on."""
        return {"base_lrs": list(self.base_lrs), "last_epoch": self.last_epoch}

    def load_state_dict(self, state: dict) -> None:
        """Go on from another scheduler's `state_dict`."""
        where, groups = f"{type(self).__name__}.load_state_dict", len(self.optimizer.groups)
        rates = [real(where, "a rate", rate, least=0) for rate in state["base_lrs"]]
        if len(rates) != groups:
            raise ValueError(f"{where}: the state has {len(rates)} rates for {groups} groups")
        self.last_epoch = integer(where, "last_epoch", state["last_epoch"], least=0)
        self.base_lrs = rates
        self._set()

    def _set(self) -> None:
        for group, base in zip(self.optimizer.groups, self.base_lrs, strict=True):
            group["lr"] = float(self.rate(base, self.last_epoch))


class LambdaLR(LRScheduler):
    """The base rate times `lr_lambda(epoch)`; a list has one function for each group."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable | Sequence[Callable]):
        groups = len(optimizer.groups)
        many = list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * groups
        if len(many) != groups or not all(map(callable, many)):
            raise ValueError(f"LambdaLR: lr_lambda must be a function, or one for each of {groups}")
        self.lr_lambdas = many
        super().__init__(optimizer)

    def _set(self) -> None:
        several = zip(self.optimizer.groups, self.base_lrs, self.lr_lambdas, strict=True)
        for group, base, factor in several:
            group["lr"] = real("LambdaLR", "a rate", base * factor(self.last_epoch), least=0)


class MultiStepLR(LRScheduler):
    """The base rate, multiplied by `gamma` from each milestone on."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1):
        self._schedule = step_decay(1.0, milestones, gamma)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        return base * self._schedule(epoch)


class StepLR(LRScheduler):
    """The base rate, multiplied by `gamma` every `step_size` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        self.step_size = integer("StepLR", "step_size", step_size, least=1)
        self.gamma = real("StepLR", "gamma", gamma, least=0)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        return base * self.gamma ** (epoch // self.step_size)


class ExponentialLR(LRScheduler):
    """The base rate, multiplied by `gamma` at every step."""

    def __init__(self, optimizer: Optimizer, gamma: float):
        self.gamma = real("ExponentialLR", "gamma", gamma, least=0)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        return base * self.gamma**epoch


class ConstantLR(LRScheduler):
    """The base rate times `factor` for the first `total_iters` steps, then the base rate."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5):
        self.factor = real("ConstantLR", "factor", factor, least=0, most=1)
        self.total_iters = integer("ConstantLR", "total_iters", total_iters, least=0)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        return base * (self.factor if epoch < self.total_iters else 1.0)


class LinearLR(LRScheduler):
    """The base rate times a factor that goes evenly from `start_factor` to `end_factor`."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ):
        self.start = real("LinearLR", "start_factor", start_factor, above=0, most=1)
        self.end = real("LinearLR", "end_factor", end_factor, least=0, most=1)
        self.total_iters = integer("LinearLR", "total_iters", total_iters, least=1)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        share = min(epoch / self.total_iters, 1.0)
        return base * (self.start + (self.end - self.start) * share)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the base rate to `eta_min` at `T_max`, and back, and so on.

    Loshchilov & Hutter 2017, equation 5, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):  # noqa: N803
        self.T_max = integer("CosineAnnealingLR", "T_max", T_max, least=1)
        self.eta_min = real("CosineAnnealingLR", "eta_min", eta_min, least=0)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + cos(pi * epoch / self.T_max)) / 2


class OneCycleLR(LRScheduler):
    """Up to `max_lr` and down to 0: `schedules.one_cycle`, a step for each batch.

    Unlike PyTorch's it is linear on the way up, begins at 4 % and ends at 0, and leaves the
    momentum as it is.
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float, total_steps: int, pct_start: float = 0.3
    ):
        self._schedule = one_cycle(max_lr, total_steps, pct_start)
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        return self._schedule(epoch)


class ReduceLROnPlateau:
    """Multiplies all rates by `factor` when `step(metric)` has seen no better one for `patience`.

    `mode` "min": smaller is better, by more than `threshold` of the best; "max": larger.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        min_lr: float = 0.0,
    ):
        where = type(self).__name__
        if mode not in ("min", "max"):
            raise ValueError(f"{where}: mode must be 'min' or 'max', but is {mode!r}")
        self.optimizer, self.mode = optimizer, mode
        self.factor = real(where, "factor", factor, least=0, below=1)
        self.patience = integer(where, "patience", patience, least=0)
        self.threshold = real(where, "threshold", threshold, least=0)
        self.min_lr = real(where, "min_lr", min_lr, least=0)
        self.best, self.bad_epochs = inf, 0

    def step(self, metric: float) -> None:
        """Look at the measure of one more epoch."""
        value = real(type(self).__name__, "metric", float(metric))
        value = value if self.mode == "min" else -value
        margin = 0.0 if self.best == inf else self.threshold * abs(self.best)
        if value < self.best - margin:
            self.best, self.bad_epochs = value, 0
            return
        self.bad_epochs += 1
        if self.bad_epochs > self.patience:
            for group in self.optimizer.groups:
                group["lr"] = max(group["lr"] * self.factor, self.min_lr)
            self.bad_epochs = 0

    def get_last_lr(self) -> list[float]:
        """The rates of all groups."""
        return [group["lr"] for group in self.optimizer.groups]


__getattr__ = asked_in("lr_scheduler")
