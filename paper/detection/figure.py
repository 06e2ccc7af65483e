"""The figure of a comparison of backbones: bars of mAP, and scenes with what was found in them."""

from collections.abc import Sequence

import numpy as np

from minires import plots
from minires.paper.detection.boxes import Detections
from minires.paper.detection.scenes import Scenes

FOUND, MISSED = "white", "black"


def comparison(
    precisions: dict[str, dict[str, tuple[float, float | None]]],
    scenes: Scenes,
    found: dict[str, Sequence[Detections]],
    title: str = "",
) -> bytes:
    """Bars beside each other, and a row of scenes for each detector.

    Parameters
    ----------
    precisions : dict
        Measure -> detector -> (value in percent, its standard deviation or None).
    scenes : Scenes
        Some examples.
    found : dict
        Detector -> what it finds in each of them; with solid lines, the objects dashed.
    title : str

    Returns
    -------
    bytes
        A PNG image.
    """
    from matplotlib.figure import Figure

    rows = max(2, len(found))
    figure = Figure(figsize=(4 + 1.9 * len(scenes), 0.6 + 2.1 * rows), layout="constrained")
    grid = figure.add_gridspec(
        len(found), 1 + len(scenes), width_ratios=[2.0] + [1.0] * len(scenes)
    )
    _draw_bars(figure.add_subplot(grid[:, 0]), precisions)
    for i, (name, detections) in enumerate(found.items()):
        for j, own in enumerate(detections):
            axes = figure.add_subplot(grid[i, 1 + j])
            _draw_scene(axes, scenes, j, own)
            if j == 0:
                axes.set_ylabel(name, fontsize=10)
    figure.supxlabel("dashed: what is there; solid: what was found, with its score", fontsize=9)
    figure.suptitle(title, fontsize=11, wrap=True)
    return plots.png(figure)


def _draw_bars(axes, precisions) -> None:
    """A group for each measure, in it a bar for each detector."""
    names = list(next(iter(precisions.values())))
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        values, errors = zip(*(measure[name] for measure in precisions.values()), strict=True)
        errors = errors if None not in errors else None
        places = np.arange(len(values)) + (i - (len(names) - 1) / 2) * width
        bars = axes.bar(places, values, 0.92 * width, color=f"C{i}", label=name)
        axes.errorbar(places, values, errors, fmt="none", color="black", capsize=3)
        axes.bar_label(bars, fmt="%.1f", padding=4, fontsize=8)
    axes.set_xticks(range(len(precisions)), precisions)
    axes.set_ylim(0, 115)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("mean average precision (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper right", ncols=len(names))


def _draw_scene(axes, scenes: Scenes, i: int, found: Detections) -> None:
    """One image; the objects that are there, and those that were found, with class and score."""
    size = scenes.image_size
    axes.imshow(scenes.images[i], extent=(0, size, size, 0), interpolation="nearest")
    for box in scenes.boxes[i]:
        axes.plot(*_corners(box), "--", color=MISSED, linewidth=1)
    for box, score, label in zip(*found, strict=True):
        axes.plot(*_corners(box), color=FOUND, linewidth=1.2)
        x, above = float(np.clip(box[0], 0, size - 18)), box[1] > 7
        axes.text(
            x,
            box[1] - 1 if above else box[3] + 1,
            f"{scenes.classes[label]} {score:.2f}",
            color=FOUND,
            fontsize=6,
            va="bottom" if above else "top",
            bbox={"facecolor": "black", "alpha": 0.55, "pad": 0.6, "linewidth": 0},
        )
    axes.set(xlim=(0, size), ylim=(size, 0), xticks=[], yticks=[])


def _corners(box) -> tuple[list, list]:
    """x and y of a box's outline."""
    x0, y0, x1, y1 = box
    return [x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0]
