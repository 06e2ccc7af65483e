"""Figures, as PNG bytes. matplotlib is imported when a figure is asked for."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan


@dataclass(frozen=True)
class Line:
    """Points (x, y) of one name; `errors` are the half lengths of error bars, None for no bar."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "-"
    color: str | None = None
    marker: str | None = None
    errors: Sequence[float | None] = ()


@dataclass(frozen=True)
class Panel:
    """One coordinate system; a line with an empty name is not in the legend.

    `bottom` and `top` are the ends of the y axis, None for what the lines need; `log` makes it
    logarithmic. `ticks` are names of the places 0, 1, 2, ... on the x axis.
    """

    lines: Sequence[Line]
    x: str
    y: str
    title: str = ""
    bottom: float | None = 0
    top: float | None = None
    log: bool = False
    ticks: Sequence[str] = ()


def panels(parts: Sequence[Panel], title: str = "") -> bytes:
    """Coordinate systems side by side.

    Returns
    -------
    bytes
        A PNG image.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    width = 6.5 if len(parts) == 1 else 4.6 * len(parts)
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        for line in panel.lines:
            few = "o" if len(line.x) < 20 else ""
            halves = [nan if half is None else half for half in line.errors]
            axes.errorbar(
                line.x,
                line.y,
                halves if any(line.errors) else None,
                linestyle=line.style,
                color=line.color,
                label=line.name or None,
                marker=few if line.marker is None else line.marker,
                markersize=4,
                capsize=3,
            )
        axes.set(xlabel=panel.x, ylabel=panel.y)
        if panel.ticks:
            axes.set_xticks(range(len(panel.ticks)), panel.ticks)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.set_title(panel.title, fontsize=10)
        if panel.log:
            axes.set_yscale("log")
        else:
            bars = [half or 0 for line in panel.lines for half in line.errors]
            highest = max(max(line.y) for line in panel.lines) + max(bars, default=0)
            top = 1.05 * highest if panel.top is None and panel.bottom == 0 else panel.top
            axes.set_ylim(panel.bottom, top)
        axes.grid(alpha=0.3)
        if any(line.name for line in panel.lines):
            axes.legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11, wrap=True)
    return png(figure)


def learning_curves(history: list[dict], title: str = "") -> bytes:
    """Loss and error over the iterations, training dashed and test solid, as in the paper.

    Parameters
    ----------
    history : list of dict
        Rows of a metrics.csv.
    title : str

    Returns
    -------
    bytes
        A PNG image.
    """
    steps = [row["step"] for row in history]
    loss, error = [], []
    for part, style, color in (("train", "--", "C0"), ("test", "-", "C3")):
        errors = [100 * (1 - row[f"{part}_acc"]) for row in history]
        loss.append(Line(part, steps, [row[f"{part}_loss"] for row in history], style, color))
        error.append(Line(part, steps, errors, style, color))
    parts = (
        Panel(loss, "iteration", "loss (cross-entropy)"),
        Panel(error, "iteration", "error (%)"),
    )
    last = history[-1]
    accuracy = f"test accuracy {100 * last['test_acc']:.2f} %"
    return panels(parts, f"{title}: {accuracy} after {last['step']:,} iterations")


def bars(
    groups: dict[str, list[tuple]], quantity: str, title: str = "", shared_axis: bool = True
) -> bytes:
    """Horizontal bars in groups, each with its value and its middle half.

    Parameters
    ----------
    groups : dict
        Group name -> list of (bar's name, value, low, high, highlighted), drawn from the top.
    quantity : str
        What the bars show, with its unit.
    title : str
    shared_axis : bool
        Whether all groups show the same quantity; else each has its own scale.

    Returns
    -------
    bytes
        A PNG image.
    """
    from matplotlib.figure import Figure

    rows = sum(len(bars) for bars in groups.values())
    figure = Figure(figsize=(9, 0.9 + 0.34 * rows + 0.45 * len(groups)), layout="constrained")
    parts = figure.subplots(
        len(groups),
        1,
        squeeze=False,
        sharex=shared_axis,
        height_ratios=[len(b) for b in groups.values()],
    )[:, 0]
    most = {group: max(high for *_, high, _ in bars) for group, bars in groups.items()}
    for axes, (group, bars) in zip(parts, groups.items(), strict=True):
        largest = max(most.values()) if shared_axis else most[group]
        for place, (_, value, low, high, highlighted) in enumerate(bars):
            axes.barh(place, value, color="C3" if highlighted else "C7", height=0.7)
            axes.plot([low, high], [place, place], color="black", linewidth=1)
            axes.text(high + 0.01 * largest, place, f"{value:,.0f}", va="center", fontsize=9)
        axes.set_yticks(range(len(bars)), [bar[0] for bar in bars])
        axes.set_title(group, loc="left", fontsize=10)
        axes.set_xlim(0, 1.12 * largest)
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
    parts[-1].set_xlabel(quantity)
    figure.suptitle(title)
    return png(figure)


def png(figure) -> bytes:
    """A matplotlib figure as a PNG image."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()
