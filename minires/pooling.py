"""Pooling: one number for each window of an image (N, H, W, C), its largest or its mean."""

import numpy as np

from minires import checks
from minires.arguments import flag, integer
from minires.function import Function
from minires.tensor import Tensor


def max_pool2d(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode: bool = False
) -> Tensor:
    """Largest value of every window of x (N,H,W,C); `stride` is `kernel_size` if not given.

    The padding counts as minus infinity and is less than a window. Of equal values the first
    receives the gradient. `dilation` is the distance of the pixels that a window looks at; with
    `ceil_mode` a last window may hang over the end, as in PyTorch.
    """
    return _pool("max_pool2d", x, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool2d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Mean of every window of x (N,H,W,C), the zeros of the padding counted, as in PyTorch.

    Without `count_include_pad` the mean is over the pixels of the image alone; with
    `divisor_override` the sum is divided by that number. `ceil_mode` as in `max_pool2d`.
    """
    op = "avg_pool2d"
    counted = flag(op, "count_include_pad", count_include_pad)
    if divisor_override is not None:
        divisor_override = integer(op, "divisor_override", divisor_override, least=1)
    return _pool(op, x, kernel_size, stride, padding, 1, ceil_mode, counted, divisor_override)


def _pool(
    op: str, x, kernel_size, stride, padding, dilation, ceil_mode, counted=True, divisor=None
) -> Tensor:
    (x,) = checks.floats(op, x=x)
    checks.rank(op, "x", x, "(N,H,W,C)")
    kernel = checks.pair(op, "kernel_size", kernel_size, 1)
    stride = kernel if stride is None else checks.pair(op, "stride", stride, 1)
    padding = checks.pair(op, "padding", padding, 0)
    dilation = checks.pair(op, "dilation", dilation, 1)
    ceil_mode = flag(op, "ceil_mode", ceil_mode)
    if padding[0] >= kernel[0] or padding[1] >= kernel[1]:
        raise ValueError(f"{op}: with padding {padding} some windows {kernel} would hold no pixel")
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    checks.fits(op, x, reach, padding)
    _has_pixels(op, x)
    if dilation == (1, 1) and not ceil_mode and counted and divisor is None:
        return Function(op, kernel=kernel, stride=stride, padding=padding)(x)
    (rows, high), (columns, wide) = (
        _windows(*along)
        for along in zip(
            x.shape[1:3], kernel, stride, padding, dilation, (ceil_mode, ceil_mode), strict=True
        )
    )
    if (rows < 0).all(axis=1).any() or (columns < 0).all(axis=1).any():
        raise ValueError(f"{op}: with padding {padding} some windows would hold no pixel")
    if op == "max_pool2d":
        return _window_pool(x, rows, columns, "max")
    if not counted:
        high, wide = (rows >= 0).sum(axis=1), (columns >= 0).sum(axis=1)
    sizes = np.outer(high, wide)
    sizes = sizes if divisor is None else np.full_like(sizes, divisor)
    return _window_pool(x, rows, columns, "avg", sizes)


def _windows(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool):
    """Places (count, kernel) of the pixels of each window along an axis, -1 for the border.

    With it how many of each window's places lie in the image or its padding: what hangs over the
    end in ceil_mode counts for no mean.
    """
    free = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-free // stride) if ceil_mode else free // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1  # it would begin beyond the image
    places = np.arange(count)[:, None] * stride - padding + np.arange(kernel) * dilation
    within = (places < size + padding).sum(axis=1)
    return np.where((places >= 0) & (places < size), places, -1), within


def adaptive_avg_pool2d(x, output_size) -> Tensor:
    """Means of `output_size` windows that cover x (N,H,W,C) -> (N, *output_size, C).

    Window i of n along an axis of length L covers floor(i L / n) to ceil((i + 1) L / n), as in
    PyTorch. `output_size` is an int or a pair; None keeps the length of an axis.
    """
    x, (rows, columns) = _adaptive("adaptive_avg_pool2d", x, output_size)
    sizes = np.outer((rows >= 0).sum(axis=1), (columns >= 0).sum(axis=1))
    return _window_pool(x, rows, columns, "avg", sizes)


def adaptive_max_pool2d(x, output_size) -> Tensor:
    """Largest values of `output_size` windows, those of `adaptive_avg_pool2d`."""
    x, (rows, columns) = _adaptive("adaptive_max_pool2d", x, output_size)
    return _window_pool(x, rows, columns, "max")


def _adaptive(op: str, x, output_size) -> tuple:
    (x,) = checks.floats(op, x=x)
    checks.rank(op, "x", x, "(N,H,W,C)")
    _has_pixels(op, x)
    sizes = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    if len(sizes) == 2:
        sizes = [n if size is None else size for size, n in zip(sizes, x.shape[1:3], strict=True)]
    sizes = checks.pair(op, "output_size", sizes, 1)
    places = []
    for count, length in zip(sizes, x.shape[1:3], strict=True):
        i = np.arange(count)
        first, end = i * length // count, -(-(i + 1) * length // count)
        window = first[:, None] + np.arange((end - first).max())
        places.append(np.where(window < end[:, None], window, -1))
    return x, places


def _window_pool(x: Tensor, rows, columns, kind: str, divisor=None) -> Tensor:
    return Function("window_pool", rows=rows, columns=columns, kind=kind, divisor=divisor)(x)


def global_avg_pool2d(x) -> Tensor:
    """Mean over the pixels: x (N,H,W,C) -> (N,C), float32 if x is of half length."""
    (x,) = checks.stored("global_avg_pool2d", x)
    checks.rank("global_avg_pool2d", "x", x, "(N,H,W,C)")
    _has_pixels("global_avg_pool2d", x)
    return Function("global_avg_pool2d")(x)


def _has_pixels(op: str, x: Tensor) -> None:
    if 0 in x.shape[1:3]:
        raise ValueError(f"{op}: x {x.shape} has no pixels")
