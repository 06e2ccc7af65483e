"""What an experiment is run with: how much of it, on which networks, seeds and data.

See docs/decisions/paper.md, "The shortened budget".
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from minires import data, models
from minires.training import Config


@dataclass(frozen=True)
class Budget:
    """How much training an experiment may cost.

    Attributes
    ----------
    meaning : str
        What the budget means; every output states it.
    recipe : dict
        Settings of `Config` that differ from the paper's recipe.
    """

    meaning: str
    recipe: dict


BUDGETS = {
    "full": Budget(
        "the paper's recipe, section 4.2: 64,000 iterations on CIFAR (on shapes six epochs)", {}
    ),
    "shortened": Budget(
        "30 epochs with a cosine schedule, else the paper's recipe: 11,730 iterations on CIFAR",
        {"epochs": 30, "schedule": "cosine"},
    ),
    "smoke": Budget(
        "a few iterations of small networks on shapes, to see that everything runs; what comes out "
        "means nothing",
        {
            "steps": 96,
            "dataset": "shapes",
            "batch_size": 64,
            "train_size": 1024,
            "test_size": 512,
        },
    ),
}


@dataclass(frozen=True)
class Training:
    """One network to be trained.

    Attributes
    ----------
    name : str
        Name of its directory under ``runs/``.
    config : Config
    kind : str
        Which trainer: "plain", or "watched", which also keeps the norms of gradients.
    """

    name: str
    config: Config
    kind: str = "plain"


@dataclass(frozen=True)
class Setting:
    """What an experiment is run with.

    Attributes
    ----------
    budget : str
        A key of `budgets`: "full", "shortened" or "smoke".
    models : tuple of str
    seeds : tuple of int
    out : Path
        Where the results go, and the trained networks under ``runs/``.
    options : dict
        Settings of `Config` that were asked for: dataset, data_dir, backend, precision.
    download : bool
        Whether a missing CIFAR may be downloaded.
    budgets : dict
        What each budget means: BUDGETS, unless the experiment has its own.
    kinds : tuple of str, optional
        The networks that the experiment is about: "resnet", "plain", "vgg"; None for all.
    """

    budget: str
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    out: Path
    options: dict = field(default_factory=dict)
    download: bool = True
    budgets: dict[str, Budget] = field(default_factory=lambda: BUDGETS)
    kinds: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.budget not in self.budgets:
            raise ValueError(f"budget is {', '.join(self.budgets)}, but is {self.budget!r}")
        if not self.seeds:
            raise ValueError("an experiment needs at least one seed")
        if any(len(set(asked)) < len(asked) for asked in (self.models, self.seeds)):
            raise ValueError("a network or a seed was asked for twice")
        for name in self.models:
            network = models.get(name)
            size = data.get(self.options.get("dataset", Config.dataset)).image_size
            if network.image_size != size:
                raise ValueError(
                    f"the experiments are with networks for CIFAR, not with {name}, which is for "
                    f"images of {network.image_size} x {network.image_size} pixels"
                )
            if self.kinds is not None and network.kind not in self.kinds:
                asked = " and ".join(f"{kind}D" for kind in self.kinds)
                raise ValueError(f"this experiment is with networks named {asked}, not with {name}")

    @property
    def meaning(self) -> str:
        """What the budget means, in words."""
        return self.budgets[self.budget].meaning

    def config(self, model: str, seed: int, **more) -> Config:
        """The settings of a training run; `more` are settings of the experiment's own."""
        settings = self.budgets[self.budget].recipe | self.options | more
        return Config(model=model, seed=seed, out=str(self.out), **settings)

    def training(self, model: str, seed: int, kind: str = "plain", **more) -> Training:
        """A training run; its name tells it from every other one under the same budget."""
        marks = [f"option{more['shortcut']}"] if more.get("shortcut") else []
        name = "-".join([model, *marks, *([kind] if kind != "plain" else []), f"seed{seed}"])
        config = replace(self.config(model, seed, **more), out=str(self.out / "runs" / name))
        return Training(name, config, kind)

    def trainings(self) -> list[Training]:
        """A plain run for each network and seed: what most experiments need."""
        return [self.training(model, seed) for model in self.models for seed in self.seeds]
