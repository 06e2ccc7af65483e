"""The history of a run: metrics.csv, brought up to date after every epoch."""

import csv
import io
from pathlib import Path

from minires.arguments import integer, real
from minires.training.directory import write_atomically

NAME = "metrics.csv"

COLUMNS = (
    "epoch",
    "step",
    "lr",
    "train_loss",
    "train_acc",
    "test_loss",
    "test_acc",
    "seconds",
    "images_per_second",
)
"""Those of a classifier. Accuracies are 0 to 1; seconds and images per second are of training
alone, without the evaluation after the epoch."""


def checked(row: dict) -> dict:
    """A row of the history, whose values are numbers or None; epoch and step are ints."""
    if not isinstance(row, dict) or not {"epoch", "step"} <= row.keys():
        raise ValueError(f"a row of the history has an epoch and a step, but here is {row!r:.60}")
    counts = {name: integer("the history", name, row[name], least=0) for name in ("epoch", "step")}
    others = {name: value for name, value in row.items() if value is not None}
    return row | {name: real("the history", name, n) for name, n in others.items()} | counts


def write(out: Path, rows: list[dict]) -> None:
    """Write metrics.csv anew, a line for each of `rows`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(out / NAME, text.getvalue().encode())
