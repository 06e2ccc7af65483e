"""Arrays and text in safetensors files: written whole, always to the same bytes, with a checksum.

The checksum (sha256 of everything else in the file) stands in the metadata. A file without one,
from elsewhere or from before, is read as it is; one that does not fit its checksum is refused.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np

from minires.data.normalization import Normalization
from minires.training.directory import write_atomically

CHECKSUM = "sha256"
DTYPES = {
    **{f"F{8 * size}": np.dtype(f"f{size}") for size in (2, 4, 8)},
    **{f"I{8 * size}": np.dtype(f"i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"u{size}") for size in (1, 2, 4, 8)},
    "BOOL": np.dtype(bool),
}
"""How safetensors calls what NumPy knows; BF16 is read, too, as float32."""


class WeightsError(ValueError):
    """A weight file that is missing, damaged or of another kind; the message says which."""


def write_arrays(path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Named host arrays and text as a safetensors file; equal ones make equal files."""
    from safetensors.numpy import save

    # safetensors stores the memory as it lies, and would scramble a transposed array.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header, data = _split(save(contiguous, None))
    header["__metadata__"] = dict(metadata)
    header["__metadata__"][CHECKSUM] = _checksum(header, data)
    # The library writes metadata in another order each time.
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    content = len(text).to_bytes(8, "little") + text + data
    write_atomically(Path(path).expanduser(), content)


def read_arrays(path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of a safetensors file. bfloat16 is read as float32, exactly.

    Raises
    ------
    WeightsError
        If there is no such file, or it is not a whole safetensors file, or damaged, or holds
        numbers of a kind that is not read.
    """
    from safetensors import SafetensorError, deserialize

    path = Path(path).expanduser()
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file")
    try:
        content = path.read_bytes()
        found = deserialize(content)  # which checks sizes and places
        header, data = _split(content)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: {_said_of(path, str(error))}") from None
    metadata = header.get("__metadata__") or {}
    checksum = metadata.pop(CHECKSUM, None)
    if checksum is not None and checksum != _checksum(header, data):
        raise WeightsError(
            f"{path}: the file is damaged, since its content does not fit its checksum; take a "
            f"copy of it, or have it written anew"
        )
    return {name: _array(path, name, entry) for name, entry in found}, metadata


def _said_of(path: Path, error: str) -> str:
    """What a file is that is no safetensors file."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(2) in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05"):
            return (
                "a pickle or a file of torch.save, which may run code; if it is PyTorch's and you "
                "trust it, minires.interop.load_torch_state_dict reads it (name it .pt)"
            )
    return f"not a whole safetensors file ({error})"


def _split(content: bytes) -> tuple[dict, memoryview]:
    """The header of a safetensors file, and what follows it."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), memoryview(content)[end:]


def _checksum(header: dict, data) -> str:
    """The sha256 of all names, shapes, texts and numbers but the checksum itself."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(data)
    return digest.hexdigest()


def _array(path: Path, name: str, entry: dict) -> np.ndarray:
    dtype, shape, data = entry["dtype"], entry["shape"], entry["data"]
    if dtype == "BF16":  # the upper half of a float32
        halves = np.frombuffer(data, "<u2").astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(shape)
    if dtype not in DTYPES:
        raise WeightsError(
            f"{path}: {name} holds {dtype} numbers, which are not read; convert it to float32 first"
        )
    return np.frombuffer(data, DTYPES[dtype].newbyteorder("<")).astype(DTYPES[dtype]).reshape(shape)


def save_weights(path, model, normalization: Normalization | None = None, notes=None) -> None:
    """A model's parameters and buffers, with its normalisation in the file's metadata.

    Parameters
    ----------
    path : path
        Ends in ``.safetensors`` by convention.
    model : Module
    normalization : Normalization, optional
        How its inputs were made; `minires eval` uses it.
    notes : dict of str to str, optional
        More for the metadata, such as ``{"model": "resnet20"}``.
    """
    if isinstance(model, str | os.PathLike) and not isinstance(path, str | os.PathLike):
        raise TypeError("save_weights: the path comes first, then the model")
    _check_module("save_weights", model, "minires.save(path, arrays)")
    metadata = {} if normalization is None else normalization.to_metadata()
    write_arrays(path, model.state_dict(), metadata | (notes or {}))


def load_weights(path, model) -> Normalization | None:
    """Load a file of `save_weights` into `model`.

    Returns
    -------
    Normalization or None
        How inputs have to be made, if the file says it.

    Raises
    ------
    WeightsError
        If the file is damaged, or does not fit this model; then nothing has been loaded.
    """
    if isinstance(model, str | os.PathLike) and not isinstance(path, str | os.PathLike):
        raise TypeError("load_weights: the path comes first, then the model")
    _check_module("load_weights", model, "minires.load(path)")
    arrays, metadata = read_arrays(path)
    normalization = normalization_of(path, metadata)
    try:
        model.load_state_dict(arrays)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path}: {error.args[0]}") from None
    return normalization


def _check_module(where: str, model, instead: str) -> None:
    if not hasattr(model, "state_dict"):
        raise TypeError(
            f"{where}: model must be a Module, but is a {type(model).__name__}; of arrays by name "
            f"write {instead}"
        )


def normalization_of(path, metadata: dict[str, str]) -> Normalization | None:
    """The normalisation that a weight file's metadata tells; None if it tells none."""
    try:
        return Normalization.from_metadata(metadata)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: it tells no normalisation of inputs ({error})") from None
