"""CIFAR: what is read is what the files hold, and whatever else they may hold does no harm.

The sets here are small (their official record counts are replaced); `real_cifar10` is the real one.
"""

import dataclasses
import fcntl
import gzip
import hashlib
import http.server
import io
import os
import pickle
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zlib

import numpy as np
import pytest

from minires.data import cifar, download
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
    """File index -> (planes (n, 3072), {key: labels}), the same at every call."""
    rng = np.random.default_rng(7)
    counts = [20] * len(cifar._SETS[name].layouts[0].train) + [10]
    return [
        (
            rng.integers(0, 256, (n, 3072), np.uint8),
            {key: rng.integers(0, k, n) for key, k in cifar._SETS[name].label_ranges.items()},
        )
        for n in counts
    ]


def write_binary(name, directory):
    layout = cifar._SETS[name].layouts[0]
    folder = directory / layout.folder
    folder.mkdir(parents=True)
    for file, (planes, labels) in zip((*layout.train, layout.test), batches(name), strict=True):
        columns = [column.astype(np.uint8)[:, None] for column in labels.values()]
        (folder / file).write_bytes(np.hstack([*columns, planes]).tobytes())
    (folder / layout.class_names).write_text("\n".join(NAMES[name]) + "\n\n")
    return folder


def write_python(name, directory, dumps):
    kind = cifar._SETS[name]
    layout = kind.layouts[1]
    folder = directory / layout.folder
    folder.mkdir(parents=True)
    for file, (planes, labels) in zip((*layout.train, layout.test), batches(name), strict=True):
        filenames = [f"s_{i:06}.png".encode() for i in range(len(planes))]
        batch = {b"batch_label": b"one of 5", b"data": planes, b"filenames": filenames}
        batch |= {key.encode(): column.tolist() for key, column in labels.items()}
        (folder / file).write_bytes(dumps(batch))
    meta = {b"num_vis": 3072, kind.names_key.encode(): [n.encode() for n in NAMES[name]]}
    (folder / layout.class_names).write_bytes(dumps(meta))
    return folder


def dumps_like_python2(value):
    """The pickle (protocol 2) that Python 2 writes: its strings are bytes, its numpy is old."""

    def write(value):
        if isinstance(value, dict):
            return b"}(" + b"".join(write(k) + write(v) for k, v in value.items()) + b"u"
        if isinstance(value, list):
            return b"](" + b"".join(write(item) for item in value) + b"e"
        if isinstance(value, bytes):
            return b"U" + bytes([len(value)]) + value
        if isinstance(value, int):
            return b"J" + struct.pack("<i", value)
        raw = value.tobytes()
        return (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R"
            b"(K\1" + b"".join(write(n) for n in value.shape) + b"\x86"
            b"cnumpy\ndtype\nU\2u1K\0K\1\x87R(K\3U\1|NNN" + 2 * write(-1) + b"K\0tb"
            b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
        )

    return b"\x80\2" + write(value) + b"."


def with_text_keys(value):
    return pickle.dumps({k.decode(): v for k, v in value.items()})


def transposed(value):
    return pickle.dumps(
        {k: np.asfortranarray(v) if isinstance(v, np.ndarray) else v for k, v in value.items()}
    )


PICKLERS = {f"protocol{p}": lambda value, p=p: pickle.dumps(value, p) for p in range(6)} | {
    "python2": dumps_like_python2,
    "text_keys": with_text_keys,
    "fortran_order": transposed,
    "label_arrays": lambda value: pickle.dumps(
        {k: np.array(v) if k.endswith(b"labels") else v for k, v in value.items()}
    ),
}


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


# What the files hold is what is read


@pytest.mark.parametrize("name", LOAD)
def test_the_binary_layout_holds_the_images(name, tmp_path):
    write_binary(name, tmp_path)
    assert_holds_the_batches(*LOAD[name](tmp_path), name)


@pytest.mark.parametrize("pickler", PICKLERS)
@pytest.mark.parametrize("name", LOAD)
def test_the_python_layout_holds_the_images_whoever_pickled_it(name, pickler, tmp_path):
    write_python(name, tmp_path, PICKLERS[pickler])
    assert_holds_the_batches(*LOAD[name](tmp_path), name)


