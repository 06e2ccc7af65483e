"""The readers that `readers` attacks: how a whole file is made, read and compared."""

import gzip
import io
import json
import pickle
import random
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minires import backend, nn
from minires.benchmarks.reliability import mutations
from minires.benchmarks.reliability.subject import TINY
from minires.cuda import LaunchError, host, parse, signature
from minires.cuda.checking import given
from minires.data import DataError, cifar
from minires.data.download import extract
from minires.interop import load_torch_state_dict
from minires.kernels import jit
from minires.paper import gradients, runs
from minires.training import (
    Config,
    Trainer,
    TrainingError,
    checkpoint,
    load_weights,
    save_weights,
)
from minires.training.weights import CHECKSUM, WeightsError, _checksum, read_arrays

ARRAYS = {"a.weight": np.arange(6, dtype="f4").reshape(2, 3), "a.bias": np.zeros(3, "f8")}


def entries(same: Callable) -> list[dict]:
    """What `Reader` needs, for every reader."""

    def kept(path, value, whole):
        """Why arrays must not have come: their file has a checksum, and they are others."""
        return "" if same(value, whole) or not _has_checksum(path) else "other arrays came"

    def unchanged(path, value, whole):
        return "" if value is None or same(value, whole) else "something else came"

    made = _Run()
    return [
        {
            "name": "weights",
            "make": _weights,
            "read": lambda path: read_arrays(path)[0],
            "refuses": (WeightsError,),
            "differs": kept,
        },
        {
            "name": "weights, checksum right",
            "make": _weights,
            "read": _loaded,
            "refuses": (WeightsError, KeyError, ValueError),
            "change": _resealed,
        },
        {
            "name": "checkpoint",
            "make": made.checkpoint,
            "read": made.restored,
            "refuses": (WeightsError,),
        },
        {
            "name": "checkpoint, checksum right",
            "make": made.checkpoint,
            "read": made.restored,
            "refuses": (WeightsError,),
            "change": _resealed,
        },
        {
            "name": "settings",
            "make": made.settings,
            "read": lambda path: runs.read_config(path.parent),
            "refuses": (TrainingError,),
            "change": _json_or_bytes,
        },
        {
            "name": "history",
            "make": made.history,
            "read": lambda path: runs.read_run(path.parent),
            "refuses": (TrainingError,),
        },
        {
            "name": "gradient norms",
            "make": _norms,
            "read": gradients.read,
            "refuses": (TrainingError,),
            "change": _json_or_bytes,
        },
        {
            "name": "CIFAR pickles",
            "make": _pickles,
            "read": lambda path: cifar._read_python(path, 4, {"labels": 10}),
            "refuses": (DataError,),
            "change": _pickle_or_bytes,
        },
        {
            "name": "CIFAR class names",
            "make": _names,
            "read": lambda path: cifar._read_class_names(*_ten(path), path),
            "refuses": (DataError,),
            "change": _pickle_or_bytes,
        },
        {
            "name": "CIFAR binary",
            "make": _binary,
            "read": lambda path: cifar._read_binary(path, 4, {"labels": 10}),
            "refuses": (DataError,),
        },
        {
            "name": "archives",
            "make": _archive,
            "read": _unpacked,
            "refuses": (DataError,),
            "change": _archive_or_bytes,
        },
        {
            "name": "PyTorch files",
            "make": _torch_files,
            "read": load_torch_state_dict,
            "refuses": (ValueError,),
        },
        {
            "name": "machine code of Numba",
            "make": _machine_code,
            "read": _unsealed,
            "refuses": (),
            "differs": unchanged,
        },
        {
            "name": "libraries of the emulator",
            "make": _library,
            "read": lambda path: path.read_bytes() if host._is_whole(path) else None,
            "refuses": (),
            "differs": unchanged,
        },
        {
            "name": "CUDA C++ signatures",
            "make": _source,
            "read": _signatures,
            "refuses": (LaunchError,),
        },
        {
            "name": "arrays of .npy files",
            "make": _npy,
            "read": given.load_array,
            "refuses": (LaunchError,),
        },
    ]


def _has_checksum(path: Path) -> bool:
    try:
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return CHECKSUM in header.get("__metadata__", {})
    except (ValueError, AttributeError):
        return False


def _model() -> nn.Module:
    return nn.Sequential({"a": nn.Linear(2, 3)})


def _weights(folder: Path) -> list[Path]:
    path = folder / "some.safetensors"
    save_weights(path, _model(), notes={"model": "some"})
    return [path]


def _loaded(path: Path):
    model = _model()
    load_weights(path, model)
    return model.state_dict()


def _resealed(rng: random.Random, content: bytes) -> bytes:
    """A safetensors file of which JSON or numbers are others, with a checksum that fits."""
    end = 8 + int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:end]), content[end:]
    metadata = header.get("__metadata__", {})
    texts = [name for name in metadata if name in ("config", "state")]
    if texts and rng.random() < 0.7:
        name = rng.choice(texts)
        changed = mutations.changed_json(rng, json.loads(metadata[name]))
        metadata[name] = json.dumps(changed)
    elif rng.random() < 0.7:
        header = mutations.changed_json(rng, header)
    else:
        data = mutations.damaged(rng, data)
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        header["__metadata__"].pop(CHECKSUM, None)
        header["__metadata__"][CHECKSUM] = _checksum(header, data)
    text = json.dumps(header).encode("utf-8", "replace")
    return len(text).to_bytes(8, "little") + text + data


