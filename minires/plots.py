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
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, error = figure.subplots(1, 2)
    for axes, name, unit in ((loss, "loss", "cross-entropy"), (error, "error", "%")):
        for part, style in (("train", "--"), ("test", "-")):
            if name == "loss":
                values = [row[f"{part}_loss"] for row in history]
            else:
                values = [100 * (1 - row[f"{part}_acc"]) for row in history]
            axes.plot(steps, values, style, color="C0" if part == "train" else "C3", label=part)
            axes.plot(steps[-1:], values[-1:], "o", color="C0" if part == "train" else "C3")
        changes = [a for a, b in zip(history, history[1:], strict=False) if b["lr"] < 0.2 * a["lr"]]
        for row in changes:
            axes.axvline(row["step"], color="0.8", linewidth=1, zorder=0)
        axes.set(xlabel="iteration", ylabel=f"{name} ({unit})")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    error.set_ylim(0, max(10, *error.get_ylim()) if len(history) > 1 else 100)
    last = history[-1]
    figure.suptitle(f"{title}: test accuracy {100 * last['test_acc']:.2f} % at {last['step']:,}")
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()
