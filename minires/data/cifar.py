"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read from the official files.

https://www.cs.toronto.edu/~kriz/cifar.html offers each set in two layouts with the same content:

binary   records of label bytes and 3,072 pixel bytes: one label for CIFAR-10; for CIFAR-100 the
         coarse label (20 groups), then the fine one (100 classes). Class names in a text file.
python   pickled dicts: ``data`` is (N, 3072) uint8, ``labels`` (or ``fine_labels``) a list.

In both, the 3,072 bytes are three planes of 32x32: red, green, blue. Here channels come last.

A pickle is a program, and running one from a stranger can do anything. So these are not run: a
reader of 40 lines (`_run_as_data`) follows the few instructions that build lists, dicts and
strings, and keeps each call that the pickle asks for as a note. Three kinds of note are then
understood (an array, its dtype, a byte string); any other makes the file refused.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minires.data.dataset import DataError, Dataset
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
    return _load(_SETS["cifar10"], Path(directory), download)


def load_cifar100(directory: str | Path, download: bool = False) -> tuple[Dataset, Dataset]:
    """CIFAR-100 with its fine labels: 50,000 training and 10,000 test images of 100 classes.

    As `load_cifar10`; the layout folders are ``cifar-100-binary`` and ``cifar-100-python``, and
    the archive is 161 MiB.
    """
    return _load(_SETS["cifar100"], Path(directory), download)


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
    found = _find(_SETS[name], Path(directory))
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
        layout = kind.layouts[0]
        url = SOURCE.rpartition("/")[0] + "/" + layout.archive
        found = layout, fetch(url, directory / layout.archive, layout.md5)
    if found is None:
        looked_for = ", ".join(
            [f"{layout.folder}/" for layout in kind.layouts]
            + [layout.archive for layout in kind.layouts]
        )
        raise DataError(
            f"no {kind.title} in {directory}: looked for {looked_for}, and for the files of these "
            f"folders in {directory} itself. Place one of them there (from {SOURCE}), or load "
            "with download=True"
        )
    layout, path = found
    if path.is_file():
        try:
            path = extract(path, path.with_name(layout.folder))
        except DataError as error:
            raise DataError(f"{error}. {kind.title} is at {SOURCE}") from error
    classes = _read_class_names(kind, layout, path / layout.class_names)
    return (
        _read(kind, layout, path, layout.train, kind.train_records, classes),
        _read(kind, layout, path, (layout.test,), kind.test_records, classes),
    )


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
    return Dataset(kind.name, images.reshape(-1, 32, 32, 3), labels.reshape(-1), classes)


def _read_class_names(kind: _Set, layout: _Layout, path: Path) -> tuple[str, ...]:
    count = list(kind.label_ranges.values())[-1]
    _check_is_file(path, most=1 << 16)
    if layout == kind.layouts[0]:
        names = path.read_text("utf-8", errors="replace").split()
    else:
        [names] = _from_pickle(path, 0, [kind.names_key], lambda ns: [_text(n) for n in ns])
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
    """As `_read_binary`, from a pickled dict."""
    _check_is_file(path, most=records * 8192 + (1 << 16))
    arrays = _from_pickle(path, records, ["data", *label_ranges], _array)
    shapes = [(records, PIXELS)] + [(records,)] * len(label_ranges)
    if arrays[0].dtype != np.uint8 or [a.shape for a in arrays] != shapes:
        expected = f"uint8 data and {', '.join(label_ranges)} of shapes {shapes}"
        raise _unfit(path, expected, f"it has {[(a.dtype.name, a.shape) for a in arrays]}")
    return arrays


def _check_is_file(path: Path, most: int | None = None) -> None:
    if not path.is_file():
        raise _unfit(path, "a file of that name", "there is none")
    if most is not None and (size := path.stat().st_size) > most:
        raise _unfit(path, f"at most {most:,} bytes", f"it has {size:,}")


def _unfit(path: Path, expected: str, came: str) -> DataError:
    return DataError(
        f"{path}: expected {expected}, but {came}. Place the official file there, from {SOURCE}"
    )


# Reading pickles without running them