def test_the_python2_pickles_of_these_tests_are_real_pickles():
    batch = {b"data": np.arange(6, dtype=np.uint8).reshape(2, 3), b"labels": [1, -2]}
    loaded = pickle.loads(dumps_like_python2(batch), encoding="bytes")
    np.testing.assert_array_equal(loaded[b"data"], batch[b"data"])
    assert loaded[b"labels"] == batch[b"labels"]


def test_a_pixel_lands_at_its_row_column_and_channel(tmp_path):
    folder = write_binary("cifar10", tmp_path)
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


@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("name", LOAD)
def test_a_set_is_found_in_a_folder_as_the_folder_and_as_an_archive(name, layout, tmp_path):
    assert find(name, tmp_path) is None
    source = tmp_path / "source"
    folder = write_python(name, source, pickle.dumps) if layout else write_binary(name, source)
    assert find(name, source) == find(name, str(folder)) == folder
    assert_holds_the_batches(*LOAD[name](folder), name)
    renamed = folder.rename(tmp_path / "my data")
    assert find(name, renamed) == renamed

    archive = tmp_path / cifar._SETS[name].layouts[layout].archive
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(renamed, folder.name)
    assert find(name, tmp_path) == archive
    assert_holds_the_batches(*LOAD[name](str(tmp_path)), name)
    assert find(name, tmp_path) == tmp_path / folder.name
    assert {p.name for p in tmp_path.iterdir()} == {
        "source", "my data", archive.name, folder.name
    }  # fmt: skip


def test_a_folder_with_a_file_named_test_is_no_cifar100(tmp_path):
    (tmp_path / "test").write_text("unrelated")
    (tmp_path / "train").mkdir()
    assert find("cifar100", tmp_path) is None
    with pytest.raises(DataError, match="cifar10, cifar100, got 'mnist'"):
        find("mnist", tmp_path)


@pytest.mark.parametrize("name", LOAD)
def test_a_missing_set_is_named_with_every_place_looked_at(name, tmp_path):
    with pytest.raises(DataError) as caught:
        LOAD[name](tmp_path / "absent")
    message = str(caught.value)
    for layout in cifar._SETS[name].layouts:
        assert f"{layout.folder}/" in message and layout.archive in message
    assert str(tmp_path / "absent") in message and "download=True" in message
    assert cifar.SOURCE in message


# Files that are not what they should be


def refused(load, directory, *words):
    with pytest.raises(DataError) as caught:
        load(directory)
    for word in (*words, cifar.SOURCE):
        assert word in str(caught.value)


@pytest.mark.parametrize("change", ["truncated", "oversized", "empty", "missing", "a folder"])
def test_a_binary_file_of_the_wrong_size_is_refused(change, tmp_path):
    path = write_binary("cifar10", tmp_path) / "data_batch_3.bin"
    content = path.read_bytes()
    path.unlink()
    if change == "a folder":
        path.mkdir()
    elif change != "missing":
        changed = {"truncated": content[:-1], "oversized": content + b"\0", "empty": b""}[change]
        path.write_bytes(changed)
        refused(load_cifar10, tmp_path, str(path), "61,460 bytes", f"{len(changed):,}")
    refused(load_cifar10, tmp_path, str(path))


def test_labels_out_of_range_are_refused(tmp_path):
    path = write_binary("cifar10", tmp_path) / "test_batch.bin"
    content = bytearray(path.read_bytes())
    content[4 * 3073] = 10
    path.write_bytes(content)
    refused(load_cifar10, tmp_path, str(path), "labels from 0 to 9", "record 4 has 10")

    path = write_binary("cifar100", tmp_path) / "train.bin"
    content = bytearray(path.read_bytes())
    content[0] = 20
    path.write_bytes(content)
    refused(load_cifar100, tmp_path, str(path), "coarse_labels from 0 to 19", "record 0 has 20")

    path = write_python("cifar100", tmp_path / "python", pickle.dumps) / "train"
    batch = pickle.loads(path.read_bytes())
    batch[b"fine_labels"][7] = -1
    path.write_bytes(pickle.dumps(batch))
    refused(load_cifar100, path.parent, str(path), "fine_labels from 0 to 99", "record 7 has -1")


