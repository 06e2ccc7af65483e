"""What a student gets wrong, said in sentences: the checks that the operations share.

Each takes the operation's name `op` first, for its message.
"""

from math import prod

import numpy as np

from minires import backend
from minires.arguments import integer, real
from minires.tensor import Tensor, as_tensor


def floats(op: str, **tensors) -> tuple[Tensor, ...]:
    """The inputs as Tensors of one floating dtype, float32 or float64."""
    inputs = {name: as_tensor(value) for name, value in tensors.items()}
    first_name, first = next(iter(inputs.items()))
    for name, tensor in inputs.items():
        if tensor.dtype not in (np.float32, np.float64):
            half = backend.is_half(tensor.dtype)
            raise TypeError(
                f"{op}: {name} must be float32 or float64, but is {tensor.dtype}"
                + " (half storage is for the fused operations and global_avg_pool2d)" * half
            )
        if tensor.dtype != first.dtype:
            raise TypeError(
                f"{op}: {name} is {tensor.dtype} but {first_name} is {first.dtype}; they must agree"
            )
    return tuple(inputs.values())


def stored(op: str, x, **parameters) -> tuple[Tensor, ...]:
    """x, which may be of half length, and its parameters: float32 then, else of the dtype of x."""
    x = as_tensor(x)
    if not backend.is_half(x.dtype):
        return floats(op, x=x, **parameters)
    tensors = floats(op, **parameters) if parameters else ()
    if tensors and tensors[0].dtype != np.float32:
        raise TypeError(
            f"{op}: x is {x.dtype}, so that all parameters must be float32, but they are "
            f"{tensors[0].dtype}"
        )
    return x, *tensors


def normalization(op: str, shape: tuple, training: bool, momentum, eps, **per_channel) -> tuple:
    """What batch normalisation of `shape` (..., C) asks of its parameters and statistics.

    Returns momentum and eps as floats.
    """
    channels = shape[-1]
    momentum = real(op, "momentum", momentum, least=0, most=1)
    eps = real(op, "eps", eps, least=0)
    for name, value in per_channel.items():
        a_tensor = isinstance(value, Tensor) and not name.startswith("running")
        if not a_tensor and not backend.is_array(value):
            raise TypeError(
                f"{op}: {name} must be an array of the current backend {backend.current()!r} "
                f"(see minires.backend.asarray), but is a "
                f"{type(value).__module__}.{type(value).__name__}"
            )
    for name, value in per_channel.items():
        if value.shape != (channels,):
            raise ValueError(
                f"{op}: {name} must have one value per channel, ({channels},) for {shape}, but is "
                f"{value.shape}"
            )
    if training and prod(shape[:-1]) < 2:
        raise ValueError(
            f"{op}: training needs more than one value per channel, but normalises {shape}: the "
            f"variance of a single value is zero; use a larger batch or evaluation mode"
        )
    return momentum, eps


def rank(op: str, name: str, tensor: Tensor, axes: str) -> None:
    """`tensor` must have as many axes as `axes`, such as "(N,H,W,C)", names."""
    expected = axes.count(",") + 1
    if tensor.ndim != expected:
        raise ValueError(f"{op}: {name} must be {axes}, {expected} axes, but is {tensor.shape}")


def pair(op: str, name: str, value, least: int) -> tuple[int, int]:
    """An int, or a pair of ints for (H, W), as a pair; each must be at least `least`."""
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    whole = all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in values)
    if len(values) != 2 or not whole or min(values) < least or max(values) > MOST:
        raise ValueError(
            f"{op}: {name} must be an integer or a pair of integers, at least {least}, "
            f"but is {value!r}"
        )
    return int(values[0]), int(values[1])


LONGEST = 1 << 40
"""The most channels or features of a layer: more than a computer's memory holds."""

MOST = 1 << 31
"""What no window, stride or padding exceeds."""


def shape(op: str, name: str, value) -> tuple[int, ...]:
    """An int, or a tuple of ints, as a tuple; none is negative."""
    values = value if isinstance(value, tuple | list) else (value,)
    return tuple(integer(op, name, n, least=0, most=LONGEST) for n in values)


def fits(op: str, x: Tensor, kernel, padding) -> None:
    """A window `kernel` must fit into the padded image x (N,H,W,C)."""
    if min(kernel) < 1:
        raise ValueError(f"{op}: a window of {kernel} has no pixels; it needs a row and a column")
    for axis, size, k, p in zip("HW", x.shape[1:3], kernel, padding, strict=True):
        if size + 2 * p < k:
            raise ValueError(
                f"{op}: a window of {k} does not fit into {axis} = {size} with padding {p} "
                f"(x is (N,H,W,C) = {x.shape})"
            )
