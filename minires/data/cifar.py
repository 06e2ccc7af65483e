"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read from the official files.

https://www.cs.toronto.edu/~kriz/cifar.html offers each set in two layouts with the same content:

binary   records of label bytes and 3,072 pixel bytes: one label for CIFAR-10; for CIFAR-100 the
         coarse label (20 groups), then the fine one (100 classes). Class names in a text file.
python   pickled dicts: ``data`` is (N, 3072) uint8, ``labels`` (or ``fine_labels``) a list.

In both, the 3,072 bytes are three planes of 32x32: red, green, blue. Here channels come last.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minires.data import pickled
from minires.data.dataset import DataError, Dataset, NotThere
from minires.data.download import extract, fetch

SOURCE = "https://www.cs.toronto.edu/~kriz/cifar.html"
PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class _Layout:
    """One of the two shapes in which a set is published."""

    folder: str
    archive: str
    md5: str
    train: tuple[str, ...]
    test: str
    class_names: str

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test, self.class_names)


@dataclass(frozen=True)
class _Set:
    """What is known of a set before any file is read."""

    name: str
    title: str
    train_records: int  # per training file
    test_records: int
    label_ranges: dict[str, int]  # pickle key -> number of values, in the order of the label bytes
    names_key: str  # of the class names in the pickled meta file
    layouts: tuple[_Layout, _Layout]  # binary, python


_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
_CIFAR10_BINARY = _Layout(
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    train=tuple(f"{name}.bin" for name in _BATCHES),
    test="test_batch.bin",
    class_names="batches.meta.txt",
)
_CIFAR10_PYTHON = _Layout(
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    train=_BATCHES,
    test="test_batch",
    class_names="batches.meta",
)
_CIFAR100_BINARY = _Layout(
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    train=("train.bin",),
    test="test.bin",
    class_names="fine_label_names.txt",
)
_CIFAR100_PYTHON = _Layout(
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
    train=("train",),
    test="test",
    class_names="meta",
)
_SETS = {
    "cifar10": _Set(
        name="cifar10",
        title="CIFAR-10",
        train_records=10_000,
        test_records=10_000,
        label_ranges={"labels": 10},
        names_key="label_names",
        layouts=(_CIFAR10_BINARY, _CIFAR10_PYTHON),
    ),
    "cifar100": _Set(
        name="cifar100",
        title="CIFAR-100",
        train_records=50_000,
        test_records=10_000,
        label_ranges={"coarse_labels": 20, "fine_labels": 100},
        names_key="fine_label_names",
        layouts=(_CIFAR100_BINARY, _CIFAR100_PYTHON),
    ),
}


def load_cifar10(directory: str | Path, download: bool = False) -> tuple[Dataset, Dataset]:
    """CIFAR-10: 50,000 training and 10,000 test images of 10 classes.

    Parameters
    ----------
    directory : str or Path
        A folder that holds a layout folder (``cifar-10-batches-bin`` or ``cifar-10-batches-py``)
        or an official archive of it, which is then unpacked beside itself; or a layout folder.
    download : bool
        Fetch the binary archive (162 MiB) into `directory` if nothing is found there.

    Returns
    -------
    train, test : Dataset
        Images (N, 32, 32, 3) uint8, C-contiguous; labels (N,) int64; 10 class names.

    Raises
    ------
    DataError
        The set is missing, or a file of it is missing, damaged or something else.
    """
    return _load(_SETS["cifar10"], Path(directory).expanduser(), download)


def load_cifar100(directory: str | Path, download: bool = False) -> tuple[Dataset, Dataset]:
    """CIFAR-100 with its fine labels: 50,000 training and 10,000 test images of 100 classes.

    As `load_cifar10`; the layout folders are ``cifar-100-binary`` and ``cifar-100-python``, and
    the archive is 161 MiB.
    """
    return _load(_SETS["cifar100"], Path(directory).expanduser(), download)


def find(name: str, directory: str | Path) -> Path | None:
    """The layout folder or archive that a loader would read, or None; opens no file.

    Parameters
    ----------
    name : {"cifar10", "cifar100"}
    directory : str or Path
        As for the loaders. A folder that is itself a layout is known by half of its files.
    """
    if name not in _SETS:
        raise DataError(f"find: expected one of {', '.join(_SETS)}, got {name!r}")
    found = _find(_SETS[name], Path(directory).expanduser())
    return found and found[1]


def _find(kind: _Set, directory: Path) -> tuple[_Layout, Path] | None:
    for layout in kind.layouts:
        if (folder := directory / layout.folder).is_dir():
            return layout, folder
        present = sum((directory / file).is_file() for file in layout.files)
        if 2 * present >= len(layout.files) or (present and directory.name == layout.folder):
            return layout, directory
    for layout in kind.layouts:
        if (archive := directory / layout.archive).is_file():
            return layout, archive
    return None


