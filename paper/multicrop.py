"""Several views of each test image, averaged: flips and shifts at test time."""

from itertools import product

from minires import plots
from minires.paper.predictions import CENTRE, PAD, error, probabilities
from minires.paper.runs import mean_and_std
from minires.paper.setting import Setting

TITLE = "Test-time flips and crops (the 10-crop testing of section 3.4, on CIFAR-10)"

MODELS = {
    "full": ("resnet20", "resnet56", "resnet110"),
    "shortened": ("resnet20",),
    "smoke": ("resnet8", "resnet20"),
}
SEEDS = {"full": 5, "shortened": 1, "smoke": 1}
COLUMNS = {"model": "", "views": "", "number": "", "runs": "", "error": ".2f", "std": ".2f"}

trainings = Setting.trainings


def _shifts(by: int) -> list[tuple[int, int]]:
    """The image, and the image shifted by `by` pixels towards each of its four corners."""
    return [CENTRE, *product((PAD - by, PAD + by), repeat=2)]


VIEWS = {
    "image": [(CENTRE, False)],
    "flip": [(CENTRE, flip) for flip in (False, True)],
    "5 crops, 2 pixels": [(offset, False) for offset in _shifts(2)],
    "10 crops, 2 pixels": [(o, flip) for o in _shifts(2) for flip in (False, True)],
    "10 crops, 4 pixels": [(o, flip) for o in _shifts(4) for flip in (False, True)],
}
"""Name -> (offset, flip) of each view; the image padded by 4 pixels, as in training."""


def measure(setting: Setting, runs) -> list[dict]:
    """A row for each network and way of looking: errors in percent of averaged probabilities."""
    rows = []
    for name in setting.models:
        errors = {way: [] for way in VIEWS}
        for run in (run for run in runs if run.config.model == name):
            views = list(dict.fromkeys(view for views in VIEWS.values() for view in views))
            found, labels = probabilities(run, views)  # every view once
            by_view = dict(zip(views, found, strict=True))
            for way, own in VIEWS.items():
                errors[way].append(error(sum(by_view[view] for view in own), labels))
        for way, values in errors.items():
            mean, std = mean_and_std(values)
            row = {"model": name, "views": way, "number": len(VIEWS[way]), "runs": len(values)}
            rows.append(row | {"error": mean, "std": std})
    return rows


def figure(rows: list[dict], title: str) -> bytes:
    """Error by way of looking, a line for each network."""
    lines = []
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        errors = [row["std"] for row in own]
        lines.append(
            plots.Line(name, range(len(own)), [row["error"] for row in own], errors=errors)
        )
    ticks = [way.replace(", ", ",\n") for way in VIEWS]
    return plots.panels([plots.Panel(lines, "", "test error (%)", bottom=None, ticks=ticks)], title)


def finding(rows: list[dict]) -> str:
    """The best way against the image alone."""
    said = []
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        best = min(own, key=lambda row: row["error"])
        said.append(f"{name}: {own[0]['error']:.2f} %, with {best['views']} {best['error']:.2f} %")
    return "; ".join(said)
