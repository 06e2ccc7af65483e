"""Table 6: the error of ResNets on CIFAR-10 by depth."""

from minires import models, plots
from minires.paper.runs import mean_and_std
from minires.paper.setting import Setting

TITLE = "ResNets on CIFAR-10 by depth (table 6): error after the last epoch"

PAPER = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}
"""Depth -> test error in percent (He et al. 2015, table 6; of 110 layers the best of five runs,
6.61 +- 0.16 being their mean)."""

AKAMASTER = {20: 8.27, 32: 7.37, 44: 6.90, 56: 6.61, 110: 6.32, 1202: 6.18}
"""The same by github.com/akamaster/pytorch_resnet_cifar10: of the epoch that is best on the test
set, 200 epochs."""

_DEPTHS = ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110")
MODELS = {
    "full": (*_DEPTHS, "resnet1202"),
    "shortened": _DEPTHS,
    "smoke": ("resnet8", "resnet14", "resnet20"),
}
SEEDS = {"full": 5, "shortened": 1, "smoke": 2}
KINDS = ("resnet",)
COLUMNS = {
    "model": "",
    "parameters": ",",
    "runs": "",
    "error": ".2f",
    "std": ".2f",
    "best_epoch": ".2f",
    "train_error": ".2f",
    "paper": ".2f",
    "akamaster": ".2f",
}

trainings = Setting.trainings


def measure(setting: Setting, runs) -> list[dict]:
    """A row for each depth: errors in percent, mean and standard deviation over the seeds.

    "paper" and "akamaster" are of CIFAR-10 and left out beside another data set.
    """
    rows, on_cifar10 = [], all(run.config.dataset == "cifar10" for run in runs)
    for name in setting.models:
        depth = models.get(name).depth
        own = [run for run in runs if run.config.model == name]
        error, std = mean_and_std([run.test_error for run in own])
        rows.append(
            {
                "model": name,
                "depth": depth,
                "parameters": models.build(name, own[0].classes).num_parameters(),
                "runs": len(own),
                "error": error,
                "std": std,
                "errors": [run.test_error for run in own],
                "best_epoch": mean_and_std([run.best_test_error for run in own])[0],
                "train_error": mean_and_std([run.train_error for run in own])[0],
                "paper": PAPER.get(depth) if on_cifar10 else None,
                "akamaster": AKAMASTER.get(depth) if on_cifar10 else None,
            }
        )
    return rows


def figure(rows: list[dict], title: str) -> bytes:
    """Test error over depth, beside the paper's."""
    rows = sorted(rows, key=lambda row: row["depth"])
    places = list(range(len(rows)))
    lines = [
        plots.Line(
            "minires, last epoch",
            places,
            [row["error"] for row in rows],
            color="C3",
            errors=[row["std"] for row in rows],
        )
    ]
    for source, label in (("paper", "the paper"), ("akamaster", "akamaster, best epoch")):
        known = [
            (place, row[source]) for place, row in zip(places, rows, strict=True) if row[source]
        ]
        if known:
            lines.append(plots.Line(label, *zip(*known, strict=True), style="--"))
    names = [str(row["depth"]) for row in rows]
    return plots.panels([plots.Panel(lines, "layers", "test error (%)", ticks=names)], title)


def finding(rows: list[dict]) -> str:
    """Which depth is best."""
    best = min(rows, key=lambda row: row["error"])
    return f"lowest error: {best['error']:.2f} % with {best['model']}"
