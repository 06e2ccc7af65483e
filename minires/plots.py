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
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()
