"""Figures, as PNG bytes. matplotlib is imported when a figure is asked for."""

import io


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
    from matplotlib.figure import Figure

    steps = [row["step"] for row in history]
    last = history[-1]
    marker = "o" if len(history) < 20 else None
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, error = figure.subplots(1, 2)
    for part, style, color in (("train", "--", "C0"), ("test", "-", "C3")):
        look = {"linestyle": style, "color": color, "marker": marker, "markersize": 4}
        loss.plot(steps, [row[f"{part}_loss"] for row in history], label=part, **look)
        error.plot(steps, [100 * (1 - row[f"{part}_acc"]) for row in history], label=part, **look)
    loss.set_ylabel("loss (cross-entropy)")
    error.set_ylabel("error (%)")
    for axes in (loss, error):
        axes.set(xlabel="iteration", xlim=(0, 1.03 * last["step"]))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    accuracy = f"test accuracy {100 * last['test_acc']:.2f} %"
    figure.suptitle(f"{title}: {accuracy} after {last['step']:,} iterations")
    return _png(figure)


def bars(groups: dict[str, list[tuple]], quantity: str, title: str = "") -> bytes:
    """Horizontal bars in groups, each with its value and its middle half.

    Parameters
    ----------
    groups : dict
        Group name -> list of (bar's name, value, low, high, highlighted), drawn from the top.
    quantity : str
        What the bars show, with its unit.
    title : str

    Returns
    -------
    bytes
        A PNG image.
    """
    from matplotlib.figure import Figure

    rows = sum(len(bars) for bars in groups.values())
    figure = Figure(figsize=(9, 0.9 + 0.34 * rows + 0.45 * len(groups)), layout="constrained")
    parts = figure.subplots(
        len(groups), 1, squeeze=False, sharex=True, height_ratios=[len(b) for b in groups.values()]
    )[:, 0]
    largest = max(high for bars in groups.values() for *_, high, _ in bars)
    for axes, (group, bars) in zip(parts, groups.items(), strict=True):
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
    return _png(figure)


def _png(figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()
