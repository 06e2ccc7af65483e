"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator."""

from pathlib import Path

from minires.cuda import Module, element_type, tensor_cores
from minires.kernels.arrays import array_module, output_size
from minires.kernels.grid import window_sizes
from minires.kernels.traffic import bytes_of_windows

ROWS, THREADS = 64, 256
PIXELS_PER_PART = 2048
"""Pixels in a part of the weight gradient's sum; each part is a block of its own."""

MOST_PARTS = 1024
WIDTHS = (16, 32, 64)
KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [
        f"{kernel}<{kind}, {width}, {tensor}{backward}>"
        for kind, tensor in (("float", "false"), ("double", "false"), ("float", "true"))
        for width in WIDTHS
        for kernel, backward in (
            ("correlate", ", false"),
            ("correlate", ", true"),
            ("weight_gradient", ""),
        )
    ]
    + ["sum_parts<float>", "sum_parts<double>"],
)


def forward(x, w, stride=(1, 1), padding=(0, 0)):
    """y = conv(x, w); see the contract in `__init__.py`."""
    sizes = zip(x.shape[1:3], w.shape, stride, padding, strict=False)
    ho, wo = (output_size(*size) for size in sizes)
    y = array_module(x).empty((len(x), ho, wo, w.shape[3]), x.dtype)
    read = _bytes_of_windows(x, w.shape, stride, padding)
    _correlate(x, w, y, read, w.shape, stride, padding, "false")
    return y, (x, w, stride, padding)


def backward(dy, saved, needs=(True, True)):
    """(dx, dw); see the derivation in `__init__.py`."""
    x, w, stride, padding = saved
    dx = dw = None
    if needs[0]:
        dx = array_module(x).empty(x.shape, x.dtype)
        _correlate(dy, w, dx, dy.nbytes, w.shape, stride, padding, "true")
    if needs[1]:
        dw = _weight_gradient(dy, x, w.shape, stride, padding)
    return dx, dw


def _correlate(x, w, y, read: int, w_shape, stride, padding, is_backward: str) -> None:
    """The kernel `correlate`: y from x, or dx from dy, of which `read` bytes are read."""
    columns, rows = y.shape[3], y.size // max(1, y.shape[3])
    if y.size == 0:
        return
    if x.size == 0 or w.size == 0:
        y[...] = 0
        return
    width = _width(columns)
    kind, threads = _kind(x, width)
    sizes = window_sizes(x.shape, y.shape[1:3], w_shape[:2], stride, padding)
    KERNELS.launch(
        f"correlate<{kind}, {is_backward}>",
        (-(-rows // ROWS), -(-columns // width)),
        (threads,),
        dict(x=x, w=w, y=y, rows=rows, columns=columns, **sizes),
        traffic=(read + w.nbytes, y.nbytes),
    )


def _weight_gradient(dy, x, w_shape, stride, padding):
    xp = array_module(x)
    dw = xp.empty(w_shape, x.dtype)
    columns = w_shape[3]
    pixels, terms = dy.size // max(1, columns), w_shape[0] * w_shape[1] * w_shape[2]
    if dw.size == 0 or pixels == 0 or x.size == 0:
        dw[...] = 0
        return dw
    parts, width = min(MOST_PARTS, -(-pixels // PIXELS_PER_PART)), _width(columns)
    partial = xp.empty((parts, dw.size), x.dtype)
    kind, threads = _kind(x, width)
    sizes = window_sizes(x.shape, dy.shape[1:3], w_shape[:2], stride, padding)
    KERNELS.launch(
        f"weight_gradient<{kind}>",
        (-(-terms // ROWS), -(-columns // width), parts),
        (threads,),
        dict(x=x, dy=dy, partial=partial, pixels=pixels, columns=columns, **sizes),
        traffic=(_bytes_of_windows(x, w_shape, stride, padding) + dy.nbytes, partial.nbytes),
    )
    KERNELS.launch(
        f"sum_parts<{element_type(x)}>",
        (-(-dw.size // THREADS),),
        (THREADS,),
        dict(partial=partial, total=dw, parts=parts, size=dw.size),
    )
    return dw


def _bytes_of_windows(x, w_shape, stride, padding) -> int:
    return bytes_of_windows(x.shape, x.itemsize, w_shape[:2], tuple(stride), tuple(padding))


def _width(columns: int) -> int:
    """Columns of a block's tile: not many more than there are."""
    return next((width for width in WIDTHS if columns <= width), WIDTHS[-1])


def _kind(x, width: int) -> tuple[str, int]:
    """The template's first arguments, and the threads of a block."""
    if tensor_cores(x):
        return f"float, {width}, true", ROWS // 16 * 32
    return f"{element_type(x)}, {width}, false", ROWS // 4 * width // 4
