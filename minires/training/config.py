"""The settings of a training run, and what follows from them. The defaults are the paper's.

See docs/decisions/training.md, "Recompute or CUDA graph".
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from minires import data, extensions, models, optim
from minires.cuda import HALF
from minires.nn import Module
from minires.training.nonfinite import ON_NAN
from minires.training.settings import Settings

PAPER_STEPS = 64_000  # He et al. 2015, section 4.2
PAPER_WARM_UP_LR = 0.01  # for ResNet-110, ibidem
ADAM = {"lr": 1e-3, "betas": (0.9, 0.999)}
OPTIMIZERS: dict[str, tuple[type[optim.Optimizer], dict]] = {
    "sgd": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 1e-4}),
    "adam": (optim.Adam, ADAM | {"weight_decay": 0.0}),
    "adamw": (optim.AdamW, ADAM | {"weight_decay": 0.01}),
}
"""By the names of `minires train --optimizer`: the method, and its settings unless a run says
others. SGD's are the paper's, Adam's and AdamW's those of PyTorch."""


@dataclass(frozen=True)
class Config(Settings):
    """One training run.

    `epochs` and `steps` set the length, at most one of them; without either it is the data set's:
    the paper's 64,000 iterations on CIFAR and a short run on shapes. `warm_up` is a number of
    iterations at learning rate 0.01 before the schedule begins; None stands for the network's: the
    paper's 400 in nets of 110 layers and more, 0 else. `graph` replays steps as one CUDA graph;
    None stands for: on a GPU, unless gradients are clipped, or `recompute` is to save memory, which
    a graph's arrays would not, since each has a place of its own. `recompute` has backward compute
    blocks anew instead of keeping all of their arrays. `imports` are modules of the user's own,
    which register networks and data sets; they are imported before names are looked up.

    Any other setting that is None becomes what the recipe of the network or of the data set says;
    then `lr`, `weight_decay`, `momentum`, `nesterov` and `betas` become what `OPTIMIZERS` has for
    the optimizer, or stay None if it has no such setting. The other names are those of
    `minires train --help`.
    """

    trained = "classifier"
    chosen = ("dataset", "backend")
    may_change = ("data_dir", "graph", "recompute", "imports", *Settings.may_change)

    limits = (
        Settings.limits
        | dict.fromkeys(("epochs", "steps", "batch_size", "train_size", "test_size"), (1, None))
        | dict.fromkeys(("warm_up", "clip_grad_norm", "lr", "momentum", "weight_decay"), (0, None))
        | {"label_smoothing": (0, 1)}
    )

    model: str = "resnet20"
    shortcut: str | None = None
    dataset: str = "auto"
    data_dir: str = "data"
    image_size: int | None = None
    train_size: int | None = None
    test_size: int | None = None
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float | None = None
    momentum: float | None = None
    nesterov: bool | None = None
    betas: tuple[float, float] | None = None
    weight_decay: float | None = None
    decay_norm_bias: bool = True
    schedule: str = "step"
    warm_up: int | None = None
    clip_grad_norm: float | None = None
    label_smoothing: float = 0.0
    augment: bool = True
    normalization: str = "per-pixel"
    graph: bool | None = None
    recompute: bool = False
    imports: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "imports", extensions.load(self.imports))
        super().__post_init__()
        self._follow_recipes()
        self._complete_optimizer()
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give --epochs or --steps, not both")
        if self.on_nan not in ON_NAN:
            raise ValueError(f"on_nan is {' or '.join(ON_NAN)}, but is {self.on_nan!r}")
        if self.graph and self.clip_grad_norm is not None:
            raise ValueError(
                "--graph and --clip-grad-norm exclude each other: the norm of the gradients is "
                "read on the host, for which a graph does not stop"
            )
        if self.graph and (self.on_nan == "skip" or self.detect_anomaly):
            raise ValueError(
                "--graph excludes --on-nan skip and --detect-anomaly: each step would be looked at "
                "on the host, for which a graph does not stop"
            )
        if self.precision in HALF and self.shortcut in ("B", "C"):
            raise ValueError(
                f"precision {self.precision} needs blocks that are computed as one operation, but "
                f"shortcut {self.shortcut} has projections; choose shortcut A"
            )
        # before data are looked for, or downloaded
        network = models.get(self.model)
        network.check_image_size(self.image_size)
        if self.recompute:
            network.check_option("recompute")
        if self.precision in HALF and not network.half_storage:
            raise ValueError(
                f"precision {self.precision} is for the resnets and plain nets for CIFAR: "
                f"{self.model} has operations that keep images in float32 only"
            )
        if self.schedule not in ("step", "cosine", "one-cycle", "constant"):
            raise ValueError(
                f"schedule is step, cosine, one-cycle or constant, but is {self.schedule!r}"
            )

    def _follow_recipes(self) -> None:
        """Put what the network and the data set say where None stands.

        Length and warm-up wait for `total_steps` and `learning_rate`: "auto" may yet stand for
        another data set, and a shortened run has a shorter warm-up.
        """
        network, source = models.get(self.model), data.get(self.dataset)
        open_settings = {field.name for field in fields(self) if field.default is None}
        recipe = {"image_size": source.image_size, **source.recipe, **network.recipe}
        for name, value in recipe.items():
            if name not in open_settings:
                raise ValueError(
                    f"the recipe of {network.name} or {source.name} says {name!r}, but a recipe is "
                    f"of {', '.join(sorted(open_settings))}"
                )
            if name not in ("epochs", "steps", "warm_up") and getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def _complete_optimizer(self) -> None:
        """Put the optimizer's own numbers where None stands."""
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer is one of {', '.join(OPTIMIZERS)}, but is {self.optimizer!r}"
            )
        own = OPTIMIZERS[self.optimizer][1]
        for name in {name for _, settings in OPTIMIZERS.values() for name in settings}:
            if name not in own and getattr(self, name) is not None:
                raise ValueError(f"{name} is no setting of the optimizer {self.optimizer}")
            if name in own and getattr(self, name) is None:
                object.__setattr__(self, name, own[name])
        if self.betas is not None:
            object.__setattr__(self, "betas", tuple(self.betas))  # JSON makes a list of it

    def make_optimizer(self, model: Module) -> optim.Optimizer:
        """What updates the parameters of `model`."""
        make, own = OPTIMIZERS[self.optimizer]
        assert self.weight_decay is not None  # see __post_init__
        spared = not self.decay_norm_bias
        params = optim.decay_groups(model, self.weight_decay) if spared else model
        return make(params, **{name: getattr(self, name) for name in own})

    def total_steps(self, steps_per_epoch: int) -> int:
        """How many iterations the run has."""
        length: Mapping[str, Any] = {"steps": self.steps, "epochs": self.epochs}
        if self.steps is None and self.epochs is None:
            length = {"steps": PAPER_STEPS, **data.get(self.dataset).recipe}
        epochs = length.get("epochs")
        return length["steps"] if epochs is None else epochs * steps_per_epoch

    def learning_rate(self, total: int) -> optim.Schedule:
        """The schedule over `total` iterations.

        The paper divides by 10 at 32k and 48k of 64k iterations: at 1/2 and 3/4, here of any total.
        """
        lr = self.lr
        assert lr is not None  # see __post_init__
        schedule = {
            "step": lambda: optim.step_decay(lr, (total / 2, total * 3 / 4)),
            "cosine": lambda: optim.cosine(lr, total),
            "one-cycle": lambda: optim.one_cycle(lr, total),
            "constant": lambda: optim.constant(lr),
        }[self.schedule]()
        warm_up = self.warm_up
        if warm_up is None:  # in a shortened run the warm-up is shortened, too
            whole = models.get(self.model).recipe.get("warm_up", 0)
            shortened = max(min(total, 20), round(total * (whole / PAPER_STEPS)))
            warm_up = min(whole, shortened)
        if not warm_up:
            return schedule
        return optim.warm_up(schedule, warm_up, min(PAPER_WARM_UP_LR, lr))