@pytest.mark.parametrize("text", ["", "cat\ndog\n", "\n".join(["cat"] * 10), "\xff" * 99])
def test_wrong_class_names_are_refused(text, tmp_path):
    path = write_binary("cifar10", tmp_path) / "batches.meta.txt"
    path.write_text(text, "latin1")
    refused(load_cifar10, tmp_path, str(path), "10 different class names")


good = {b"data": np.zeros((20, 3072), np.uint8), b"labels": [0] * 20}
FOREIGN = {
    "empty": b"",
    "noise": bytes(range(256)) * 99,
    "text": b"<!DOCTYPE html><title>404</title>",
    "gzip": gzip.compress(pickle.dumps(good)),
    "truncated": pickle.dumps(good)[:-500],
    "no_dict": pickle.dumps([1, 2]),
    "no_labels": pickle.dumps({b"data": good[b"data"]}),
    "one_record_more": pickle.dumps(good | {b"data": np.zeros((21, 3072), np.uint8)}),
    "one_label_less": pickle.dumps(good | {b"labels": [0] * 19}),
    "float_data": pickle.dumps(good | {b"data": np.zeros((20, 3072))}),
    "signed_data": pickle.dumps(good | {b"data": np.zeros((20, 3072), np.int8)}),
    "text_labels": pickle.dumps(good | {b"labels": ["cat"] * 20}),
    "nested_labels": pickle.dumps(good | {b"labels": [[0]] * 20}),
    "data_a_string": pickle.dumps(good | {b"data": b"\0" * 61440}),
    "huge_label": pickle.dumps(good | {b"labels": [10**40] * 20}),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_in_the_python_layout_is_refused(content, tmp_path):
    path = write_python("cifar10", tmp_path, pickle.dumps) / "data_batch_4"
    path.write_bytes(content)
    refused(load_cifar10, tmp_path, str(path), "expected")


# Pickles are never run


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HOSTILE = {
    "protocol_0": lambda marker: pickle.dumps(Runs(os.system, f"touch {marker}"), 0),
    "protocol_4": lambda marker: pickle.dumps(Runs(os.system, f"touch {marker}"), 4),
    "in_the_labels": lambda marker: pickle.dumps(
        good | {b"labels": [Runs(os.system, f"touch {marker}")]}
    ),
    "eval": lambda marker: pickle.dumps(Runs(eval, f"open({str(marker)!r}, 'w')")),
    "inst": lambda marker: f"(S'touch {marker}'\nios\nsystem\n.".encode(),
    "obj": lambda marker: f"(cos\nsystem\nS'touch {marker}'\no.".encode(),
    "dotted_name": lambda marker: b"\x80\4\x8c\5numpy\x8c\x0fndarray.tofile\x93.",
    "other_numpy": lambda marker: b"cnumpy\nload\n(S'x'\ntR.",
    "persistent_id": lambda marker: b"Pabc\n.",
    "extension": lambda marker: b"\x82\1.",
    "object_array": lambda marker: pickle.dumps(good | {b"data": np.array([None] * 9)}),
    "newobj": lambda marker: b"\x80\2cnumpy\nndarray\n(K\1t\x81.",
}


@pytest.mark.parametrize("file", ["data_batch_1", "test_batch", "batches.meta"])
@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_pickle_is_refused_and_not_run(attack, file, tmp_path):
    marker = tmp_path / "executed"
    path = write_python("cifar10", tmp_path, pickle.dumps) / file
    path.write_bytes(HOSTILE[attack](marker))
    refused(load_cifar10, tmp_path, str(path))
    assert not marker.exists()


def test_the_refusal_names_the_file_and_the_global(tmp_path):
    path = write_python("cifar10", tmp_path, pickle.dumps) / "data_batch_1"
    path.write_bytes(HOSTILE["protocol_4"]("x"))
    refused(load_cifar10, tmp_path, f"{path} is refused", f"{os.system.__module__}.system")


def note_of_array(shape=b"K\1\x85", code=b"u1", order=b"|", raw=b"U\1a"):
    return (
        b"\x80\2}U\4datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R(K\1"
        + shape + b"cnumpy\ndtype\nU\2" + code + b"K\0K\1\x87R(K\3U\1" + order
        + b"NNNK\0K\0K\0tb\x89" + raw + b"tbsU\6labels]s."
    )  # fmt: skip


GREEDY = {
    "huge_memo_index": b"\x80\2}r\xff\xff\xff\xff.",
    "huge_string": b"\x80\4\x8e" + struct.pack("<Q", 1 << 50) + b"abc.",
    "huge_bytearray": b"\x80\5\x96" + struct.pack("<Q", 1 << 50) + b"abc.",
    "huge_frame": b"\x80\4\x95" + struct.pack("<Q", 1 << 50) + b"}.",
    "huge_shape": note_of_array(shape=b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"),
    "negative_shape": note_of_array(shape=b"J\xff\xff\xff\xffM\0\x0c\x86"),
    "shape_of_lists": note_of_array(shape=b"]]\x86"),
    "object_dtype": note_of_array(code=b"O8"),
    "void_dtype": note_of_array(code=b"V9"),
    "strange_order": note_of_array(order=b"O"),
    "endless_hash": b"\x80\2}" + b"K\1" + b"q\0h\0\x86" * 60 + b"K\1s.",
    "endless_text": b"\x80\2]" + b"q\0h\0\x86" * 60 + b"h\0\x93.",
    "too_many_steps": b"\x80\2(" + b"}" * 12_000 + b"t.",
    "deep_nesting": b"\x80\2" + b"]" * 5_000 + b"a" * 4_999 + b".",
    "state_of_a_list": b"\x80\2]K\1b.",
    "stack_underflow": b"\x80\2u.",
    "own_item": b"\x80\2]q\0h\0a.",
}


@pytest.mark.parametrize("content", GREEDY.values(), ids=GREEDY)
def test_a_greedy_pickle_is_refused_at_once(content, tmp_path):
    path = write_python("cifar10", tmp_path, pickle.dumps) / "data_batch_1"
    path.write_bytes(content)
    refused(load_cifar10, tmp_path, str(path))


def test_a_refused_pickle_says_what_was_too_much(tmp_path):
    path = write_python("cifar10", tmp_path, pickle.dumps) / "data_batch_1"
    path.write_bytes(GREEDY["too_many_steps"])
    refused(load_cifar10, tmp_path, str(path), "more than 10,800 steps")
    path.write_bytes(pickle.dumps({b"k" * 5_000: 1}))
    refused(load_cifar10, tmp_path, str(path), "a name of 5000 characters")


def test_damaged_pickles_give_the_data_or_a_sentence(tmp_path):
    rng = np.random.default_rng(3)
    path = tmp_path / "batch"
    for dumps in (dumps_like_python2, pickle.dumps):
        original = np.frombuffer(dumps(good | {b"data": good[b"data"][:, :9]}), np.uint8)
        for _ in range(300):
            damaged = original.copy()
            where = rng.integers(0, len(damaged), rng.integers(1, 6))
            damaged[where] = rng.integers(0, 256, len(where))
            path.write_bytes(damaged.tobytes())
            with pytest.raises(DataError):
                cifar._read_python(path, 20, {"labels": 10})


# Unpacking


def archive_of(path, members, mode="w:gz"):
    """A tar of (name, content or link target, type)."""
    target = {"fileobj" if isinstance(path, io.BytesIO) else "name": path}
    with tarfile.open(**target, mode=mode) as tar:
        for name, content, kind in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member.linkname = content
                content = b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def names_in(directory):
    return {str(p.relative_to(directory)) for p in directory.rglob("*")}


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
OUTSIDE, A_LINK, NO_FOLDER = "points outside it", "is a link or a device", "holds no folder 'set'"
TRAPS = {
    "parent": (OUTSIDE, [("../evil", b"x", FILE)]),
    "hidden_parent": (OUTSIDE, [("set/a/../../../evil", b"x", FILE)]),
    "parent_within": (OUTSIDE, [("set/a/../b", b"x", FILE)]),
    "absolute": (OUTSIDE, [("{outside}/evil", b"x", FILE)]),
    "symlink_out": (A_LINK, [("set/link", "{outside}", LINK), ("set/link/evil", b"x", FILE)]),
    "symlink_inside": (A_LINK, [("set/a", b"x", FILE), ("set/b", "a", LINK)]),
    "hard_link": (A_LINK, [("set/link", "{outside}/secret", HARD)]),
    "device": (A_LINK, [("set/pipe", b"", tarfile.FIFOTYPE)]),
    "the_set_is_a_file": (NO_FOLDER, [("set", b"x", FILE)]),
    "another_folder": (NO_FOLDER, [("other/a", b"x", FILE)]),
    "nothing": (NO_FOLDER, []),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_in_an_archive_is_refused_and_writes_nothing(trap, tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "a" / "b"
    outside.mkdir()
    inside.mkdir(parents=True)
    (outside / "secret").write_text("secret")
    reason, members = TRAPS[trap]
    members = [
        (name.format(outside=outside), to.format(outside=outside) if to == str(to) else to, kind)
        for name, to, kind in members
    ]
    if reason != NO_FOLDER:
        members.insert(0, ("set/harmless", b"x", FILE))
    archive = archive_of(inside / "set.tar.gz", members)
    before = names_in(tmp_path)
    with pytest.raises(DataError, match=f"set.tar.gz.*{reason}"):
        download.extract(archive, inside / "set")
    assert names_in(tmp_path) == before


def test_a_damaged_archive_is_refused_and_leaves_nothing(tmp_path):
    noise = np.random.default_rng(1).bytes(50_000)
    archive = archive_of(tmp_path / "set.tar.gz", [("set/a", noise, FILE), ("set/b", b"b", FILE)])
    whole = archive.read_bytes()
    flipped = bytearray(whole)
    flipped[25_000] ^= 1
    wrong_checksum = whole[:-8] + struct.pack("<I", zlib.crc32(b"")) + whole[-4:]
    plain_tar = gzip.decompress(whole)
    cuts = [whole[:n] for n in (0, 5, 300, 25_000, len(whole) - 9, len(whole) - 1)]
    for content in [*cuts, bytes(flipped), wrong_checksum, plain_tar, b"<html>not found</html>"]:
        archive.write_bytes(content)
        with pytest.raises(DataError, match="set.tar.gz is truncated, damaged or no .tar.gz"):
            download.extract(archive, tmp_path / "set")
        assert names_in(tmp_path) == {"set.tar.gz"}
    archive.write_bytes(whole)
    assert (download.extract(archive, tmp_path / "set") / "a").read_bytes() == noise
    assert names_in(tmp_path) == {"set.tar.gz", "set", "set/a", "set/b"}


def test_an_archive_that_claims_too_much_is_refused(tmp_path):
    archive = archive_of(tmp_path / "set.tar.gz", [("set/a", bytes(1 << 20), FILE)])
    with pytest.raises(DataError, match="claims to hold over 1,000,000 bytes"):
        download.extract(archive, tmp_path / "set", max_bytes=1_000_000)
    assert names_in(tmp_path) == {"set.tar.gz"}


def test_a_tar_header_that_claims_too_much_is_refused(tmp_path):
    plain = io.BytesIO()
    archive_of(plain, [("set/a", b"a", FILE)], "w:")
    for kind, size in ((tarfile.XHDTYPE, 1 << 40), (tarfile.GNUTYPE_LONGNAME, -512), (FILE, -512)):
        header = bytearray(plain.getvalue())
        header[124:136] = (b"\xff" if size < 0 else b"\x80") + (size % (1 << 88)).to_bytes(11)
        header[156:157] = kind
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header[:512])
        (tmp_path / "set.tar.gz").write_bytes(gzip.compress(header))
        with pytest.raises(DataError, match=f"a header claims {size:,} bytes"):
            download.extract(tmp_path / "set.tar.gz", tmp_path / "set")
        assert names_in(tmp_path) == {"set.tar.gz"}


def test_a_truncated_archive_of_a_set_says_where_to_get_it(tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(gzip.compress(b"x" * 999)[:-3])
    refused(load_cifar10, tmp_path, "cifar-10-binary.tar.gz is truncated")


# Downloading


class Site(http.server.ThreadingHTTPServer):
    """Serves `content` at every path; `flaws` says what it does badly."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.flaws, self.ranges = content, set(), []
        self.url = f"http://127.0.0.1:{self.server_port}/cifar-10-binary.tar.gz"
        self.md5 = hashlib.md5(content).hexdigest()


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        content, flaws = self.server.content, self.server.flaws
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(wanted[len("bytes=") : -1]) if wanted and "no ranges" not in flaws else 0
        if "not found" in flaws:
            return self.send_error(404)
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            start -= "wrong range" in flaws
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if "no length" not in flaws:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        sent = content[start:]
        if "cut" in flaws:
            flaws.remove("cut")
            sent = sent[: len(sent) // 2]
        if "damaged" in flaws:
            sent = bytes(len(sent))
        self.wfile.write(sent)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Site(np.random.default_rng(2).bytes(700_001)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_is_downloaded_once_and_progress_goes_to_stderr(site, tmp_path, capsys):
    path = tmp_path / "new" / "folder" / "file"
    for _ in range(2):
        assert download.fetch(site.url, path, site.md5) == path
    assert path.read_bytes() == site.content and len(site.ranges) == 1
    assert names_in(path.parent) == {"file"}
    captured = capsys.readouterr()
    assert captured.out == "" and "file" in captured.err and "100%" in captured.err


@pytest.mark.parametrize("flaw", [None, "no ranges", "wrong range", "no length"])
def test_an_interrupted_download_is_resumed(site, flaw, tmp_path):
    site.flaws.add("cut")
    path = tmp_path / "file"
    with pytest.raises(DataError, match="failed.*350,000 bytes.*kept.*place it as") as caught:
        download.fetch(site.url, path, site.md5, progress=False)
    assert site.url in str(caught.value) and str(path) in str(caught.value)
    assert names_in(tmp_path) == {"file.part"}
    site.flaws.add(flaw)
    download.fetch(site.url, path, site.md5, progress=False)
    assert path.read_bytes() == site.content and names_in(tmp_path) == {"file"}
    expected = [None, "bytes=350000-"] + [None] * (flaw == "wrong range")
    assert site.ranges == expected


@pytest.mark.parametrize("part", ["whole", "as_long", "longer", "much_longer"])
def test_a_part_as_long_as_the_whole_or_longer_is_no_trap(site, part, tmp_path):
    size = len(site.content)
    content = {
        "whole": site.content,
        "as_long": bytes(size),
        "longer": site.content + b"x",
        "much_longer": bytes(3 * size),
    }[part]
    (tmp_path / "file.part").write_bytes(content)
    download.fetch(site.url, tmp_path / "file", site.md5, progress=False)
    assert (tmp_path / "file").read_bytes() == site.content
    assert len(site.ranges) == (0 if part == "whole" else 2)


@pytest.mark.parametrize("flaw", ["damaged", "no length and cut"])
def test_a_wrong_checksum_removes_what_came(site, flaw, tmp_path):
    site.flaws |= {"damaged"} if flaw == "damaged" else {"no length", "cut"}
    with pytest.raises(DataError, match=f"expected {site.md5}; it was removed"):
        download.fetch(site.url, tmp_path / "file", site.md5, progress=False)
    assert names_in(tmp_path) == set()


def test_a_present_file_with_a_wrong_checksum_is_named_and_left_alone(site, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=f"file has md5 .*, expected {site.md5}; delete it"):
        download.fetch(site.url, tmp_path / "file", site.md5)
    assert (tmp_path / "file").read_text() == "mine" and not site.ranges


def test_a_site_that_is_down_or_lacks_the_file_is_named(site, tmp_path):
    site.flaws.add("not found")
    with pytest.raises(DataError, match="404"):
        download.fetch(site.url, tmp_path / "file", site.md5, progress=False)
    with socket.socket() as deaf:  # has a port, and listens on none
        deaf.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{deaf.getsockname()[1]}/file"
        with pytest.raises(DataError, match=f"{down} failed.*place it as {tmp_path / 'file'}"):
            download.fetch(down, tmp_path / "file", site.md5, progress=False)
    with pytest.raises(DataError, match="expected an http"):
        download.fetch("file:///etc/hostname", tmp_path / "file", site.md5)
    assert names_in(tmp_path) == set()


def test_a_folder_that_cannot_be_written_is_named(site, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="cannot write"):
        download.fetch(site.url, tmp_path / "file" / "archive", site.md5)
    archive = archive_of(tmp_path / "set.tar.gz", [("set/a", b"a", FILE)])
    with pytest.raises(DataError, match="cannot unpack"):
        download.extract(archive, tmp_path / "absent" / "set")


def test_a_silent_site_times_out(site, tmp_path, monkeypatch):
    monkeypatch.setattr(Answer, "do_GET", lambda self: threading.Event().wait(1))
    with pytest.raises(DataError, match="timed out"):
        download.fetch(site.url, tmp_path / "file", site.md5, timeout=0.2, progress=False)


def test_a_part_that_was_removed_while_waiting_for_it_is_begun_anew(site, tmp_path, capsys):
    part = tmp_path / "file.part"
    with part.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(
            target=download.fetch, args=(site.url, tmp_path / "file", site.md5, 10, False)
        )
        waiting.start()
        while waiting.is_alive() and "waiting for" not in capsys.readouterr().err:
            time.sleep(0.01)
        part.unlink()
    waiting.join()
    assert (tmp_path / "file").read_bytes() == site.content and names_in(tmp_path) == {"file"}


@pytest.fixture
def published(site, monkeypatch, tmp_path):
    """A site that offers the small CIFAR-10 as the official one offers the real set."""
    write_binary("cifar10", tmp_path / "source")
    archive = tmp_path / "source" / "archive"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "source" / "cifar-10-batches-bin", "cifar-10-batches-bin")
    site.content = archive.read_bytes()
    site.md5 = hashlib.md5(site.content).hexdigest()
    kind = cifar._SETS["cifar10"]
    layouts = (dataclasses.replace(kind.layouts[0], md5=site.md5), kind.layouts[1])
    monkeypatch.setitem(cifar._SETS, "cifar10", dataclasses.replace(kind, layouts=layouts))
    monkeypatch.setattr(cifar, "SOURCE", f"http://127.0.0.1:{site.server_port}/cifar.html")
    return site


def test_a_missing_set_is_downloaded_unpacked_and_read(published, tmp_path):
    folder = tmp_path / "data"
    for _ in range(2):
        assert_holds_the_batches(*load_cifar10(folder, download=True), "cifar10")
    assert len(published.ranges) == 1
    assert {p.name for p in folder.iterdir()} == {"cifar-10-batches-bin", "cifar-10-binary.tar.gz"}


def test_processes_that_download_at_once_share_one_download(published, tmp_path):
    program = (
        "import sys; from minires.data.download import extract, fetch; url, to, md5 = sys.argv[1:];"
        "extract(fetch(url, to + '/archive', md5), to + '/cifar-10-batches-bin')"
    )
    command = [sys.executable, "-c", program, published.url, str(tmp_path / "d"), published.md5]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        error = process.communicate(timeout=60)[1]
        assert process.returncode == 0, error
    assert len(published.ranges) == 1
    assert {p.name for p in (tmp_path / "d").iterdir()} == {"archive", "cifar-10-batches-bin"}
    assert_holds_the_batches(*load_cifar10(tmp_path / "d"), "cifar10")


def test_threads_that_load_at_once_read_the_same(published, tmp_path):
    failures = []

    def load():
        try:
            assert_holds_the_batches(*load_cifar10(tmp_path / "d", download=True), "cifar10")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(published.ranges) == 1
