"""Arrays as images: photographs, filters, feature maps, a confusion matrix."""

from collections.abc import Sequence
from math import ceil

import numpy as np

from minires import backend
from minires.plots.picture import FRAME, INK, Picture, canvas


def _array(values) -> np.ndarray:
    """An array or a Tensor, as a NumPy array."""
    return np.asarray(backend.to_numpy(getattr(values, "data", values)))


def _rescaled(image: np.ndarray) -> np.ndarray:
    """An image whose numbers are of any size, between 0 and 1."""
    low, high = float(image.min()), float(image.max())
    return (image - low) / (high - low) if high > low else np.zeros_like(image, float)


def images(
    pictures, alt: str, titles: Sequence[str] = (), columns: int = 8, size: float = 0.9
) -> Picture:
    """Images side by side.

    Parameters
    ----------
    pictures : array (N, H, W, C), (N, H, W), or list of arrays
        Bytes (uint8), or numbers of any size, which are spread between black and white.
    alt : str
        What they show, in a sentence.
    titles : list of str, optional
        One for each.
    columns : int
    size : float
        Width of one image, inches.
    """
    pictures = [_array(p) for p in pictures]
    columns = min(columns, len(pictures))
    rows = ceil(len(pictures) / columns)
    height = rows * (size + (0.22 if titles else 0.05))
    figure, axes = canvas(rows, columns, columns * size, height, squeeze=False)
    for place in axes.flat[len(pictures) :]:
        place.axis("off")
    for i, picture in enumerate(pictures):
        place = axes.flat[i]
        gray = picture.ndim == 2 or picture.shape[-1] == 1
        shown = picture if picture.dtype == np.uint8 else _rescaled(picture)
        place.imshow(np.squeeze(shown) if gray else shown, cmap="gray" if gray else None)
        place.set(xticks=[], yticks=[])
        for side in place.spines.values():  # a border: white images lie on white paper
            side.set(visible=True, color=FRAME, linewidth=0.6)
        if i < len(titles):
            place.set_title(titles[i], fontsize=8)
    return Picture(figure, alt)


def filters(weights, alt: str, columns: int = 8) -> Picture:
    """Filters of a first convolution, one image each.

    Parameters
    ----------
    weights : array or Tensor (KH, KW, Cin, Cout)
        With three input channels as colours, else the first channel in grey.
    alt : str
    columns : int
    """
    w = np.moveaxis(_array(weights), -1, 0)
    return images(w if w.shape[-1] == 3 else w[..., 0], alt, columns=columns, size=0.7)


def feature_maps(values, alt: str, columns: int = 8, most: int = 32) -> Picture:
    """The channels of one image, each as a grey image.

    Parameters
    ----------
    values : array or Tensor (H, W, C), or (N, H, W, C) of which the first image is shown
    alt : str
    columns : int
    most : int
        How many channels are shown.
    """
    maps = _array(values)
    maps = maps[0] if maps.ndim == 4 else maps
    return images(np.moveaxis(maps[..., :most], -1, 0), alt, columns=columns, size=0.8)


def confusion_matrix(labels, predictions, alt: str, names: Sequence[str] = ()) -> Picture:
    """How often each class (row) was taken for each class (column).

    Parameters
    ----------
    labels, predictions : array of int (N,)
    alt : str
    names : list of str
        The classes' names.
    """
    labels, predictions = _array(labels), _array(predictions)
    count = max(len(names), int(labels.max()) + 1, int(predictions.max()) + 1)
    matrix = np.zeros((count, count), int)
    np.add.at(matrix, (labels, predictions), 1)
    return heat(
        matrix,
        x="predicted",
        y="true class",
        alt=alt,
        names=names or tuple(map(str, range(count))),
        unit="images",
    )


def heat(
    matrix,
    x: str,
    y: str,
    alt: str,
    names: Sequence[str] = (),
    unit: str = "",
    title: str = "",
    signed: bool = False,
) -> Picture:
    """A matrix as coloured fields, with its numbers in them where there is room.

    Parameters
    ----------
    matrix : array (rows, columns)
    x, y : str
        What the axes show.
    alt : str
    names : list of str
        Names of rows and columns, if they are the same.
    unit : str
        The numbers' unit.
    title : str
    signed : bool
        Colours apart for negative and positive numbers, zero in the middle.
    """
    matrix = _array(matrix)
    rows, columns = matrix.shape
    side = 0.42 if names else 0.36
    width, height = max(3.0, side * columns + 1.8), max(2.2, side * rows + 0.9)
    figure, axes = canvas(width=width, height=height)
    largest = float(np.abs(matrix).max()) or 1.0
    limits = {"cmap": "PuOr", "vmin": -largest, "vmax": largest} if signed else {"cmap": "cividis"}
    drawn = axes.imshow(matrix, **limits)
    if matrix.size <= 150:
        low, high = (-largest, largest) if signed else (float(matrix.min()), float(matrix.max()))
        for (i, j), value in np.ndenumerate(matrix):
            share = (value - low) / ((high - low) or 1)
            light = abs(share - 0.5) < 0.3 if signed else share > 0.55
            text = f"{value:d}" if matrix.dtype.kind in "iu" else f"{value:.2g}"
            shade = "#111111" if light else "#f5f5f5"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=shade)
    if names:
        axes.set_xticks(range(columns), names, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(rows), names, fontsize=8)
    axes.set(xlabel=x, ylabel=y, title=title)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8)
    bar.set_label(unit, color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_edgecolor(INK)
    return Picture(figure, alt)
