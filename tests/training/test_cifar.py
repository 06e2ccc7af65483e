"""CIFAR: what is read is what the official files hold; any other file is refused with a sentence.

The sets here are small (their official record counts are replaced); `real_cifar10` is the real one.
"""

import copyreg
import dataclasses
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from minires.data import cifar
from minires.data.cifar import find, load_cifar10, load_cifar100
from minires.data.dataset import DataError

LOAD = {"cifar10": load_cifar10, "cifar100": load_cifar100}
NAMES = {
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck".split(),
    "cifar100": [f"class_{i}" for i in range(100)],
}


@pytest.fixture(autouse=True)
def small(monkeypatch, request):
    """Sets of the official shape, with 20 and 10 images in a training and a test file."""
    if "real_cifar10" not in request.fixturenames:
        for name, kind in list(cifar._SETS.items()):
            smaller = dataclasses.replace(kind, train_records=20, test_records=10)
            monkeypatch.setitem(cifar._SETS, name, smaller)


def batches(name):
    """The content of each file: planes (n, 3072) and {key: labels}, the same at every call."""
    rng = np.random.default_rng(7)
    counts = [20] * len(cifar._SETS[name].layouts[0].train) + [10]
    return [
        (
            rng.integers(0, 256, (n, 3072), np.uint8),
            {key: rng.integers(0, k, n) for key, k in cifar._SETS[name].label_ranges.items()},
        )
        for n in counts
    ]


def write(name, directory, dumps=None):
    """A set in the python layout, pickled by `dumps`, or in the binary one if there is none."""
    kind = cifar._SETS[name]
    layout = kind.layouts[dumps is not None]
    folder = directory / layout.folder
    folder.mkdir(parents=True)
    for file, (planes, labels) in zip((*layout.train, layout.test), batches(name), strict=True):
        columns = [column.astype(np.uint8)[:, None] for column in labels.values()]
        content = np.hstack([*columns, planes]).tobytes()
        if dumps:
            batch = {b"batch_label": b"one of 5", b"data": planes, b"filenames": [b"s_01.png"] * 9}
            content = dumps(batch | {key.encode(): c.tolist() for key, c in labels.items()})
        (folder / file).write_bytes(content)
    content = "\n".join(NAMES[name]).encode() + b"\n\n"
    if dumps:
        content = dumps({kind.names_key.encode(): [name.encode() for name in NAMES[name]]})
    (folder / layout.class_names).write_bytes(content)
    return folder


def dumps_like_python2(value):
    """The pickle that Python 2 writes: its strings are bytes, its NumPy is old."""

    class Pickler(pickle._Pickler):
        def save_string(self, text):
            raw = text if isinstance(text, bytes) else text.encode()
            self.write(b"T" + struct.pack("<i", len(raw)) + raw)

        dispatch = pickle._Pickler.dispatch | {bytes: save_string, str: save_string}

    file = io.BytesIO()
    Pickler(file, 2).dump(value)
    return file.getvalue().replace(b"numpy._core", b"numpy.core")


def dumps_after(change, *keys):
    return lambda batch: pickle.dumps({k: change(v) if k in keys else v for k, v in batch.items()})


LAYOUTS = {"binary": None, "Python 2": dumps_like_python2}
LAYOUTS |= {f"protocol {p}": lambda value, p=p: pickle.dumps(value, p) for p in range(6)}
LAYOUTS |= {
    "Fortran order": dumps_after(np.asfortranarray, b"data"),
    "label arrays": dumps_after(lambda v: np.array(v, ">i4"), b"labels", b"fine_labels"),
}
either_layout = pytest.mark.parametrize("dumps", [None, pickle.dumps], ids=["binary", "python"])


