"""Batches: shuffled, augmented, normalised, on the current backend, reproducible from a seed.

See docs/decisions/training.md, "Same bits".
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minires import backend
from minires.arguments import flag, integer
from minires.cuda import graph
from minires.data.dataset import Dataset
from minires.data.normalization import Normalization
from minires.tensor import Tensor


class Loader:
    """Hands out a data set in batches.

    Every random choice is a function of (seed, epoch, batch) alone: batch 7 of epoch 3 is the same
    in a fresh run, a resumed run, and when asked for on its own. `batches(epoch)` gives a certain
    epoch; plain iteration (`for x, labels in loader`) the next one each time, from 0 on.

    Parameters
    ----------
    dataset : Dataset
    normalization : Normalization
    batch_size : int, at least 1
    shuffle : bool
        A new order in every epoch.
    augment : bool
        Random crop of the image padded with `pad` zeros, and random horizontal flip (the paper's
        augmentation; see `kernels/augment`).
    drop_last : bool
        Leave out the last batch of an epoch if it is smaller than `batch_size`.
    seed : int, at least 0
        There is no "any" seed: None is refused.
    pad : int, at least 0
        4 in the paper, for images of 32 pixels.

    The images are brought to the current backend once, as bytes: 150 MB of GPU memory for CIFAR-10.
    """

    def __init__(
        self,
        dataset: Dataset,
        normalization: Normalization,
        batch_size: int = 128,
        shuffle: bool = False,
        augment: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        pad: int = 4,
    ):
        for name, given, kind in (
            ("dataset", dataset, Dataset),
            ("normalization", normalization, Normalization),
        ):
            if not isinstance(given, kind):
                raise TypeError(
                    f"Loader: {name} must be a {kind.__name__}, but is a {type(given).__name__}"
                )
        self.dataset = dataset
        self.batch_size = integer("Loader", "batch_size", batch_size, least=1)
        self.seed = integer("Loader", "seed", seed, least=0)
        self.pad = integer("Loader", "pad", pad, least=0)
        self.shuffle = flag("Loader", "shuffle", shuffle)
        self.augment = flag("Loader", "augment", augment)
        self.drop_last = flag("Loader", "drop_last", drop_last)
        self.next_epoch = 0
        height_width_channels = dataset.images.shape[1:]
        if normalization.mean.shape not in (height_width_channels, height_width_channels[-1:]):
            raise ValueError(
                f"Loader: the {normalization.name} normalisation is made for images of "
                f"{normalization.mean.shape}, but these are {height_width_channels}"
            )
        self.mean, self.inv_std = (
            backend.asarray(np.broadcast_to(value, height_width_channels), np.float32)
            for value in (normalization.mean, normalization.inv_std)
        )
        self.images = backend.asarray(dataset.images)  # whole, on the device
        self.labels = backend.asarray(dataset.labels)
        if len(self) == 0:
            raise ValueError(
                f"Loader: {len(dataset)} images give no batch of {self.batch_size}"
                + (" (drop_last is on)" if self.drop_last else "")
            )

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]:
        epoch, self.next_epoch = self.next_epoch, self.next_epoch + 1
        return self.batches(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Any]]:
        """The batches of one epoch from batch `start` on.

        Yields
        ------
        x : Tensor (N, H, W, 3), float32 or what `backend.storage` says
        labels : int64 array (N,) on the current backend
        """
        epoch, start = self.place(epoch, start)
        graph.refuse("a batch of a Loader, which is drawn on the host (see data.ResidentBatches)")
        order = backend.asarray(self.order(epoch))
        for batch in range(start, len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield Tensor(self._input(chosen, epoch, batch)), self.labels[chosen]

    def place(self, epoch: int, start: int) -> tuple[int, int]:
        """An epoch and the first batch to be taken of it, as Python's own integers.

        Raises
        ------
        TypeError, ValueError
            If there are no such ones; `start` may be the number of batches, after which none comes.
        """
        epoch = integer("Loader.batches", "epoch", epoch, least=0)
        return epoch, integer("Loader.batches", "start", start, least=0, most=len(self))

    def order(self, epoch: int) -> np.ndarray:
        """The images of this epoch, in their order: int64, on the host."""
        order = np.arange(len(self.dataset))
        if self.shuffle:
            self._generator(epoch).shuffle(order)
        return order

    def crops(self, epoch: int, batch: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (count, 2) int64 and flips (count,) bool of a batch, on the host."""
        rng = self._generator(epoch, batch)
        return rng.integers(0, 2 * self.pad + 1, (count, 2)), rng.random(count) < 0.5

    def _generator(self, *place: int) -> np.random.Generator:
        """A stream of its own for each epoch's order and each batch's augmentation."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=place))

    def _input(self, chosen, epoch: int, batch: int):
        kernel, stored = backend.kernel("augment"), backend.storage()
        if not self.augment:
            return kernel.normalize(self.images, chosen, self.mean, self.inv_std, stored)
        offsets, flips = map(backend.asarray, self.crops(epoch, batch, len(chosen)))
        return kernel.forward(
            self.images, chosen, offsets, flips, self.pad, self.mean, self.inv_std, stored
        )
