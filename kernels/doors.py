"""The doors of the kernels: what compiled code, which looks at nothing, may rely on.

`Function` asks here before it calls a kernel of any backend, so that `Function("max_pool2d",
padding=(9, 9))(x)` ends in a sentence, as `max_pool2d(x, ...)` does, and never outside of an array.
Operations that are not listed are array code on every backend, or take any shape.

See docs/decisions/autodiff.md, "Doors".
"""

from collections.abc import Callable
from math import prod

import numpy as np

from minires.arguments import real

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def check(op: str, arrays: tuple, options: dict) -> None:
    """Raise a ValueError or TypeError if these arrays and options are none of `op`'s."""
    if op in DOORS:
        DOORS[op](op, *arrays, **options)


def _fail(op: str, what: str) -> None:
    raise ValueError(f"{op}: {what}")


def _images(op: str, x) -> None:
    if x.ndim != 4:
        _fail(op, f"x must be (N,H,W,C), 4 axes, but is {x.shape}")


def _one_dtype(op: str, **arrays) -> None:
    """All float32, or all float64."""
    first, *others = arrays.items()
    if first[1].dtype not in FLOATS:
        raise TypeError(f"{op}: {first[0]} must be float32 or float64, but is {first[1].dtype}")
    for name, array in others:
        if array is not None and array.dtype != first[1].dtype:
            raise TypeError(
                f"{op}: {name} is {array.dtype} but {first[0]} is {first[1].dtype}; they must agree"
            )


def _parameters_of(op: str, x, **arrays) -> None:
    """Parameters have the dtype of x, or float32 where x is of half length."""
    if x.dtype.itemsize == 2:
        _one_dtype(op, **arrays)
        wrong = [name for name, array in arrays.items() if array.dtype != np.float32]
        if wrong:
            raise TypeError(f"{op}: x is {x.dtype}, so {wrong[0]} must be float32")
    else:
        _one_dtype(op, x=x, **arrays)


def _pair(op: str, name: str, value, least: int) -> None:
    whole = isinstance(value, tuple | list) and len(value) == 2
    whole = (
        whole and isinstance(value[0], int | np.integer) and isinstance(value[1], int | np.integer)
    )
    if not whole or value[0] < least or value[1] < least:
        _fail(op, f"{name} must be a pair of integers, at least {least}, but is {value!r}")


def _window(op: str, x, kernel, stride, padding) -> None:
    """A window must have pixels and fit into the padded image."""
    _pair(op, "kernel", kernel, 1)
    _pair(op, "stride", stride, 1)
    _pair(op, "padding", padding, 0)
    for axis in (0, 1):
        if x.shape[1 + axis] + 2 * padding[axis] < kernel[axis]:
            _fail(op, f"a window of {kernel} does not fit into {x.shape} with padding {padding}")


def _vectors(op: str, channels: int, **arrays) -> None:
    """One value per channel."""
    for name, array in arrays.items():
        if array.shape != (channels,):
            _fail(op, f"{name} must be ({channels},), one value per channel, but is {array.shape}")


def _running(op: str, channels: int, training, **arrays) -> None:
    _vectors(op, channels, **arrays)
    for name, array in arrays.items():
        if array.dtype not in FLOATS:
            raise TypeError(f"{op}: {name} must be float32 or float64, but is {array.dtype}")
        if training and not getattr(array.flags, "writeable", True):
            _fail(op, f"{name} is read-only, but training updates it in place")


def _normalizing(op: str, shape, options: dict) -> None:
    """Numbers of batch normalisation, and more than one value per channel in training."""
    for name, most in (("momentum", 1.0), ("eps", None)):
        if name in options:
            real(op, name, options[name], least=0, most=most)
    if options["training"] and prod(shape[:-1]) < 2:
        _fail(op, f"training needs more than one value per channel, but normalises {shape}")


def _filter(op: str, name: str, w, channels: int) -> None:
    if w.ndim != 4 or w.shape[2] != channels:
        _fail(
            op, f"{name} must be (KH,KW,{channels},Cout) for {channels} channels, but is {w.shape}"
        )


def _conv2d(op, x, w, stride=(1, 1), padding=(0, 0)) -> None:
    _images(op, x)
    _filter(op, "w", w, x.shape[3])
    _one_dtype(op, x=x, w=w)
    _window(op, x, w.shape[:2], stride, padding)


def _pool(op, x, kernel, stride, padding=(0, 0)) -> None:
    _images(op, x)
    _one_dtype(op, x=x)
    _window(op, x, kernel, stride, padding)
    if 0 in x.shape[1:3]:
        _fail(op, f"x {x.shape} has no pixels")
    if padding[0] >= kernel[0] or padding[1] >= kernel[1]:
        _fail(op, f"with padding {padding} some windows {kernel} would hold no pixel")


def _global_pool(op, x) -> None:
    _images(op, x)
    if 0 in x.shape[1:3]:
        _fail(op, f"x {x.shape} has no pixels")