def assert_holds_the_batches(train, test, name):
    expected = batches(name)
    planes = np.concatenate([p for p, _ in expected])
    labels = np.concatenate([list(columns.values())[-1] for _, columns in expected])
    images = np.moveaxis(planes.reshape(-1, 3, 32, 32), 1, 3)
    assert len(test) == 10 and len(train) == len(planes) - 10
    for dataset, part in ((train, slice(0, -10)), (test, slice(-10, None))):
        np.testing.assert_array_equal(dataset.images, images[part])
        np.testing.assert_array_equal(dataset.labels, labels[part])
        assert dataset.images.dtype == np.uint8 and dataset.labels.dtype == np.int64
        assert dataset.images.flags.c_contiguous and dataset.images.flags.writeable
        assert dataset.classes == tuple(NAMES[name]) and dataset.name == name


def assert_refused(load, directory, *words):
    """`load` raises a sentence with these words that says where to get the official files."""
    with pytest.raises(DataError) as caught:
        load(directory)
    for word in (*words, cifar.SOURCE):
        assert str(word) in str(caught.value)


# What the files hold is what is read


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", LOAD)
def test_each_layout_holds_the_images_whoever_pickled_it(name, layout, tmp_path):
    write(name, tmp_path, LAYOUTS[layout])
    assert_holds_the_batches(*LOAD[name](tmp_path), name)


def test_a_pixel_lands_at_its_row_column_and_channel(tmp_path):
    folder = write("cifar10", tmp_path)
    content = bytearray(20 * 3073)
    row, column, blue = 5, 9, 2
    content[3 * 3073 + 1 + blue * 1024 + row * 32 + column] = 200
    (folder / "data_batch_2.bin").write_bytes(content)
    images = load_cifar10(tmp_path)[0].images[20:40]
    assert images[3, row, column, blue] == 200 and images.sum() == 200


def test_the_real_cifar10(real_cifar10):
    train, test = load_cifar10(real_cifar10)
    assert train.images.shape == (50_000, 32, 32, 3) and test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(train.labels).tolist() == [5_000] * 10
    assert np.bincount(test.labels).tolist() == [1_000] * 10
    assert train.classes == test.classes == tuple(NAMES["cifar10"])
    mean = train.images.mean((0, 1, 2), dtype=np.float64) / 255
    np.testing.assert_allclose(mean, (0.4914, 0.4822, 0.4465), atol=1e-3)


# Where it is looked for


def pack(folder, archive, folder_name):
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder_name)


@either_layout
@pytest.mark.parametrize("name", LOAD)
def test_a_set_is_found_in_a_folder_as_the_folder_and_as_an_archive(
    name, dumps, tmp_path, monkeypatch
):
    assert find(name, tmp_path) is None
    folder = write(name, tmp_path / "source", dumps)
    assert find(name, tmp_path / "source") == find(name, str(folder)) == folder
    assert_holds_the_batches(*LOAD[name](folder), name)
    renamed = folder.rename(tmp_path / "my data")
    assert find(name, renamed) == renamed

    monkeypatch.setattr(cifar, "fetch", lambda *asked: None)  # as if the checksum were right
    archive = tmp_path / cifar._SETS[name].layouts[dumps is not None].archive
    pack(renamed, archive, folder.name)
    assert find(name, tmp_path) == archive
    assert_holds_the_batches(*LOAD[name](str(tmp_path)), name)
    assert find(name, tmp_path) == tmp_path / folder.name
    assert len(list(tmp_path.iterdir())) == 4  # and no temporary folder


def test_a_missing_set_is_downloaded_once_unpacked_and_read(tmp_path, monkeypatch):
    folder = write("cifar10", tmp_path / "source")
    asked = []

    def fetch(url, destination, md5):
        asked.append((url, md5))
        destination.parent.mkdir()
        pack(folder, destination, folder.name)

    monkeypatch.setattr(cifar, "fetch", fetch)
    for _ in range(2):
        assert_holds_the_batches(*load_cifar10(tmp_path / "data", download=True), "cifar10")
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert asked == [(url, "c32a1d4ab5d03f1284b67883e8d87530")]


def test_an_archive_other_than_the_official_one_is_not_unpacked(tmp_path):
    folder = write("cifar10", tmp_path / "source")
    pack(folder, tmp_path / "cifar-10-binary.tar.gz", folder.name)
    with pytest.raises(DataError, match="binary.tar.gz has md5 .*, expected c32a1d4.*kriz/"):
        load_cifar10(tmp_path)
    assert not (tmp_path / "cifar-10-batches-bin").exists()


