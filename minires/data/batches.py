"""PyTorch's ways to hold data: tensors side by side, parts of a data set, batches of anything.

`Loader` is for one data set of images, with the paper's augmentation and the same batches in every
run. These are for everything else.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minires import backend
from minires.arguments import flag, integer
from minires.data.dataset import Dataset, on_device
from minires.tensor import Tensor, as_tensor


class TensorDataset:
    """Tensors or arrays of one length: item i is a tuple of their rows i."""

    def __init__(self, *tensors):
        if not tensors:
            raise ValueError("TensorDataset: give at least one tensor")
        self.tensors = tuple(as_tensor(tensor).detach() for tensor in tensors)
        lengths = [tensor.shape[0] if tensor.ndim else None for tensor in self.tensors]
        if None in lengths or len(set(lengths)) > 1:
            shapes = ", ".join(str(tensor.shape) for tensor in self.tensors)
            raise ValueError(f"TensorDataset: all tensors must have one length, but are {shapes}")

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, i) -> tuple[Tensor, ...]:
        return tuple(tensor[i] for tensor in self.tensors)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{tensor.shape} {tensor.dtype}" for tensor in self.tensors)
        return f"TensorDataset({shapes})"


class Subset:
    """The items of a data set at these places."""

    def __init__(self, dataset, indices: Sequence[int]):
        self.dataset = dataset
        self.indices = [integer("Subset", "an index", i, least=0) for i in indices]
        if self.indices and max(self.indices) >= len(dataset):
            raise IndexError(
                f"Subset: there is no item {max(self.indices)}; there are {len(dataset)}"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int):
        return self.dataset[self.indices[i]]

    def __repr__(self) -> str:
        return f"Subset({len(self):,} of {self.dataset!r})"


def as_dataset(found):
    """A Subset of a Dataset as a Dataset; everything else as it is."""
    if not isinstance(found, Subset):
        return found
    whole = as_dataset(found.dataset)
    return whole.take(np.array(found.indices, int)) if isinstance(whole, Dataset) else found


def random_split(dataset, lengths: Sequence[float]) -> list:
    """Parts of a data set, drawn at random: by numbers of items, or by shares whose sum is 1.

    Parts of a `Dataset` are Datasets, those of anything else are Subsets. `minires.seed` decides
    what is drawn.
    """
    total = len(dataset)
    if lengths and all(isinstance(n, float) for n in lengths) and abs(sum(lengths) - 1) < 1e-6:
        sizes = [int(total * share) for share in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
    else:
        sizes = [integer("random_split", "a length", n, least=0) for n in lengths]
    if sum(sizes) != total:
        raise ValueError(f"random_split: the lengths {sizes} are not {total} items together")
    order = backend.generator().permutation(total).tolist()
    ends = np.cumsum(sizes)
    parts = [
        Subset(dataset, order[end - n : end]) for n, end in zip(sizes, ends.tolist(), strict=True)
    ]
    return [as_dataset(part) for part in parts]


class DataLoader:
    """Batches of anything that has `len` and items: tuples of Tensors, stacked.

    Parameters
    ----------
    dataset
        A `Dataset`, a `TensorDataset`, or any object with `__len__` and `__getitem__`. A Dataset's
        batches are float32, as `Loader` makes them without a normalisation: images of uint8 become
        numbers from 0 to 1. Items of others keep their dtype.
    batch_size : int
    shuffle : bool
        A new order in every epoch, drawn from `minires.seed`'s generator.
    drop_last : bool
        Leave out the last batch if it is smaller.
    collate_fn : callable, optional
        Makes a batch of a list of items. By default their parts are stacked.
    num_workers : int
        0: batches are made by this process.
    """

    def __init__(
        self,
        dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        collate_fn: Callable | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
    ):
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"DataLoader: a data set has __len__ and __getitem__, but a "
                f"{type(dataset).__name__} has not"
            )
        if integer("DataLoader", "num_workers", num_workers, least=0):
            raise ValueError(
                f"DataLoader: num_workers must be 0, but is {num_workers}: this process makes the "
                f"batches"
            )
        self.dataset, self.collate_fn = as_dataset(dataset), collate_fn
        self.batch_size = integer("DataLoader", "batch_size", batch_size, least=1)
        self.shuffle = flag("DataLoader", "shuffle", shuffle)
        self.drop_last = flag("DataLoader", "drop_last", drop_last)

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        count = len(self.dataset)
        order = backend.generator().permutation(count) if self.shuffle else np.arange(count)
        for batch in range(len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            if self.collate_fn is None and isinstance(self.dataset, TensorDataset):
                yield self.dataset[chosen]
            elif self.collate_fn is None and isinstance(self.dataset, Dataset):
                yield _of_dataset(self.dataset, chosen)
            else:
                yield (self.collate_fn or collate)([self.dataset[int(i)] for i in chosen])

    def __repr__(self) -> str:
        return f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, shuffle={self.shuffle})"


def _of_dataset(dataset: Dataset, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
    """Images at these places, bytes as numbers from 0 to 1, and their labels."""
    x = on_device(dataset.images[chosen]).astype(np.float32, copy=False)
    if dataset.holds_bytes:
        x *= np.float32(1 / 255)
    return Tensor(x), Tensor(backend.asarray(dataset.labels[chosen]))


def collate(items: list) -> Any:
    """A batch of items: numbers and arrays stacked, tuples and dicts part by part."""
    first = items[0]
    if isinstance(first, tuple | list):
        return tuple(collate(list(parts)) for parts in zip(*items, strict=True))
    if isinstance(first, dict):
        return {name: collate([item[name] for item in items]) for name in first}
    arrays = [item.numpy() if isinstance(item, Tensor) else np.asarray(item) for item in items]
    if len({array.shape for array in arrays}) > 1:
        shapes = ", ".join(sorted({str(array.shape) for array in arrays})[:4])
        raise ValueError(
            f"DataLoader: items of different shapes ({shapes}) cannot be stacked; give a collate_fn"
        )
    stacked = np.stack(arrays)
    if stacked.dtype == np.float64 and isinstance(first, float):
        stacked = stacked.astype(np.float32)
    return Tensor(backend.asarray(stacked))