def _load(kind: _Set, directory: Path, download: bool) -> tuple[Dataset, Dataset]:
    found = _find(kind, directory)
    if found is None and download:
        found = kind.layouts[0], directory / kind.layouts[0].archive
    if found is None:
        folders = [f"{layout.folder}/" for layout in kind.layouts]
        looked_for = ", ".join(folders + [layout.archive for layout in kind.layouts])
        missing = NotThere(
            f"no {kind.title} in {directory}: looked for {looked_for}, and for the files of these "
            f"folders in {directory} itself. Place one of them there (from {SOURCE})"
        )
        missing.add_note(f"load_{kind.name}(directory, download=True) downloads it")
        raise missing
    layout, path = found
    if not path.is_dir():
        fetch(SOURCE.rpartition("/")[0] + "/" + layout.archive, path, layout.md5)
        path = extract(path, path.with_name(layout.folder))
    classes = _read_class_names(kind, layout, path / layout.class_names)
    train = _read(kind, layout, path, layout.train, kind.train_records, classes)
    test = _read(kind, layout, path, (layout.test,), kind.test_records, classes)
    for i, file in enumerate(layout.train):
        part = slice(i * kind.train_records, (i + 1) * kind.train_records)
        if _are_equal(test.images, test.labels, train.images[part], train.labels[part]):
            raise _unfit(path / layout.test, "images of its own", f"it is the same as {file}")
    return train, test


def _are_equal(images, labels, other_images, other_labels) -> bool:
    """Whether two files hold the same; equal labels alone are next to impossible."""
    return np.array_equal(labels, other_labels) and np.array_equal(images, other_images)


def _read(
    kind: _Set,
    layout: _Layout,
    folder: Path,
    files: tuple[str, ...],
    records: int,
    classes: tuple[str, ...],
) -> Dataset:
    read_file = _read_binary if layout == kind.layouts[0] else _read_python
    images = np.empty((len(files), records, 32, 32, 3), np.uint8)
    labels = np.empty((len(files), records), np.int64)
    for i, file in enumerate(files):
        pixels, *label_columns = read_file(folder / file, records, kind.label_ranges)
        for column, (key, count) in zip(label_columns, kind.label_ranges.items(), strict=True):
            bad = np.flatnonzero((column < 0) | (column >= count))
            if len(bad):
                raise _unfit(
                    folder / file,
                    f"{key} from 0 to {count - 1}",
                    f"record {bad[0]} has {column[bad[0]]}",
                )
        images[i] = pixels.reshape(records, 3, 32, 32).transpose(0, 2, 3, 1)
        labels[i] = label_columns[-1]
        for j in range(i):
            if _are_equal(images[i], labels[i], images[j], labels[j]):
                raise _unfit(folder / file, "images of its own", f"it is the same as {files[j]}")
    return Dataset(kind.name, images.reshape(-1, 32, 32, 3), labels.reshape(-1), classes)


def _read_class_names(kind: _Set, layout: _Layout, path: Path) -> tuple[str, ...]:
    count = list(kind.label_ranges.values())[-1]
    if layout == kind.layouts[0]:
        _check_is_file(path, most=1 << 16)
        names = path.read_text("utf-8", errors="replace").split()
    else:
        [names] = _from_pickle(path, 1 << 16, [kind.names_key], pickled.names)
    if len(set(names)) != count or len(names) != count:
        raise _unfit(path, f"{count} different class names", f"it holds {len(names)}: {names[:3]}")
    return tuple(names)


def _read_binary(path: Path, records: int, label_ranges: dict[str, int]) -> list[np.ndarray]:
    """The pixels (N, 3072), then one array (N,) for each kind of label."""
    record = len(label_ranges) + PIXELS
    _check_is_file(path)
    if (size := path.stat().st_size) != records * record:
        expected = f"{records * record:,} bytes ({records:,} records of {record:,})"
        raise _unfit(path, expected, f"it has {size:,}")
    content = np.fromfile(path, np.uint8).reshape(records, record)
    return [content[:, -PIXELS:], *content[:, :-PIXELS].T]


def _read_python(path: Path, records: int, label_ranges: dict[str, int]) -> list[np.ndarray]:
    """The same as `_read_binary`, from a pickled dict."""
    most = records * 8192 + (1 << 16)
    arrays = _from_pickle(path, most, ["data", *label_ranges], pickled.integers)
    shapes = [(records, PIXELS)] + [(records,)] * len(label_ranges)
    if arrays[0].dtype != np.uint8 or [a.shape for a in arrays] != shapes:
        expected = f"uint8 data and {', '.join(label_ranges)} of shapes {shapes}"
        raise _unfit(path, expected, f"it has {[(a.dtype.name, a.shape) for a in arrays]}")
    return arrays


def _from_pickle(path: Path, most: int, keys: list[str], convert: Callable) -> list:
    _check_is_file(path, most)
    try:
        return pickled.load(path.read_bytes(), keys, convert)
    except pickle.UnpicklingError as error:
        raise _unfit(path, "a pickled CIFAR file", str(error)) from error


def _check_is_file(path: Path, most: int | None = None) -> None:
    if not path.is_file():
        raise _unfit(path, "a file of that name", "there is none")
    if most is not None and (size := path.stat().st_size) > most:
        raise _unfit(path, f"at most {most:,} bytes", f"it has {size:,}")


def _unfit(path: Path, expected: str, came: str) -> DataError:
    return DataError(
        f"{path}: expected {expected}, but {came}. Place the official file there, from {SOURCE}"
    )