_ARRAYS = {f"numpy.{core}.multiarray _reconstruct" for core in ("core", "_core")}  # protocols 0-4
_BUFFERS = {f"numpy.{core}.numeric _frombuffer" for core in ("core", "_core")}  # protocol 5
_DTYPE = "numpy dtype"
_ENCODE = "_codecs encode"  # how Python 3 writes bytes in the protocols of Python 2
_GLOBALS = {*_ARRAYS, *_BUFFERS, _DTYPE, _ENCODE, "numpy ndarray"}
_PUSHES = set(
    "INT BININT BININT1 BININT2 LONG LONG1 STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)


@dataclass
class _Call:
    """A call that a pickle asks for: noted, never made."""

    function: str
    arguments: tuple
    state: tuple = ()


def _from_pickle(path: Path, records: int, keys: list[str], understand: Callable) -> list:
    """``understand(value)`` of the `keys` of a pickled dict; a sentence for what does not fit."""
    try:
        pickled = _run_as_data(path, path.read_bytes(), 40 * records + 10_000)
        if not isinstance(pickled, dict) or not pickled.keys() >= set(keys):
            has = list(pickled)[:10] if isinstance(pickled, dict) else type(pickled).__name__
            raise _unfit(path, f"a pickled dict with {', '.join(keys)}", f"it holds {has}")
        return [understand(pickled[key]) for key in keys]
    except DataError:
        raise
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        raise _unfit(path, "a pickled CIFAR file", f"it is none ({error})") from error


def _run_as_data(path: Path, pickled: bytes, most_steps: int) -> object:
    """What a pickle builds, with a `_Call` for each call and text for each string of Python 2."""
    stack, marks, memo = [], [], {}

    def since_mark() -> list:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for step, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if step > most_steps:
            raise ValueError(f"it takes more than {most_steps:,} steps")
        match opcode.name:
            case name if name in _PUSHES:
                stack.append(argument)
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "MARK":
                marks.append(len(stack))
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(opcode.name[-1])
                stack[-size:] = [tuple(stack[-size:])]
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "LIST":
                stack.append(since_mark())
            case "DICT":
                items = since_mark()
                stack.append({_text(k): v for k, v in zip(items[::2], items[1::2], strict=True)})
            case "APPEND" | "APPENDS":
                items = [stack.pop()] if opcode.name == "APPEND" else since_mark()
                stack[-1].extend(items)
            case "SETITEM" | "SETITEMS":
                items = [stack.pop(-2), stack.pop()] if opcode.name == "SETITEM" else since_mark()
                stack[-1].update(
                    (_text(k), v) for k, v in zip(items[::2], items[1::2], strict=True)
                )
            case "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                memo[len(memo) if argument is None else argument] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL" | "STACK_GLOBAL":
                name = argument or " ".join([stack.pop(-2), stack.pop()])
                if name not in _GLOBALS:
                    raise _refused(path, f"the global {name.replace(' ', '.')[:100]}")
                stack.append(name)
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_Call(function, arguments))
            case "BUILD":
                state = stack.pop()
                stack[-1].state = state
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case name:
                raise _refused(path, f"the instruction {name}")
    raise AssertionError("genops ends with STOP or an error")


def _refused(path: Path, what: str) -> DataError:
    return DataError(
        f"{path} is refused: this pickle asks for {what}, which no CIFAR file needs; nothing of it "
        f"was run. It may be malicious: delete it and get the set from {SOURCE}"
    )


def _text(value: object) -> str:
    """A short string, whichever way it was pickled."""
    raw = value if isinstance(value, str) else _bytes(value)
    if len(raw) > 100:
        raise ValueError(f"a name of {len(raw)} characters")
    return raw if isinstance(raw, str) else bytes(raw).decode("latin1")


def _bytes(value: object) -> bytes | bytearray:
    if isinstance(value, _Call) and value.function == _ENCODE:
        value = value.arguments[0]
    if isinstance(value, str):  # how genops shows the bytes of Python 2
        value = value.encode("latin1")
    if not isinstance(value, bytes | bytearray):
        raise ValueError("something other than a string of bytes")
    return value


def _array(value: object) -> np.ndarray:
    """A pickled array of integers, or a list of integers as an array."""
    if isinstance(value, list):
        if not all(type(item) is int and abs(item) < 2**31 for item in value):
            raise ValueError("a list of something other than integers")
        return np.array(value, np.int64)
    if isinstance(value, _Call) and value.function in _ARRAYS:
        _, shape, dtype, fortran_order, raw = value.state
        order = "F" if fortran_order else "C"
    elif isinstance(value, _Call) and value.function in _BUFFERS:
        raw, dtype, shape, order = value.arguments
    else:
        raise ValueError("something other than an array")
    if dtype.function != _DTYPE:
        raise ValueError("an array without a dtype")
    code, byte_order = _text(dtype.arguments[0]), _text(dtype.state[1])
    if code not in ("u1", "u2", "u4", "i1", "i2", "i4", "i8") or byte_order not in tuple("|<>="):
        raise ValueError(f"an array of dtype {byte_order}{code}")
    return np.frombuffer(_bytes(raw), byte_order + code).reshape(shape, order=order)
