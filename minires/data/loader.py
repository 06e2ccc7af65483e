"""Batches: shuffled, augmented, normalised, on the current backend, reproducible from a seed.

See docs/decisions/training.md, "Same bits".
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minires import backend
from minires.arguments import flag, integer
from minires.cuda import graph
from minires.data.batches import as_dataset
from minires.data.dataset import Dataset, on_device
from minires.data.normalization import Normalization
from minires.tensor import Tensor


class Loader:
    """Hands out a data set in batches.

    Every random choice is a function of (seed, epoch, batch) alone: batch 7 of epoch 3 is the same
    in a fresh run, a resumed run, and when asked for on its own. `batches(epoch)` gives a certain
    epoch; plain iteration (`for x, labels in loader`) the next one each time, from 0 on.

    Parameters
    ----------
    dataset : Dataset, or Subset of one
    normalization : Normalization, optional
        Without one, images of uint8 become numbers from 0 to 1, others are handed on in float32.
        `Loader(dataset, 32)` is understood, too: 32 is the batch size then.
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
    transform : callable, optional
        ``transform(x)`` is given the Tensor x of each batch, (N, ...), normalised and augmented,
        and returns another one, or an array, of as many rows. A function of one image is
        ``lambda x: mr.stack([function(image) for image in x])``. Numbers that it draws are its own
        affair: `seed` knows nothing of them.

    Floats are taken as they are: a normalisation subtracts its mean and divides, without the 1/255
    of bytes. Rows of a table are not augmented.

    The images are brought to the current backend once, as bytes: 150 MB of GPU memory for CIFAR-10.
    """

    def __init__(
        self,
        dataset: Dataset,
        normalization: Normalization | int | None = None,
        batch_size: int = 128,
        shuffle: bool = False,
        augment: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        pad: int = 4,
        transform: Callable[[Tensor], Any] | None = None,
    ):
        if isinstance(normalization, int | np.integer) and not isinstance(normalization, bool):
            if batch_size != 128:
                raise TypeError(
                    f"Loader: two batch sizes are given, {normalization} and {batch_size}"
                )
            batch_size, normalization = int(normalization), None
        dataset = as_dataset(dataset)
        if not isinstance(dataset, Dataset):
            raise TypeError(
                f"Loader: dataset must be a Dataset, but is a {type(dataset).__name__}; a "
                f"DataLoader takes anything with items"
            )
        if not isinstance(normalization, Normalization | None):
            raise TypeError(
                f"Loader: normalization must be a Normalization, but is a "
                f"{type(normalization).__name__}"
            )
        if not (transform is None or callable(transform)):
            raise TypeError(f"Loader: transform must be a function, but is {transform!r:.60}")
        self.dataset, self.transform = dataset, transform
        self.batch_size = integer("Loader", "batch_size", batch_size, least=1)
        self.seed = integer("Loader", "seed", seed, least=0)
        self.pad = integer("Loader", "pad", pad, least=0)
        self.shuffle = flag("Loader", "shuffle", shuffle)
        self.augment = flag("Loader", "augment", augment)
        self.drop_last = flag("Loader", "drop_last", drop_last)
        self.next_epoch = 0
        if self.augment and dataset.images.ndim != 4:
            raise ValueError(
                f"Loader: images are augmented, but {dataset.name} has rows of "
                f"{dataset.images.shape[1:]}"
            )
        self.normalization = normalization
        self.mean, self.inv_std = self._normalizers(normalization)
        self.images = on_device(dataset.images)  # whole, on the device
        self.labels = backend.asarray(dataset.labels)
        if len(self) == 0:
            raise ValueError(
                f"Loader: {len(dataset)} images give no batch of {self.batch_size}"
                + (" (drop_last is on)" if self.drop_last else "")
            )

    def _normalizers(self, normalization: Normalization | None) -> tuple:
        """What is subtracted from each image, and what it is multiplied with."""
        shape = self.dataset.images.shape[1:]
        if normalization is None:
            return backend.asarray(np.zeros(shape, "f4")), backend.asarray(np.ones(shape, "f4"))
        if normalization.mean.shape not in (shape, shape[-1:]):
            raise ValueError(
                f"Loader: the {normalization.name} normalisation is made for images of "
                f"{normalization.mean.shape}, but these are {shape}"
            )
        mean, inv_std = (
            backend.asarray(np.broadcast_to(value, shape), np.float32)
            for value in (normalization.mean, normalization.inv_std)
        )
        return mean, inv_std

    def __repr__(self) -> str:
        how = [
            name for name in ("shuffle", "augment", "drop_last", "transform") if getattr(self, name)
        ]
        how = [self.normalization.name, *how] if self.normalization else how
        text = "".join(f", {name}" for name in how)
        return f"Loader({self.dataset!r}, {len(self):,} batches of {self.batch_size}{text})"

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
        x : Tensor (N, ...), float32; images of uint8 as `backend.storage` says
        labels : int64 array (N,) on the current backend, or float32 targets
        """
        epoch, start = self.place(epoch, start)
        graph.refuse("a batch of a Loader, which is drawn on the host (see data.ResidentBatches)")
        order = backend.asarray(self.order(epoch))
        for batch in range(start, len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            x = Tensor(self._input(chosen, epoch, batch))
            yield x if self.transform is None else self._transformed(x), self.labels[chosen]

    def _transformed(self, x: Tensor) -> Tensor:
        assert self.transform is not None
        y = self.transform(x)
        shape = y.shape if hasattr(y, "shape") else np.shape(y)
        if shape[:1] != (len(x),):
            raise ValueError(
                f"Loader: transform is given {len(x)} images at once, {x.shape}, and must return "
                f"as many, but returned a {type(y).__name__} of shape {shape}"
            )
        return y if isinstance(y, Tensor) else Tensor(backend.asarray(y, np.float32))

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
        if not self.dataset.holds_bytes:
            return self._input_of_floats(chosen, epoch, batch)
        if not self.augment:
            return kernel.normalize(self.images, chosen, self.mean, self.inv_std, stored)
        offsets, flips = map(backend.asarray, self.crops(epoch, batch, len(chosen)))
        return kernel.forward(
            self.images, chosen, offsets, flips, self.pad, self.mean, self.inv_std, stored
        )

    def _input_of_floats(self, chosen, epoch: int, batch: int):
        x = (self.images[chosen].astype(np.float32) - self.mean) * self.inv_std
        if self.augment:
            offsets, flips = map(backend.asarray, self.crops(epoch, batch, len(chosen)))
            x = backend.kernel("augment", "numpy").crop(x, offsets, flips, self.pad)
        return backend.asarray(x)
