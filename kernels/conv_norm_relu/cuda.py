"""Launches the kernels of `cuda.cu` and `gradients.cu`, on a GPU or on the emulator.

The launches are functions of their own, of which `basic_block` is made, too. A batch norm travels
between them as `norm` and `through` (6, channels), rows MEAN, INV_STD, SCALE, SHIFT, OF_A, CONSTANT
of `bands.cuh`; the last two are there after the backward's sums only.

saved = ("composed", what the operations saved), or ("fused", x, w, a, norm, stride, training)

See docs/decisions/cuda.md, "Fused operations".
See docs/decisions/cuda.md, "Both gradients in one launch".
"""

import threading
from pathlib import Path

import numpy as np

from minires.cuda import NUMBERS, Module, element_type, tensor_cores
from minires.cuda.graph import capturing, refuse
from minires.kernels.arrays import array_module
from minires.kernels.batch_norm import cuda as batch_norm
from minires.kernels.conv2d import cuda as conv2d
from minires.kernels.conv_norm_relu.bands import KERNEL, plan_for
from minires.kernels.conv_norm_relu.reference import compose, compose_backward
from minires.kernels.grid import MOST_BLOCKS, THREADS
from minires.kernels.tables import addresses_of
from minires.kernels.traffic import bytes_of_channels, bytes_of_windows, size_of

WIDTHS = (16, 32, 64)
"""Channels that the kernels can compute."""

MOST_PARTS = 128
"""Parts of a weight gradient, at most: a block each, about as many as a GPU has multiprocessors."""

BANDS_PER_PART = 8
"""Bands that a block adds up for a larger weight gradient: with fewer the parts, which are written
and read again, would be more bytes than the images that are read for them."""

PIXELS_PER_PART = 256

Kind = tuple[str, str, str]
"""Template arguments: elements in memory, numbers calculated with, whether on tensor cores."""

KINDS: list[Kind] = [
    (stored, number, tensor)
    for stored, number in NUMBERS.items()
    for tensor in ("false", "true")
    if (number, tensor) != ("double", "true")
]

FILES = {
    "cuda.cu": ("convolve", "join", "use_running_statistics"),
    "gradients.cu": ("gradients", "masked_sums", "sum_parts"),
}
"""The kernels of each file: of a band, of images, of numbers."""


def _instances(names, kind: Kind) -> list[str]:
    of_band, of_images, of_numbers = names
    stored, number, tensor = kind
    bands = [f"{of_band}<{stored}, {number}, {width}, {tensor}>" for width in WIDTHS]
    return [*bands, f"{of_images}<{stored}, {number}>", f"{of_numbers}<{number}>"]


KERNELS: dict[tuple[str, Kind], Module] = {
    (file, kind): Module(Path(__file__).parent / file, _instances(names, kind))
    for kind in KINDS
    for file, names in FILES.items()
}


def forward(x, w, gamma, beta, *, running, stride, padding, training, momentum, eps):
    """y and what backward needs; see the contract in `__init__.py`."""
    x, options = aligned(x), {"training": training, "momentum": momentum, "eps": eps}
    if not serves(x, x.shape, w, stride, padding, *running):
        options |= {"running": running, "stride": stride, "padding": padding}
        y, saved = compose(conv2d, batch_norm, x, w, gamma, beta, **options)
        return y, ("composed", saved)
    a, norm = convolve(x, None, w, stride[0], gamma, beta, running, **options)
    return join(a, norm), ("fused", x, w, a, norm, stride[0], training)


def backward(dy, saved, needs=(True,) * 4):
    """(dx, dw, dgamma, dbeta)."""
    how, *saved = saved
    if how == "composed":
        return compose_backward(conv2d, batch_norm, dy, saved[0], needs)
    dy, (x, w, a, norm, stride, training) = aligned(dy), saved
    _, dgamma, dbeta, through = masked_sums(dy, a, None, norm, training)
    options = {"masked": True, "training": training, "with_dx": needs[0]}
    dx, dw, _ = gradients(dy, a, through, x, None, w, stride, **options)
    (dw,) = sum_parts(x, dw)
    return dx, dw, dgamma, dbeta


def serves(x, shape, w, stride, padding, *running, least: int = 1) -> bool:
    """Whether these kernels convolve an array like x, of this shape; if not, the plain ones do.

    `least` is the smallest number of channels for which they are used.

    Raises
    ------
    TypeError
        If x is of half length, which only these kernels can compute with.
    """
    channels, outputs = shape[3], w.shape[3]
    able = (
        0 not in shape
        and w.shape[:2] == (KERNEL, KERNEL)
        and tuple(padding) == (1, 1)
        and stride[0] == stride[1]
        and outputs in WIDTHS
        and (channels in WIDTHS or least <= channels <= 8)
        and all(array.dtype == w.dtype for array in running)
        and plan_for(x, shape, w, stride[0]).possible
    )
    if not able and x.dtype.itemsize == 2:
        raise TypeError(
            f"half storage ({x.dtype}) needs 3x3 filters with padding 1, equal strides, 16, 32 or "
            f"64 channels (up to 8 at the input of a net), float32 running statistics and rows of "
            f"pixels that fit into shared memory, but x is {shape}, w {w.shape}, stride {stride}, "
            f"padding {padding}, the statistics {', '.join(str(r.dtype) for r in running)}"
        )
    return able


