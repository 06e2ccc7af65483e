"""Arrays saved by name: `mr.save("file.safetensors", {"w": w})`, `mr.load("file.safetensors")`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minires import backend
from minires.nn import Module
from minires.optim import Optimizer
from minires.tensor import Tensor


def save(path, values) -> None:
    """Save arrays and Tensors by name in one safetensors file, with a checksum.

    Parameters
    ----------
    path : path
        Replaced as a whole: a reader sees the old file or the new one.
    values : dict of str to array, Tensor or number; or Module
        Dicts inside of it are saved under dotted names, "optimizer.velocity.0". Of a Module its
        `state_dict`.

    Raises
    ------
    TypeError
        If there is something else among them, or two would have one name; no file is written.
    OSError
        If the file cannot be written; it is named.
    """
    from minires.training.weights import write_arrays  # it takes a while: only who saves waits

    if isinstance(path, Mapping | Module | Tensor):
        raise TypeError("save: the path comes first, then what is to be saved")
    if isinstance(values, Module):
        values = values.state_dict()
    if not isinstance(values, Mapping):
        raise TypeError(
            f"save: arrays must come by name, in a dict, not as a {type(values).__name__}; write "
            + ("save(path, x.state())" if isinstance(values, Optimizer) else 'save(path, {"x": x})')
        )
    arrays: dict[str, np.ndarray] = {}
    for name, array in _flat("", values):
        if name in arrays:
            raise TypeError(f"save: two arrays would be named {name!r}; rename one of them")
        arrays[name] = array
    write_arrays(path, arrays, {})


def load(path) -> dict[str, np.ndarray]:
    """The arrays of a file that `save` or `save_weights` wrote, by name.

    Names are those under which arrays were saved, dotted ones of dicts in dicts. Numbers come back
    as arrays without axes. A PyTorch file (.pt, .pth, .th, .bin) is read by PyTorch, and its
    layouts become minires' (see `interop.load_torch_state_dict`).

    Raises
    ------
    ValueError
        If there is no such file, or it is damaged, or of another kind.
    """
    from minires.interop import load_torch_state_dict
    from minires.training.weights import read_arrays

    if Path(path).suffix in (".pt", ".pth", ".th", ".bin"):
        return load_torch_state_dict(path)
    return read_arrays(path)[0]


def _flat(prefix: str, values: Mapping):
    for name, value in values.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"save: names must be texts, but one is {name!r}")
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
            continue
        value = value.data if isinstance(value, Tensor) else value
        try:
            array = np.asarray(backend.to_numpy(value))
        except ValueError as error:
            raise TypeError(f"save: {prefix}{name} must be an array of numbers ({error})") from None
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            raise TypeError(
                f"save: {prefix}{name} must be an array of numbers, but is a "
                f"{type(value).__name__} ({array.dtype})"
            )
        yield f"{prefix}{name}", array