def _json_or_bytes(rng: random.Random, content: bytes) -> bytes:
    if rng.random() < 0.5:
        return mutations.damaged(rng, content)
    text = json.dumps(mutations.changed_json(rng, json.loads(content)))
    return text.encode("utf-8", "replace")


def _pickle_or_bytes(rng: random.Random, content: bytes) -> bytes:
    if rng.random() < 0.5:
        return mutations.damaged(rng, content)
    return mutations.changed_pickle(rng, content)


class _Run:
    """A small training run, trained when it is first asked for."""

    def _whole(self, folder: Path) -> Path:
        if not hasattr(self, "run"):
            self.place = tempfile.TemporaryDirectory(prefix="readers-")
            options = TINY | {"model": "resnet8", "epochs": 2, "backend": "numpy"}
            self.run = Trainer(Config(**options, out=self.place.name + "/run"))
            self.run.note = lambda text: None
            self.run.run()
        shutil.copytree(self.run.out, folder / "run")
        return folder / "run"

    def checkpoint(self, folder: Path) -> list[Path]:
        return [self._whole(folder) / checkpoint.NAME]

    def settings(self, folder: Path) -> list[Path]:
        return [self._whole(folder) / "config.json"]

    def history(self, folder: Path) -> list[Path]:
        return [self._whole(folder) / "metrics.csv"]

    def restored(self, path: Path) -> str:
        found = checkpoint.read(path.parent, Config)
        if found is not None:
            found.restore(self.run)
        return "restored"


def _norms(folder: Path) -> list[Path]:
    path = folder / gradients.FILE
    record = {"layers": ["a", "b"], "steps": [1, 2], "norms": [[0.5, 1.5], [0.25, 0.125]]}
    path.write_text(json.dumps(record))
    return [path]


def _pickles(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (4, 3072), np.uint8)
    paths = []
    for protocol in (0, 2, 4, 5):
        paths.append(folder / f"batch_{protocol}")
        batch = {b"data": data, b"labels": [1, 2, 3, 4], b"batch_label": b"one"}
        paths[-1].write_bytes(pickle.dumps(batch, protocol))
    return paths


def _names(folder: Path) -> list[Path]:
    path = folder / "batches.meta"
    path.write_bytes(pickle.dumps({b"label_names": [b"class%d" % i for i in range(10)]}, 2))
    return [path]


def _ten(path: Path):
    kind = cifar._SETS["cifar10"]
    return kind, kind.layouts[1]


def _binary(folder: Path) -> list[Path]:
    path = folder / "data_batch_1.bin"
    path.write_bytes(random.Random(0).randbytes(4 * 3073))
    return [path]


def _archive(folder: Path) -> list[Path]:
    path = folder / "set.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, size in (("set/a.bin", 700), ("set/b.bin", 3)):
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(range(256)) * 3))
    return [path]


def _archive_or_bytes(rng: random.Random, content: bytes) -> bytes:
    """Damage to the archive, or to the tar inside of it."""
    if rng.random() < 0.5:
        return mutations.damaged(rng, content)
    return gzip.compress(mutations.damaged(rng, gzip.decompress(content)), 1)


def _unpacked(path: Path) -> str:
    try:
        extract(path, path.parent / "set")
        inside = {file.name for file in (path.parent / "set").rglob("*")}
        outside = {file.name for file in path.parent.iterdir()} - {"set", path.name}
        if outside:
            raise AssertionError(f"beside the folder there are {outside}, in it {inside}")
    finally:
        shutil.rmtree(path.parent / "set", ignore_errors=True)
    return "unpacked"


def _torch_files(folder: Path) -> list[Path]:
    import torch

    path, other = folder / "some.pt", folder / "old.pth"
    state = {name: torch.tensor(array) for name, array in ARRAYS.items()}
    torch.save(state, path)
    torch.save({"state_dict": state}, other, _use_new_zipfile_serialization=False)
    return [path, other]


def _machine_code(folder: Path) -> list[Path]:
    path = folder / "kernel.nbi"
    with open(path, "wb") as file:
        content = pickle.dumps(("version", "stamp", {"a": 1}))
        file.write(content + jit.hashlib.sha256(content).digest())
    return [path]


def _unsealed(path: Path):
    try:
        return jit._Sealed._unseal(None, path)  # type: ignore[arg-type]
    except FileNotFoundError:
        return None


def _library(folder: Path) -> list[Path]:
    path = folder / "kernel.so"
    path.write_bytes(random.Random(0).randbytes(2000))
    host._seal(path)
    return [path]


def _source(folder: Path) -> list[Path]:
    path = folder / "cuda.cu"
    shutil.copyfile(Path(backend.kernel("relu", "numpy").__file__).parent / "cuda.cu", path)
    return [path]


def _signatures(path: Path) -> str:
    text = path.read_text(errors="replace")
    for name in signature.kernels(text):
        parse(text, f"{name}<float>" if "template" in text else name, path.name)
    return "parsed"


def _npy(folder: Path) -> list[Path]:
    path = folder / "x.npy"
    np.save(path, np.arange(12, dtype="f4").reshape(3, 4))
    return [path]