def convolve(x, norm, w, stride, gamma, beta, running, *, training, momentum, eps):
    """(a, a's norm): a = conv(x, w); x is normalised by `norm` and clipped first, if given."""
    xp, plan, kind = array_module(x), plan_for(x, x.shape, w, stride), _kind(x)
    images, height, width, channels = x.shape
    rows, columns = plan.rows, plan.columns
    outputs = w.shape[3]
    band, taps, shared = plan.forward
    blocks = images * -(-rows // band)
    a = xp.empty((images, rows, columns, outputs), x.dtype)
    norm_out, (mean, var) = xp.empty((6, outputs), w.dtype), running
    means, squares = xp.empty((2, blocks, outputs), w.dtype) if training else (None, None)
    per_channel = outputs * w.itemsize
    if not training:
        KERNELS["cuda.cu", kind].launch(
            f"use_running_statistics<{kind[1]}>",
            (-(-outputs // THREADS),),
            (THREADS,),
            dict(
                running_mean=mean,
                running_var=var,
                gamma=gamma,
                beta=beta,
                norm=norm_out,
                channels=outputs,
                eps=eps,
            ),
            traffic=(4 * per_channel, 4 * per_channel),
        )
    how = ((KERNEL, KERNEL), (stride, stride), (1, 1))
    read = bytes_of_windows(x.shape, x.itemsize, *how)
    read += size_of(w, norm if norm is None else norm[:3])
    read += size_of(means, squares) + training * 4 * per_channel
    written = size_of(a, means, squares) + training * 6 * per_channel
    _launch(
        kind,
        f"convolve<{kind[0]}, {kind[1]}, {outputs}, {kind[2]}>",
        (blocks,),
        dict(
            x=x,
            norm=norm,
            w=w,
            a=a,
            means=means,
            squares=squares,
            arrived=_arrived(x),
            gamma=gamma,
            beta=beta,
            running_mean=mean,
            running_var=var,
            norm_out=norm_out,
            height=height,
            width=width,
            channels=channels,
            rows_out=rows,
            columns_out=columns,
            stride=stride,
            band=band,
            taps=taps,
            normalized=norm is not None,
            statistics=training,
            momentum=momentum,
            eps=eps,
        ),
        shared,
        (read, written),
    )
    return a, norm_out


def join(b, norm, x=None, stride: int = 1):
    """y = relu(batch_norm(b) + x), x by option A's shortcut where its shape is another."""
    y = array_module(b).empty(b.shape, b.dtype)
    kind, (_, rows, columns, channels) = _kind(b), b.shape
    height, width, narrower = (b if x is None else x).shape[1:]
    residual = 0 if x is None else x.nbytes if stride == 1 else x[:, ::stride, ::stride].nbytes
    KERNELS["cuda.cu", kind].launch(
        f"join<{kind[0]}, {kind[1]}>",
        (min(MOST_BLOCKS, -(-b.size // (4 * THREADS))),),
        (THREADS,),
        dict(
            b=b,
            norm=norm,
            x=x,
            y=y,
            size=b.size,
            rows=rows,
            columns=columns,
            channels=channels,
            height=height,
            width=width,
            narrower=narrower,
            stride=stride,
        ),
        traffic=(b.nbytes + residual + 3 * channels * norm.itemsize, y.nbytes),
    )
    return y


def masked_sums(dy, b, y, norm, training: bool):
    """(du, dgamma, dbeta, through) of y = relu(batch_norm(b) ...); du is None where y is."""
    xp, kind, channels = array_module(b), _kind(b), b.shape[3]
    pixels = b.size // channels
    parts = max(1, min(4 * MOST_PARTS, pixels // PIXELS_PER_PART))
    du = None if y is None else xp.empty(b.shape, b.dtype)
    sums, through = xp.empty((2, parts, channels), norm.dtype), xp.empty(norm.shape, norm.dtype)
    dgamma, dbeta = xp.empty(channels, norm.dtype), xp.empty(channels, norm.dtype)
    _launch(
        kind,
        f"masked_sums<{kind[0]}, {kind[1]}>",
        (parts,),
        dict(
            dy=dy,
            b=b,
            y=y,
            norm=norm,
            du=du,
            sums=sums,
            arrived=_arrived(b),
            dgamma=dgamma,
            dbeta=dbeta,
            through=through,
            pixels=pixels,
            channels=channels,
            training=training,
        ),
        0,
        (size_of(dy, b, y, norm[:4], sums), size_of(du, sums, dgamma, dbeta, through)),
    )
    return du, dgamma, dbeta, through


def gradients(
    du,
    a,
    through,
    x,
    norm,
    w,
    stride: int,
    *,
    training: bool,
    addend=None,
    masked: bool = False,
    with_dx: bool = True,
):
    """(dx or None, parts of dw, sums) of a = conv(x, w), from du behind a's batch norm.

    With `norm`, x was normalised by it and clipped as it was read: dx is then the gradient before
    that ReLU, and sums = (dgamma, dbeta, through) of that batch norm. Without, they are None, and
    `addend` is added to dx: the gradient that comes through the shortcut. `sum_parts` makes dw out
    of its parts.
    """
    xp, plan, kind = array_module(x), plan_for(x, x.shape, w, stride), _kind(x)
    images, height, width, channels = x.shape
    outputs = w.shape[3]
    band, taps, shared = plan.backward
    bands = images * -(-height // band)
    fused = plan.fused and with_dx
    parts = max(1, min(MOST_PARTS, bands if plan.fused else bands // BANDS_PER_PART))
    partial = xp.empty((parts, *w.shape), w.dtype)
    dx = xp.empty(x.shape, x.dtype) if with_dx else None
    sums = dgamma = dbeta = through_out = None
    if norm is not None:
        sums = xp.empty((2, bands, channels), w.dtype)
        dgamma, dbeta = xp.empty(channels, w.dtype), xp.empty(channels, w.dtype)
        through_out = xp.empty((6, channels), w.dtype)
    addend_is = 0 if addend is None else 1 if addend.shape == x.shape else 2
    arguments = dict(
        du=du,
        a=a,
        through=through,
        x=x,
        norm=norm,
        w=w,
        addend=addend,
        sums=sums,
        dgamma=dgamma,
        dbeta=dbeta,
        through_out=through_out,
        images=images,
        height=height,
        width=width,
        channels=channels,
        rows_out=plan.rows,
        columns_out=plan.columns,
        outputs=outputs,
        stride=stride,
        band=band,
        taps=taps,
        addend_is=addend_is,
        masked=masked,
        training=training,
    )

    def launch(grid, dx, partial):
        finishes = dx is not None and norm is not None
        read = size_of(du, a, through, norm if norm is None else norm[: 4 if finishes else 3])
        read += x.nbytes * (partial is not None or finishes) + finishes * size_of(sums)
        if dx is not None:
            read += size_of(w, None if addend_is == 2 else addend)
        if dx is not None and addend_is == 2:
            low, pixels = (outputs - channels) // 2, addend.size // outputs
            read += bytes_of_channels(pixels, outputs, low, channels, x.itemsize)
        written = size_of(dx, partial) + finishes * size_of(sums, dgamma, dbeta, through_out)
        _launch(
            kind,
            f"gradients<{kind[0]}, {kind[1]}, {plan.width}, {kind[2]}>",
            grid,
            dict(**arguments, arrived=_arrived(x), dx=dx, partial=partial),
            shared,
            (read, written),
        )

    if with_dx:
        launch((parts if fused else bands,), dx, partial if fused else None)
    if not fused:
        pairs = plan.width // 16 * (outputs // 8)
        launch((parts, max(1, pairs // 8)), None, partial)
    return dx, partial, (dgamma, dbeta, through_out)


def sum_parts(x, *partials):
    """The sums of one or two arrays (parts, ...) over their first axes, in one launch.

    x chooses the module: the one whose other kernels are in use already.
    """
    first, second = partials if len(partials) == 2 else (*partials, None)
    xp, kind = array_module(first), _kind(x)
    totals = [xp.empty(partial.shape[1:], partial.dtype) for partial in partials]
    sizes = [total.size for total in totals]
    KERNELS["gradients.cu", kind].launch(
        f"sum_parts<{kind[1]}>",
        (-(-sum(sizes) // THREADS),),
        (THREADS,),
        dict(
            first=first,
            first_sum=totals[0],
            first_parts=len(first),
            first_size=sizes[0],
            second=second,
            second_sum=None if second is None else totals[1],
            second_parts=0 if second is None else len(second),
            second_size=0 if second is None else sizes[1],
        ),
    )
    return totals


def _kind(x) -> Kind:
    stored = element_type(x)
    return stored, NUMBERS[stored], "true" if tensor_cores(x) else "false"


def aligned(x):
    """x where four numbers can be read at a time: itself, or a copy."""
    (address,) = addresses_of([x])
    if address % 16 == 0:
        return x
    refuse("a copy by array code, of an array whose memory begins between two vectors")
    return x.copy()


_counters = threading.local()


def _arrived(x):
    """A zero, for the blocks of a launch to count themselves: see `is_last`."""
    xp = array_module(x)
    if capturing():  # a graph may be replayed beside other launches
        return xp.zeros(1, np.uint32)
    place = None if xp is np else (x.device.id, xp.cuda.get_current_stream().ptr)
    counters = _counters.__dict__.setdefault("at", {})
    if place not in counters:
        counters[place] = xp.zeros(1, np.uint32)
    return counters[place]


def _launch(kind: Kind, instance: str, grid, arguments: dict, shared: int, traffic) -> None:
    """A launch whose blocks count themselves. If it fails, the counter is no longer zero."""
    try:
        file = next(f for f, names in FILES.items() if instance.startswith(names))
        KERNELS[file, kind].launch(instance, grid, (THREADS,), arguments, shared, traffic)
    except Exception:
        _counters.__dict__.clear()
        raise