def test_a_folder_with_a_file_named_test_is_no_cifar100(tmp_path):
    (tmp_path / "test").write_text("unrelated")
    (tmp_path / "train").mkdir()
    assert find("cifar100", tmp_path) is None
    with pytest.raises(DataError, match="cifar10, cifar100, got 'mnist'"):
        find("mnist", tmp_path)


@pytest.mark.parametrize("name", LOAD)
def test_a_missing_set_is_named_with_every_place_looked_at(name, tmp_path):
    places = [word for k in cifar._SETS[name].layouts for word in (f"{k.folder}/", k.archive)]
    assert_refused(LOAD[name], tmp_path / "absent", tmp_path / "absent", *places)
    with pytest.raises(DataError, match=rf"load_{name}\(directory, download=True\) downloads it"):
        LOAD[name](tmp_path / "absent")  # in a note, which the command line does not print


# Files that are not what they should be


@pytest.mark.parametrize("file", ["data_batch_2.bin", "test_batch.bin", "batches.meta.txt"])
@either_layout
def test_a_missing_file_is_named(dumps, file, tmp_path):
    path = write("cifar10", tmp_path, dumps) / (file.rpartition(".")[0] if dumps else file)
    path.unlink()
    assert_refused(load_cifar10, tmp_path, path, "there is none")


def with_byte(at, byte):
    return lambda content: content[:at] + bytes([byte]) + content[at + 1 :]


