"""Arrays and text in safetensors files, written atomically."""

from pathlib import Path

import numpy as np

from minires.data.normalization import Normalization
from minires.training.directory import write_atomically


class WeightsError(ValueError):
    """A weight file that is missing, damaged or of another kind; the message says which."""


def write_arrays(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Named host arrays and text as a safetensors file."""
    from safetensors.numpy import save

    # safetensors stores the memory as it lies, and would scramble a transposed array.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write_atomically(Path(path), save(contiguous, metadata))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of a safetensors file.

    Raises
    ------
    WeightsError
        If there is no such file, or it is not a whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            return arrays, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error})") from None


def save_weights(path, model, normalization: Normalization, notes: dict[str, str]) -> None:
    """A model's parameters and buffers, with its normalisation in the file's metadata.

    Parameters
    ----------
    path : path
        Ends in ``.safetensors`` by convention.
    model : Module
    normalization : Normalization
        How its inputs were made; `minires eval` uses it.
    notes : dict of str to str
        More for the metadata, such as ``{"model": "resnet20"}``.
    """
    write_arrays(path, model.state_dict(), normalization.to_metadata() | notes)


def load_weights(path, model) -> Normalization | None:
    """Load a file of `save_weights` into `model`.

    Returns
    -------
    Normalization or None
        How inputs have to be made, if the file says it.
    """
    arrays, metadata = read_arrays(path)
    model.load_state_dict(arrays)
    return Normalization.from_metadata(metadata)
