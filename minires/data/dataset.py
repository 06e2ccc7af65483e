"""What every image set of minires is: uint8 images, integer labels, class names."""

from dataclasses import dataclass

import numpy as np


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

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, count: int) -> "Dataset":
        """The first `count` images."""
        return Dataset(self.name, self.images[:count], self.labels[:count], self.classes)