def _cross_entropy(op, z, labels, label_smoothing=0.0) -> None:
    _one_dtype(op, logits=z)
    real(op, "label_smoothing", label_smoothing, least=0, most=1)
    if z.ndim != 2 or labels.shape != z.shape[:1]:
        _fail(op, f"logits must be (N,K) and labels (N,), but are {z.shape} and {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{op}: labels must be integers (class indices), but are {labels.dtype}")
    # Reading labels back from a GPU would stop it at every step; those of a Dataset are checked.
    if 0 in z.shape:
        _fail(op, f"logits {z.shape} have no rows or no classes")
    if not isinstance(labels, np.ndarray):
        return
    if labels.min() < 0 or labels.max() >= z.shape[1]:
        wrong = labels[(labels < 0) | (labels >= z.shape[1])][0]
        _fail(op, f"label {wrong} is out of range for {z.shape[1]} classes (0 to {z.shape[1] - 1})")


def _shortcut(op, x, stride, channels) -> None:
    _images(op, x)
    _one_dtype(op, x=x)
    _pair(op, "(stride, channels)", (stride, channels), 0)
    if stride < 1:
        _fail(op, f"stride must be at least 1, but is {stride}")
    if channels < x.shape[3]:
        _fail(op, f"cannot pad {x.shape[3]} channels to {channels}")


def _batch_norm(op, x, gamma, beta, residual=None, **options) -> None:
    if x.ndim < 2:
        _fail(op, f"x must be (..., C) with at least 2 axes, but is {x.shape}")
    channels = x.shape[-1]
    _one_dtype(op, x=x, gamma=gamma, beta=beta, residual=residual)
    _vectors(op, channels, gamma=gamma, beta=beta)
    names = ("running_mean", "running_var")
    _running(op, channels, options["training"], **{name: options[name] for name in names})
    _normalizing(op, x.shape, options)
    if residual is not None and residual.shape != x.shape:
        _fail(op, f"residual is {residual.shape} but x is {x.shape}")


def _conv_norm_relu(op, x, w, gamma, beta, *, running, stride, padding, **options) -> None:
    _images(op, x)
    _filter(op, "w", w, x.shape[3])
    _parameters_of(op, x, w=w, gamma=gamma, beta=beta)
    _window(op, x, w.shape[:2], stride, padding)
    _vectors(op, w.shape[3], gamma=gamma, beta=beta)
    _running(op, w.shape[3], options["training"], running_mean=running[0], running_var=running[1])


def _basic_block(op, x, w1, gamma1, beta1, w2, gamma2, beta2, **options) -> None:
    _images(op, x)
    _filter(op, "w1", w1, x.shape[3])
    channels, stride = w1.shape[3], options.get("stride", 1)
    _filter(op, "w2", w2, channels)
    if (
        w2.shape != (*w1.shape[:2], channels, channels)
        or not w1.shape[0] % 2 == w1.shape[1] % 2 == 1
    ):
        _fail(op, f"w1 and w2 must be of one odd size, but are {w1.shape} and {w2.shape}")
    _parameters_of(op, x, w1=w1, gamma1=gamma1, beta1=beta1, w2=w2, gamma2=gamma2, beta2=beta2)
    _pair(op, "(stride, stride)", (stride, stride), 1)
    _vectors(op, channels, gamma1=gamma1, beta1=beta1, gamma2=gamma2, beta2=beta2)
    (mean1, var1), (mean2, var2) = options["running1"], options["running2"]
    named = {"running_mean1": mean1, "running_var1": var1}
    named |= {"running_mean2": mean2, "running_var2": var2}
    _running(op, channels, options["training"], **named)
    if options["shortcut"] and channels < x.shape[3]:
        _fail(op, f"the shortcut cannot pad {x.shape[3]} channels to {channels}")


def _linear(op, x, w, b=None) -> None:
    if w.ndim != 2 or x.ndim < 1 or x.shape[-1] != w.shape[0]:
        _fail(op, f"x must be (...,in) and w (in,out), but are {x.shape} and {w.shape}")
    _one_dtype(op, x=x, w=w, b=b)
    if b is not None:
        _vectors(op, w.shape[1], b=b)


def _dropout(op, x, keep, p) -> None:
    _one_dtype(op, x=x)
    if keep.shape != x.shape or keep.dtype != bool:
        _fail(op, f"keep must be bools {x.shape}, but is {keep.dtype} {keep.shape}")
    real(op, "p", p, least=0, most=1)


def _elements(op, a, b, kind=None) -> None:
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        _fail(op, f"shapes {a.shape} and {b.shape} do not broadcast")


def _matmul(op, a, b) -> None:
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        _fail(op, f"the last axis of {a.shape} must be as long as the second-last of {b.shape}")


DOORS: dict[str, Callable] = {
    "add": _elements,
    "avg_pool2d": _pool,
    "binary": _elements,
    "basic_block": _basic_block,
    "batch_norm": _batch_norm,
    "conv2d": _conv2d,
    "conv_norm_relu": _conv_norm_relu,
    "cross_entropy": _cross_entropy,
    "dropout": _dropout,
    "global_avg_pool2d": _global_pool,
    "linear": _linear,
    "matmul": _matmul,
    "max_pool2d": _pool,
    "shortcut": _shortcut,
}
