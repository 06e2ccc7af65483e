"""Labelled data in memory: images of any kind, tables, series; classes or targets."""

import base64
import io
from dataclasses import dataclass
from html import escape

import numpy as np

from minires import backend
from minires.arguments import integer
from minires.tensor import Tensor

MOST_CLASSES = 100_000
"""Up to here class names are made of labels; a label beyond is probably something else."""

AT_ONCE = 1024
"""Rows that are looked at together."""


class DataError(ValueError):
    """A data set that is missing, damaged or not what it claims to be; the message says why."""


class NotThere(DataError):
    """A data set that is not where it was looked for, and was not to be downloaded."""


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Labelled images, or rows of a table, in memory.

    Attributes
    ----------
    name : str
        For example ``"cifar10"``.
    images : numpy.ndarray (N, ...)
        Images (N, H, W, C): uint8 from 0 to 255, or floats. Grey images (N, H, W) get a last axis
        of length 1. Tables are (N, F), of integers or floats.
    labels : numpy.ndarray, shape (N,)
        Class indices, int64, 0 to ``len(classes) - 1``; or targets, float32, of shape (N, ...).
        Integers of any kind become int64.
    classes : tuple of str
        Class names; ``classes[labels[i]]`` names image ``i``. Left out, they are "0", "1", ... up
        to the largest label; targets have none.

    Lists and Tensors become arrays; arrays are held, not copied.

    Raises
    ------
    DataError
        If they do not fit each other, or are no numbers.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = None  # type: ignore[assignment]  # never after __post_init__

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise DataError(
                f"Dataset: the name comes first, then images and labels, but the name is a "
                f'{type(self.name).__name__}; write Dataset("mine", images, labels)'
            )
        images, labels = self._array("images", self.images), self._array("labels", self.labels)
        if images.ndim < 2:
            raise DataError(
                f"{self.name}: images must be (N,H,W,C), (N,H,W) or a table (N,F), but are "
                f"{images.shape}"
            )
        if images.ndim > 2 and images.dtype.kind in "iu" and images.dtype != np.uint8:
            raise DataError(
                f"{self.name}: images must be uint8, 0 to 255, or floats, but are {images.dtype}; "
                f"write images.astype(np.uint8)"
            )
        if images.ndim == 3:
            images = images[..., None]
        self._check_finite("images", images)
        if labels.shape[:1] != images.shape[:1]:
            raise DataError(
                f"{self.name}: labels must be {len(images)}, one per image, but are {labels.shape}"
            )
        if labels.dtype.kind == "f":
            labels = self._targets(labels)
        else:
            labels = self._indices(labels)
        for name, value in (("images", images), ("labels", labels)):
            object.__setattr__(self, name, value)

    def _array(self, name: str, value) -> np.ndarray:
        if isinstance(value, Tensor):
            value = value.detach().numpy()
        try:
            array = np.asarray(value)
        except (TypeError, ValueError) as error:  # TypeError: PyTorch's tensors on a GPU
            raise DataError(f"{self.name}: {name} must be an array of numbers ({error})") from None
        if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
            raise DataError(
                f"{self.name}: {name} must be an array of numbers, but are {array.dtype} "
                f"{array.shape}"
            )
        return array

    def _check_finite(self, name: str, array: np.ndarray) -> None:
        for start in range(0, len(array) if array.dtype.kind == "f" else 0, AT_ONCE):
            finite = np.isfinite(array[start : start + AT_ONCE])
            if not finite.all():
                row = start + int(np.argwhere(~finite)[0, 0])
                raise DataError(
                    f"{self.name}: {name} must be finite, but {name}[{row}] has a NaN or infinity; "
                    f"leave such rows out, or fill them"
                )

    def _targets(self, labels: np.ndarray) -> np.ndarray:
        self._check_finite("labels", labels)
        if self.classes:
            raise DataError(
                f"{self.name}: labels of {len(self.classes)} classes must be integers, but are "
                f"{labels.dtype}; write labels.astype(np.int64)"
            )
        object.__setattr__(self, "classes", ())
        return labels.astype(np.float32, copy=False)

    def _indices(self, labels: np.ndarray) -> np.ndarray:
        if labels.ndim != 1:
            raise DataError(
                f"{self.name}: labels must be {len(labels)} integers, one per image, but are "
                f"{labels.dtype} {labels.shape}"
            )
        least, most = (int(labels.min()), int(labels.max())) if len(labels) else (0, -1)
        classes = self.classes
        if classes is None:
            if most >= MOST_CLASSES or least < 0:
                raise DataError(
                    f"{self.name}: labels must be classes, 0 to {MOST_CLASSES - 1:,}, but run from "
                    f"{least:,} to {most:,}; targets of a regression must be floats"
                )
            classes = tuple(map(str, range(most + 1)))
        if not isinstance(classes, tuple | list) or not all(isinstance(c, str) for c in classes):
            raise DataError(
                f"{self.name}: classes must be a tuple of names, but are {self.classes!r:.60}"
            )
        if len(labels) and not 0 <= least <= most < len(classes):
            raise DataError(
                f"{self.name}: labels must be 0 to {len(classes) - 1}, but run from {least} to "
                f"{most}"
            )
        object.__setattr__(self, "classes", tuple(classes))
        return labels.astype(np.int64, copy=False)

    @property
    def holds_bytes(self) -> bool:
        """Whether these are images of uint8, as kernels read them."""
        return self.images.ndim == 4 and self.images.dtype == np.uint8

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple:
        """Image and label number i, or those of a slice."""
        return self.images[i], self.labels[i]

    def __repr__(self) -> str:
        what = "images" if self.images.ndim == 4 else "rows"
        shape = " x ".join(map(str, self.images.shape[1:]))
        labels = f"{len(self.classes or ())} classes" if self.classes else "targets"
        kind = self.images.dtype
        return f"Dataset({self.name!r}: {len(self):,} {what} of {shape}, {kind}, {labels})"

    def _repr_html_(self) -> str:
        """One line, and below it the first images with their labels."""
        return f"<p>{escape(repr(self))}</p>{_strip(self)}"

    def subset(self, count: int) -> "Dataset":
        """The first `count` images: 0 to all of them.

        Raises
        ------
        TypeError, ValueError
            If `count` is no integer, or there are not as many.
        """
        count = integer(f"{self.name}: subset", "count", count, least=0, most=len(self))
        return self.take(slice(count))

    def take(self, chosen) -> "Dataset":
        """The images at these places, an array of integers or a slice, with the same classes."""
        return Dataset(self.name, self.images[chosen], self.labels[chosen], self.classes)


def _strip(dataset: Dataset, count: int = 12) -> str:
    """The first images side by side, as HTML; nothing of a table."""
    images = dataset.images[:count]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        return ""
    from matplotlib.image import imsave

    shown = []
    for image, label in zip(images, dataset.labels, strict=False):
        if image.dtype != np.uint8:
            low, high = float(np.nanmin(image)), float(np.nanmax(image))
            image = (image - low) / ((high - low) or 1.0)
        file = io.BytesIO()
        imsave(file, np.repeat(image, 3, 2) if image.shape[2] == 1 else image, format="png")
        text = dataset.classes[label] if dataset.classes else str(label)
        png = base64.b64encode(file.getvalue()).decode()
        shown.append(
            f'<figure style="display:inline-block;margin:2px;text-align:center">'
            f'<img alt="{escape(text)}" width="64" style="image-rendering:pixelated" '
            f'src="data:image/png;base64,{png}"><figcaption>{escape(text)}</figcaption></figure>'
        )
    return "".join(shown)


def on_device(array: np.ndarray):
    """An array of a data set on the current backend; floats as float32, integers as they are."""
    wide = array.dtype.kind == "f" and array.dtype != np.float32
    return backend.asarray(array.astype(np.float32) if wide else array)
