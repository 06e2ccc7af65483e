"""Figure 7: the standard deviation of layer responses, plain and residual."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np

from minires import backend, models, nn, plots
from minires.data import Loader
from minires.paper.runs import line_style, named
from minires.paper.setting import Setting
from minires.tensor import no_grad

TITLE = "Standard deviation of layer responses (figure 7)"

MODELS = {
    "full": ("plain20", "plain56", "resnet20", "resnet56", "resnet110"),
    "shortened": ("plain20", "plain56", "resnet20", "resnet56"),
    "smoke": ("plain8", "plain20", "resnet8", "resnet20"),
}
SEEDS = {"full": 1, "shortened": 1, "smoke": 1}
COLUMNS = {
    "model": "",
    "seed": "",
    "layers": "",
    "mean_std": ".3f",
    "median_std": ".3f",
    "largest_std": ".3f",
}

trainings = Setting.trainings


def measure(setting: Setting, runs) -> list[dict]:
    """A row for each trained network: the standard deviation of each layer's responses.

    A response is the result of a 3x3 convolution behind its batch norm, before the residual is
    added and before the ReLU (section 4.2). The deviation is taken over all channels, pixels and
    test images, in evaluation mode.
    """
    rows = []
    for run in runs:
        net, normalization = run.network(fused=False)
        _, test_set = run.data_sets()
        std = response_std(net, Loader(test_set, normalization, 256))
        rows.append(
            {
                "model": run.config.model,
                "seed": run.config.seed,
                "layers": len(std),
                "mean_std": float(np.mean(std)),
                "median_std": float(np.median(std)),
                "largest_std": float(np.max(std)),
                "std": std,
            }
        )
    return rows


def response_std(net: nn.Module, batches) -> list[float]:
    """The deviation of each batch norm's result in `net`, first layer first, over all `batches`
    of (x, labels)."""
    sums = {}  # layer -> count, sum, sum of squares

    def note(name: str, y) -> None:
        values = backend.to_numpy(y.data).astype(np.float64)
        new = np.array([values.size, values.sum(), (values * values).sum()])
        sums[name] = sums.get(name, 0) + new

    with no_grad(), responses_of(net, note):
        for x, _ in batches:
            net(x)
    return [float(np.sqrt(squares / n - (total / n) ** 2)) for n, total, squares in sums.values()]


@contextmanager
def responses_of(net: nn.Module, note) -> Iterator[None]:
    """Inside, `note(name, y)` is told the result of every batch norm, without residual and ReLU."""

    with ExitStack() as hooks:
        for name, norm in net.named_modules():
            if isinstance(norm, nn.BatchNorm2d):
                # Computed once more, since the result of a call includes residual and ReLU.
                hook = partial(_note_alone, note, name)
                hooks.enter_context(norm.register_forward_hook(hook))
        yield


def _note_alone(note, name: str, norm: nn.BatchNorm2d, inputs: tuple, _) -> None:
    note(name, norm.forward(inputs[0]))


def figure(rows: list[dict], title: str) -> bytes:
    """Draw the deviations by layer, and by magnitude, as in the paper."""
    panels = []
    for heading, x, order in (
        ("by layer", "layer", lambda std: std),
        ("by magnitude", "rank of the layer", lambda std: sorted(std, reverse=True)),
    ):
        lines = [
            plots.Line(
                named(row),
                range(1, len(row["std"]) + 1),
                order(row["std"]),
                line_style(row),
            )
            for row in rows
        ]
        panels.append(plots.Panel(lines, x, "standard deviation", heading))
    return plots.panels(panels, title)


def finding(rows: list[dict]) -> str:
    """What depth does to the responses of ResNets."""
    own = [row for row in rows if models.get(row["model"]).has_shortcuts]
    own.sort(key=lambda row: models.get(row["model"]).depth)
    return "mean over the layers: " + ", ".join(
        f"{named(row)} {row['mean_std']:.3f}"
        for row in [*(row for row in rows if row not in own), *own]
    )
