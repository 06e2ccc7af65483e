"""What every image set of minires is: uint8 images, integer labels, class names."""

from dataclasses import dataclass

import numpy as np

from minires.arguments import integer


class DataError(ValueError):
    """A data set that is missing, damaged or not what it claims to be; the message says why."""


@dataclass(frozen=True)
class Dataset:
    """Labelled images in memory.

    Attributes
    ----------
    name : str
        For example ``"cifar10"``.
    images : numpy.ndarray, uint8, shape (N, H, W, 3)
        RGB, channels last, 0 to 255.
    labels : numpy.ndarray, int64, shape (N,)
        Class indices, 0 to ``len(classes) - 1``.
    classes : tuple of str
        Class names; ``classes[labels[i]]`` names image ``i``.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self):
        images, labels = self.images, self.labels
        for name, array in (("images", images), ("labels", labels)):
            if not isinstance(array, np.ndarray):
                raise DataError(
                    f"{self.name}: {name} must be a NumPy array, but are a {type(array).__name__}; "
                    f"np.asarray makes one of a list, .numpy() of a PyTorch tensor"
                )
        if not isinstance(self.classes, tuple | list):
            raise DataError(
                f"{self.name}: classes must be a tuple of names, but are {self.classes!r:.60}"
            )
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise DataError(
                f"{self.name}: images must be uint8 (N,H,W,3), but are {images.dtype} "
                f"{images.shape}"
            )
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise DataError(
                f"{self.name}: labels must be {len(images)} integers, one per image, but are "
                f"{labels.dtype} {labels.shape}"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise DataError(
                f"{self.name}: labels must be 0 to {len(self.classes) - 1}, but run from "
                f"{labels.min()} to {labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, count: int) -> "Dataset":
        """The first `count` images: 0 to all of them.

        Raises
        ------
        TypeError, ValueError
            If `count` is no integer, or there are not as many.
        """
        count = integer(f"{self.name}: subset", "count", count, least=0, most=len(self))
        return Dataset(self.name, self.images[:count], self.labels[:count], self.classes)
