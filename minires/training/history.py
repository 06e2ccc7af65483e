"""The history of a run: metrics.csv, brought up to date after every epoch."""

import csv
import io
from pathlib import Path

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


def write(out: Path, rows: list[dict]) -> None:
    """Write metrics.csv anew, a line for each of `rows`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(out / NAME, text.getvalue().encode())
