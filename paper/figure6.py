"""Figure 6: deeper plain nets have a higher training error, deeper ResNets a lower one."""

import statistics

from minires import models, plots
from minires.paper.runs import named
from minires.paper.setting import Setting

TITLE = "Training and test error of plain nets and ResNets (figure 6): the degradation problem"

MODELS = {
    "full": ("plain20", "plain32", "plain44", "plain56")
    + ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110"),
    "shortened": ("plain20", "plain56", "resnet20", "resnet56"),
    "smoke": ("plain8", "plain20", "resnet8", "resnet20"),
}
SEEDS = {"full": 1, "shortened": 1, "smoke": 1}
KINDS = ("plain", "resnet")
COLUMNS = {
    "model": "",
    "seed": "",
    "iterations": ",",
    "train_error": ".2f",
    "test_error": ".2f",
    "best_epoch": ".2f",
    "minutes": ".1f",
}

trainings = Setting.trainings


def measure(setting: Setting, runs) -> list[dict]:
    """A row for each run: its last errors in percent, and its curves."""
    return [
        {
            "model": run.config.model,
            "seed": run.config.seed,
            "iterations": run.history[-1]["step"],
            "train_error": run.train_error,
            "test_error": run.test_error,
            "best_epoch": run.best_test_error,
            "minutes": run.seconds / 60,
            "curve": {
                "step": [row["step"] for row in run.history],
                "train_error": [100 * (1 - row["train_acc"]) for row in run.history],
                "test_error": [100 * (1 - row["test_acc"]) for row in run.history],
            },
        }
        for run in runs
    ]


def figure(rows: list[dict], title: str) -> bytes:
    """Plain nets left, ResNets right; training dashed, test solid, as in the paper."""
    panels = []
    for kind, heading in (("plain", "plain nets"), ("resnet", "ResNets")):
        lines = []
        for number, row in enumerate(_of_kind(rows, kind)):
            curve, color = row["curve"], f"C{number}"
            lines.append(plots.Line(named(row), curve["step"], curve["test_error"], "-", color))
            lines.append(plots.Line("", curve["step"], curve["train_error"], "--", color))
        if lines:
            text = "error (%), dashed: training, solid: test"
            panels.append(plots.Panel(lines, "iteration", text, heading, top=_top(rows)))
    return plots.panels(panels, title)


def finding(rows: list[dict]) -> str:
    """What depth does to the training error, for either kind: means over the seeds."""
    said = []
    for kind in ("plain", "resnet"):
        names = sorted(
            {row["model"] for row in _of_kind(rows, kind)}, key=lambda m: models.get(m).depth
        )
        if len(names) > 1:
            first, last = names[0], names[-1]
            train, test = (
                _mean(rows, last, key) - _mean(rows, first, key)
                for key in ("train_error", "test_error")
            )
            said.append(
                f"{last} has {train:+.2f} percentage points of training error and {test:+.2f} of "
                f"test error against {first}"
            )
    return "; ".join(said)


def _mean(rows: list[dict], model: str, key: str) -> float:
    return statistics.mean(row[key] for row in rows if row["model"] == model)


def _of_kind(rows: list[dict], kind: str) -> list[dict]:
    return [row for row in rows if models.get(row["model"]).kind == kind]


def _top(rows: list[dict]) -> float:
    """The panels' common upper end: the first epochs of all curves may lie above it."""
    worst = max(row["train_error"] for row in rows)
    return min(100, max(20, 2.2 * worst))
