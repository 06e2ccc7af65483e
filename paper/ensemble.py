"""Averaging the predictions of several networks, as the paper's entries to ILSVRC 2015 did."""

from minires import plots
from minires.paper.predictions import error, probabilities
from minires.paper.setting import Setting

TITLE = "Ensembles: the averaged predictions of k networks (section 4.1, table 5, on CIFAR-10)"

MODELS = {"full": ("resnet20",), "shortened": ("resnet20",), "smoke": ("resnet8",)}
SEEDS = {"full": 5, "shortened": 3, "smoke": 3}
COLUMNS = {"networks": "", "added": "", "own_error": ".2f", "error": ".2f", "mean_error": ".2f"}

trainings = Setting.trainings


def measure(setting: Setting, runs) -> list[dict]:
    """A row for each k: the error of the k-th network, of k averaged, and the mean of their own.

    The softmax probabilities are averaged; networks are added in the order asked for.
    """
    rows, total = [], 0.0
    for count, run in enumerate(runs, 1):
        (own,), labels = probabilities(run)
        total = total + own
        rows.append(
            {
                "networks": count,
                "added": f"{run.config.model}, seed {run.config.seed}",
                "own_error": error(own, labels),
                "error": error(total, labels),
            }
        )
        rows[-1]["mean_error"] = sum(row["own_error"] for row in rows) / count
    return rows


def figure(rows: list[dict], title: str) -> bytes:
    """Error over the number of networks."""
    counts = [row["networks"] for row in rows]
    lines = (
        plots.Line("averaged", counts, [row["error"] for row in rows], "-", "C3"),
        plots.Line("each on its own", counts, [row["own_error"] for row in rows], "", "C7", "o"),
        plots.Line("mean of their own", counts, [row["mean_error"] for row in rows], "--", "C7"),
    )
    panel = plots.Panel(lines, "networks averaged", "test error (%)", bottom=None)
    return plots.panels([panel], title)


def finding(rows: list[dict]) -> str:
    """All together against one alone."""
    last = rows[-1]
    return (
        f"{last['networks']} networks averaged: {last['error']:.2f} %; one alone, on average: "
        f"{last['mean_error']:.2f} %"
    )
