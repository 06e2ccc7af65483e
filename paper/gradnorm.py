"""The gradient's norm by depth, at initialisation and during training: plain against residual."""

import numpy as np

from minires import backend, models, plots
from minires import functional as F
from minires.cuda import HALF
from minires.data import Loader, Normalization
from minires.models.blocks import BasicBlock
from minires.paper.gradients import FILE, norm, read
from minires.paper.runs import line_style, named
from minires.paper.setting import BUDGETS, Budget, Setting, Training

TITLE = "Gradient norms by depth, plain against residual: what the shortcut does to backward"

BUDGETS = BUDGETS | {
    "shortened": Budget(
        "the paper's recipe at a hundredth of its length: 640 iterations", {"steps": 640}
    )
}
MODELS = {
    "full": ("plain20", "plain56", "resnet20", "resnet56", "resnet110"),
    "shortened": ("plain20", "plain56", "resnet20", "resnet56"),
    "smoke": ("plain8", "plain20", "resnet8", "resnet20"),
}
SEEDS = {"full": 1, "shortened": 1, "smoke": 1}
KINDS = ("plain", "resnet")
COLUMNS = {
    "model": "",
    "seed": "",
    "blocks": "",
    "activations_first_to_last": ".3g",
    "weights_first_to_last": ".3g",
    "trained_first_to_last": ".3g",
}


def trainings(setting: Setting) -> list[Training]:
    """Runs of their own, which keep the norms of gradients."""
    return [setting.training(m, seed, "watched") for m in setting.models for seed in setting.seeds]


def measure(setting: Setting, runs) -> list[dict]:
    """A row for each network.

    "activations": the norm of the loss's gradient with respect to the result of each block, at
    initialisation, on the run's first batch. "weights": with respect to each convolution's weights,
    in the first iteration; "trained": the same, the median over the last quarter of the iterations
    that were kept. The columns are ratios, first layer to last: far from 1 means that the gradient
    changes on its way back.
    """
    rows = []
    for run in runs:
        record = read(run.path / FILE)
        norms = np.array(record["norms"])
        activations = activation_gradients(run)
        trained = np.median(norms[-max(1, len(norms) // 4) :], axis=0)
        rows.append(
            {
                "model": run.config.model,
                "seed": run.config.seed,
                "blocks": len(activations),
                "activations_first_to_last": activations[0] / activations[-1],
                "weights_first_to_last": float(norms[0, 0] / norms[0, -1]),
                "trained_first_to_last": float(trained[0] / trained[-1]),
                "activations": activations,
                "weights": norms[0].tolist(),
                "trained": trained.tolist(),
                "first_layer": {"step": record["steps"], "norm": norms[:, 0].tolist()},
            }
        )
    return rows


def activation_gradients(run) -> list[float]:
    """Norms of d loss / d (result of each block) of the run's network before its first step."""
    config = run.config
    backend.use(config.backend)
    backend.set_precision("float32" if config.precision in HALF else config.precision)
    backend.seed(config.seed)
    train_set, _ = run.data_sets()
    normalization = Normalization.make(config.normalization, train_set.images)
    loader = Loader(
        train_set,
        normalization,
        config.batch_size,
        shuffle=True,
        augment=config.augment,
        seed=config.seed,
    )
    net = models.build(config.model, len(train_set.classes), config.shortcut)
    results = []

    def keep(block, inputs, y) -> None:
        y.retain_grad()
        results.append(y)

    for _, module in net.named_modules():
        if isinstance(module, BasicBlock):
            module.register_forward_hook(keep)
    x, labels = next(loader.batches(0))
    F.cross_entropy(net(x), labels).backward()
    return [norm(y.grad) for y in results]


def figure(rows: list[dict], title: str) -> bytes:
    """Three views: activations and weights by depth, and one layer over time."""

    def line(row, x, y):
        return plots.Line(named(row), x, y, line_style(row), marker="")

    def by_depth(key):
        return [line(row, range(1, len(row[key]) + 1), row[key]) for row in rows]

    time = [line(row, row["first_layer"]["step"], row["first_layer"]["norm"]) for row in rows]
    panels = (
        plots.Panel(
            by_depth("activations"),
            "block",
            "norm of the gradient",
            "at a block's result, at initialisation",
            log=True,
        ),
        plots.Panel(
            by_depth("weights"), "convolution", "", "of weights, at initialisation", log=True
        ),
        plots.Panel(
            by_depth("trained"), "convolution", "", "of weights, last quarter of training", log=True
        ),
        plots.Panel(time, "iteration", "", "of the first convolution's weights", log=True),
    )
    return plots.panels(panels, title)


def finding(rows: list[dict]) -> str:
    """How the gradient changes on its way from the last block to the first."""
    return "at initialisation the gradient at the first block's result is, to the last one's: " + (
        ", ".join(f"{named(row)} {row['activations_first_to_last']:.3g} x" for row in rows)
    )