BROKEN = {  # file, what happens to its content, what the refusal says
    "truncated": ("data_batch_3.bin", lambda c: c[:-1], "61,460 bytes (20 records of 3,073), but"),
    "oversized": ("data_batch_3.bin", lambda c: c + b"\0", "it has 61,461"),
    "empty": ("data_batch_3.bin", lambda c: b"", "it has 0"),
    "label": ("test_batch.bin", with_byte(4 * 3073, 10), "labels from 0 to 9, but record 4 has 10"),
    "coarse label": ("train.bin", with_byte(0, 20), "coarse_labels from 0 to 19, but record 0 has"),
    "fine label": ("test.bin", with_byte(3075, 100), "fine_labels from 0 to 99, but record 1 has"),
    "no names": ("batches.meta.txt", lambda c: b"", "10 different class names"),
    "equal names": ("batches.meta.txt", lambda c: b"cat\n" * 10, "10 different class names"),
    "no text": ("fine_label_names.txt", lambda c: b"\xff" * 99, "100 different class names"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_binary_file_is_refused(how, tmp_path):
    file, change, why = BROKEN[how]
    name = "cifar10" if "batch" in file else "cifar100"
    path = write(name, tmp_path) / file
    path.write_bytes(change(path.read_bytes()))
    assert_refused(LOAD[name], tmp_path, path, why)


# Pickles that are not what they should be


class Call:
    """Pickled, the call of a function, and the state that its result is then given."""

    def __init__(self, function, arguments, *state):
        self.reduced = function, arguments, *state

    def __reduce__(self):
        return self.reduced


def dumps_with(**changes):
    batch = {b"data": np.zeros((20, 3072), np.uint8), b"labels": [0] * 20}
    return pickle.dumps(batch | {key.encode(): value for key, value in changes.items()}, 4)


def dumps_claiming(shape, dtype, raw):
    """An array whose shape and dtype need not fit its bytes."""
    state = 1, shape, np.dtype(dtype), False, raw
    return dumps_with(data=Call(*np.zeros(0).__reduce__()[:2], state))


FOREIGN = {
    "empty": (b"", "Ran out of input"),
    "text": (b"<!DOCTYPE html><title>404</title>", "invalid load key"),
    "too large": (dumps_with() + bytes(300_000), "at most 229,376 bytes"),
    "no dict": (pickle.dumps([1, 2]), "a list, not a dict"),
    "text keys": (pickle.dumps({"data": 1}), "it lacks data, labels"),
    "one record more": (dumps_with(data=np.zeros((21, 3072), np.uint8)), "(21, 3072)"),
    "one label less": (dumps_with(labels=[0] * 19), "(19,)"),
    "label out of range": (dumps_with(labels=[0] * 7 + [-1] * 13), "record 7 has -1"),
    "float data": (dumps_with(data=np.zeros((20, 300))), "of float64, not of integers"),
    "signed data": (dumps_with(data=np.zeros((20, 3072), np.int8)), "int8"),
    "object data": (dumps_claiming((20, 3072), object, [None] * 61440), "OBJECT"),
    "string data": (dumps_with(data=b"\0" * 61440), "other than integers"),
    "nested labels": (dumps_with(labels=[[0]] * 20), "other than integers"),
    "float labels": (dumps_with(labels=np.zeros(20)), "not of integers"),
    "huge label": (dumps_with(labels=[10**40] * 20), "too large"),
    "huge shape": (dumps_claiming((1 << 40, 3072), np.uint8, b""), "cannot reshape"),
    "huge array": (dumps_with(data=Call(np.ndarray, ((1 << 40,),))), "not callable"),
    "persistent id": (b"Pabc\n.", "outside of it"),
    "extension": (b"\x82\1.", "unregistered"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_pickle_is_refused(kind, tmp_path):
    content, why = FOREIGN[kind]
    path = write("cifar10", tmp_path, pickle.dumps) / "data_batch_4"
    path.write_bytes(content)
    assert_refused(load_cifar10, tmp_path, path, why)


@pytest.mark.parametrize("names", [b"airplane", list(range(10)), ["cat"] * 10, [b"cat"] * 10])
def test_wrong_pickled_class_names_are_refused(names, tmp_path):
    path = write("cifar10", tmp_path, pickle.dumps) / "batches.meta"
    path.write_bytes(pickle.dumps({b"label_names": names}))
    assert_refused(load_cifar10, tmp_path, path, "names")


@pytest.mark.parametrize("dumps", [pickle.dumps, dumps_like_python2])
def test_a_truncated_pickle_is_refused_wherever_it_ends(dumps, tmp_path):
    path = write("cifar10", tmp_path, dumps) / "batches.meta"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert_refused(load_cifar10, tmp_path, path, "expected a pickled CIFAR file")


SYSTEM = Call(os.system, ("touch executed",))
EVAL = Call(eval, ("open('executed', 'w')",))
MALICIOUS = {  # the first word is what the refusal names
    "posix.system": pickle.dumps(SYSTEM),
    "posix.system in protocol 0": pickle.dumps(SYSTEM, 0),
    "posix.system as a label": dumps_with(labels=[SYSTEM] * 20),
    "os.system by INST": b"(S'touch executed'\nios\nsystem\n.",
    "os.system by OBJ": b"(cos\nsystem\nS'touch executed'\no.",
    "builtins.eval": pickle.dumps(EVAL),
    "__builtin__.eval in protocol 2": pickle.dumps(EVAL, 2),
    "builtins.getattr": pickle.dumps(Call(getattr, (np.ndarray, "tofile"))),
    "numpy.ndarray.tofile": b"\x80\4\x8c\5numpy\x8c\x0endarray.tofile\x93.",
    "numpy.load": pickle.dumps(Call(np.load, ("executed",))),
    "copyreg._reconstructor": pickle.dumps(Call(copyreg._reconstructor, (list, object, None))),
}


@pytest.mark.parametrize("file", ["data_batch_1", "test_batch", "batches.meta"])
@pytest.mark.parametrize("attack", MALICIOUS)
def test_a_malicious_pickle_is_refused_and_not_run(attack, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write("cifar10", tmp_path, pickle.dumps) / file
    path.write_bytes(MALICIOUS[attack])
    assert_refused(load_cifar10, tmp_path, path, f"asks for {attack.split()[0]}, which was not run")
    assert not (tmp_path / "executed").exists()
