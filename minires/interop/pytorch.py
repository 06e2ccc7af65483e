"""Weights from and to PyTorch: the same names, other layouts.

    convolution    PyTorch (Cout, Cin, KH, KW)    minires (KH, KW, Cin, Cout)
    linear         PyTorch (out, in)              minires (in, out)

Everything else (biases, batch norm) is the same in both. PyTorch's counter `num_batches_tracked`
and the prefix `module.` that DataParallel leaves have no counterpart and are dropped.

See docs/decisions/autodiff.md, "Layout NHWC".
"""

from pathlib import Path

import numpy as np


def load_torch_state_dict(source) -> dict[str, np.ndarray]:
    """A PyTorch state dict as a minires state dict, for `Module.load_state_dict`.

    Parameters
    ----------
    source : dict of str to array or torch.Tensor, or path
        A path ends in ``.safetensors`` (read without PyTorch) or in ``.pt``, ``.pth``, ``.th``,
        ``.bin`` (needs PyTorch; only plain tensors are unpickled).

    Raises
    ------
    ValueError
        If the file is of another kind, or holds something that is no state dict.
    """
    where = "load_torch_state_dict" if isinstance(source, dict) else str(source)
    state = source if isinstance(source, dict) else _read(Path(source).expanduser())
    state = state.get("state_dict", state)
    if not isinstance(state, dict):
        raise ValueError(f"{where}: its state_dict must be arrays by name, but is {state!r:.60}")
    if unnamed := [name for name in state if not isinstance(name, str)]:
        raise ValueError(f"{where}: names must be texts, but one is {unnamed[0]!r}")
    return {
        name.removeprefix("module."): _transposed(_to_numpy(where, name, value), (2, 3, 1, 0))
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }


def to_torch_state_dict(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A minires state dict in PyTorch's layout, as contiguous NumPy arrays under the same names."""
    return {name: _transposed(np.asarray(value), (3, 2, 0, 1)) for name, value in state.items()}


def _transposed(array: np.ndarray, filter_axes: tuple[int, ...]) -> np.ndarray:
    axes = {4: filter_axes, 2: (1, 0)}.get(array.ndim, range(array.ndim))
    return np.ascontiguousarray(array.transpose(axes)) if array.ndim else array


def _to_numpy(where: str, name: str, value) -> np.ndarray:
    """A PyTorch tensor or an array as a NumPy array; short floats as float32."""
    if hasattr(value, "detach"):
        kind = str(value.layout).removeprefix("torch.")
        if value.is_meta or value.is_quantized or kind != "strided" or value.is_complex():
            kind = "meta" if value.is_meta else "quantized" if value.is_quantized else kind
            raise ValueError(
                f"{where}: {name} is a {kind} tensor ({value.dtype}), not plain numbers"
            )
        value = value.detach().cpu()
        short = value.is_floating_point() and str(value.dtype) != "torch.float16"
        value = value.float() if short and value.itemsize < 4 else value  # NumPy knows no others
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{where}: {name} is no array of numbers ({type(value)})")
    return array


def _read(path: Path) -> dict:
    if path.suffix == ".safetensors":
        from minires.training.weights import read_arrays

        return read_arrays(path)[0]
    if path.suffix in (".pt", ".pth", ".th", ".bin"):
        try:
            import torch
        except ImportError:
            raise ValueError(
                f"{path}: reading a {path.suffix} file needs PyTorch (pip install torch); a "
                f".safetensors file does not"
            ) from None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged pickle raises whatever it meets
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"{path}: not a file of plain PyTorch tensors ({reason})") from None
        if isinstance(state, dict):
            return state
        raise ValueError(f"{path} holds a {type(state).__name__}, not a state dict")
    raise ValueError(f"{path}: expected a .safetensors, .pt, .pth, .th or .bin file")
