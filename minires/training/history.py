"""The history of a run: metrics.csv, brought up to date after every epoch."""

import csv
import io
from html import escape
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


class History(list):
    """The rows of a history, a dict for each epoch: a list that shows itself in one line."""

    def __repr__(self) -> str:
        last = self[-1] if self else {}
        shown = [f"{name} {value:.4g}" for name, value in last.items() if _is_measured(name, value)]
        text = f"; the last: {', '.join(shown)}" if shown else ""
        return f"History({len(self)} epoch{'s' * (len(self) != 1)}{text})"

    def _repr_html_(self) -> str:
        """A table with a line for each epoch."""
        names = list(self[0]) if self else []
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        lines = ["".join(f"<td>{_short(row.get(name))}</td>" for name in names) for row in self]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f'<table style="border-collapse:collapse"><tr>{head}</tr>{body}</table>'


def _is_measured(name: str, value) -> bool:
    counts = ("epoch", "step", "lr", "seconds", "images_per_second")
    return name not in counts and isinstance(value, int | float)


def _short(value) -> str:
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))


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
