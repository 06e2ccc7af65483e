"""The record of a run: metrics.csv and curves.png, brought up to date after every epoch."""

import csv
import io
from pathlib import Path

from minires import plots
from minires.training.weights import write_atomically

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
"""Columns of metrics.csv. Accuracies are 0 to 1; seconds and images per second are of training,
without the evaluation after the epoch."""


def write(out: Path, history: list[dict], title: str) -> None:
    """Write both files anew from the rows of `history`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_atomically(out / "metrics.csv", text.getvalue().encode())
    write_atomically(out / "curves.png", plots.learning_curves(history, title))
