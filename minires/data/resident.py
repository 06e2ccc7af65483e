"""Batches that the device itself chooses, by tables of what the host drew for a whole epoch.

See docs/decisions/models_and_data.md, "Data on the device".
"""

import numpy as np

from minires import backend
from minires.data.loader import Loader
from minires.tensor import Tensor


class ResidentBatches:
    """The full batches of a Loader, to be taken inside of a step that is captured as a graph.

    They are the same batches to the bit. `load` brings an epoch's order, crops and flips to the
    device, 25 bytes an image; `next` launches the kernel that takes the batch `number` out of them.

    Parameters
    ----------
    loader : Loader
        A loader with at least one full batch. A smaller last one remains for the loader itself.

    Attributes
    ----------
    number : array () of int64
        Which batch of the epoch is next. On the device; who takes batches counts them.
    """

    def __init__(self, loader: Loader):
        if not loader.dataset.holds_bytes or loader.transform or not loader.dataset.classes:
            raise ValueError(
                f"ResidentBatches: a kernel makes these batches of uint8 images with classes, "
                f"without a transform, which {loader!r} has not; take the batches of the loader"
            )
        self.loader, self.count = loader, len(loader.dataset) // loader.batch_size
        if self.count == 0:
            raise ValueError(
                f"ResidentBatches: {len(loader.dataset)} images give no batch of "
                f"{loader.batch_size}"
            )
        images = self.count * loader.batch_size
        self.number = backend.asarray(0, np.int64)
        self._order = backend.asarray(np.zeros(images, np.int64))
        self._offsets = backend.asarray(np.zeros((images, 2), np.int64))
        self._flips = backend.asarray(np.zeros(images, bool))

    def __len__(self) -> int:
        """Full batches per epoch."""
        return self.count

    def load(self, epoch: int, start: int = 0) -> None:
        """Bring the choices of an epoch to the device; batch `start` is the next one."""
        loader = self.loader
        epoch, start = loader.place(epoch, start)
        self._order[...] = backend.asarray(loader.order(epoch)[: len(self._order)])
        if loader.augment:
            drawn = [loader.crops(epoch, batch, loader.batch_size) for batch in range(self.count)]
            offsets, flips = map(np.concatenate, zip(*drawn, strict=True))
            self._offsets[...], self._flips[...] = backend.asarray(offsets), backend.asarray(flips)
        self.number[...] = start

    def next(self) -> tuple[Tensor, object]:
        """The batch `number`: x (N, H, W, 3), a Tensor as a Loader's, and labels (N,), int64."""
        loader = self.loader
        x, labels = backend.kernel("augment").forward_at(
            loader.images,
            loader.labels,
            self._order,
            self._offsets,
            self._flips,
            loader.pad if loader.augment else 0,
            loader.mean,
            loader.inv_std,
            self.number,
            loader.batch_size,
            backend.storage(),
        )
        return Tensor(x), labels
