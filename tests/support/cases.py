"""The grid: every operation at the shapes where mistakes hide. One list, used by the gradient
checks, the parity tests, the backend matrix and the planted bugs.

Batch of one, odd sizes, a stride that leaves a remainder, 1x1 and 5x5 kernels, asymmetric strides
and padding, one channel, inputs used twice. Inputs lie away from kinks and ties.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import definitions as D
import numpy as np
import pytest
import torch_operations as T

import minires as mr
from minires import backend, testing
from minires import functional as F
from minires.function import Function


def marks(entry: backend.Backend) -> tuple:
    """The marks of tests on a backend."""
    if entry.on_gpu:
        return (pytest.mark.gpu,)
    return (pytest.mark.emulator,) if entry.graphs else ()


BACKENDS = [
    pytest.param(name, marks=marks(entry))
    for name, entry in backend.BACKENDS.items()
    if backend.problem(name) is None
]
"""Those that work on this machine."""


@dataclass(frozen=True)
class Case(testing.Case):
    """A case with a second definition: `torch` is the formula in PyTorch, in minires' layout."""

    torch: Callable | None = None


def normal(*shapes):
    """Inputs from the normal distribution."""
    return lambda rng: [rng.standard_normal(shape) for shape in shapes]


def positive(*shapes):
    """Inputs between 0.5 and 2."""
    return lambda rng: [rng.uniform(0.5, 2, shape) for shape in shapes]


def away_from_zero(*shapes):
    """Inputs of both signs, at least 0.1 from zero."""
    return lambda rng: [
        rng.uniform(0.1, 2, shape) * rng.choice([-1.0, 1.0], shape) for shape in shapes
    ]


def distinct(*shapes):
    """Inputs of which no two are closer than 0.01."""
    return lambda rng: [
        0.01 * rng.permutation(np.prod(shape, dtype=int)).reshape(shape) - 0.5 for shape in shapes
    ]


CONVOLUTIONS = [  # x (N,H,W,C), kernel, output channels, stride, padding
    ((2, 6, 6, 3), (3, 3), 4, 1, 1),
    ((2, 8, 8, 4), (3, 3), 8, 2, 1),
    ((1, 7, 5, 2), (3, 3), 3, 2, 1),
    ((2, 6, 6, 3), (3, 3), 2, 2, 0),  # remainder: the last row and column are never read
    ((1, 8, 9, 2), (3, 3), 2, 3, 0),
    ((3, 5, 5, 1), (3, 3), 1, 1, 0),
    ((2, 4, 6, 3), (1, 1), 5, 1, 0),
    ((2, 5, 7, 3), (1, 1), 2, 2, 0),
    ((1, 3, 3, 2), (1, 1), 2, 1, 1),  # padding wider than the kernel reaches
    ((2, 9, 7, 2), (5, 5), 3, 1, 2),
    ((1, 9, 9, 1), (5, 5), 2, 2, 1),
    ((2, 6, 7, 2), (2, 3), 3, (2, 1), (0, 2)),
    ((1, 7, 6, 3), (3, 1), 2, (1, 3), (2, 0)),
    ((2, 5, 5, 2), (4, 2), 2, (3, 2), (1, 1)),
    ((1, 3, 3, 2), (3, 3), 4, 1, 0),  # a single output pixel
    ((1, 1, 1, 3), (1, 1), 2, 1, 0),
    ((2, 2, 2, 1), (3, 3), 1, 1, 1),
    ((4, 24, 24, 12), (5, 5), 1, 1, 2),  # more than one block of im2col rows
    ((2, 6, 6, 16), (3, 3), 16, 1, 1),  # whole vectors of 16 channels, and two of them
    ((1, 5, 7, 16), (3, 3), 16, 1, (0, 2)),
    ((1, 7, 9, 16), (3, 3), 32, 2, 1),
    ((1, 5, 7, 32), (1, 1), 48, 2, 0),
    ((1, 3, 4, 32), (3, 3), 32, 1, 1),
    ((12, 5, 4, 16), (3, 3), 16, 1, 1),  # blocks of rows that belong to two images
    ((2, 4, 4, 3), (3, 3), 16, 1, 1),
    ((1, 5, 4, 16), (3, 3), 5, (2, 1), (0, 1)),
    ((1, 21, 24, 32), (3, 3), 16, 2, 1),  # more rows than are computed at a time
]
POOLS = [  # x, kernel, stride, padding
    ((2, 6, 6, 3), 2, None, 0),
    ((1, 7, 5, 2), 3, 2, 1),
    ((2, 6, 6, 1), 3, 2, 0),  # remainder
    ((1, 5, 6, 2), (2, 3), (1, 2), (1, 0)),
    ((2, 4, 4, 2), 3, 1, 1),  # overlapping windows
    ((1, 3, 3, 1), 3, 3, 0),
    ((1, 2, 2, 2), 1, 1, 0),
    ((1, 5, 5, 1), 2, 3, 0),  # pixels between the windows
]
WINDOWS = [  # operation, x, arguments: what the operations of whole windows do not know
    ("max_pool2d", (2, 7, 6, 3), (3, 2, 1, 1, True)),
    ("max_pool2d", (1, 8, 7, 2), (2, 2, 0, 2)),
    ("max_pool2d", (1, 6, 8, 2), ((2, 3), (1, 2), (1, 1), (2, 1), True)),
    ("avg_pool2d", (2, 7, 6, 3), (3, 2, 1, True, True)),
    ("avg_pool2d", (1, 7, 5, 2), (3, 2, 1, False, False)),
    ("avg_pool2d", (1, 6, 5, 2), ((2, 3), 3, (0, 1), True, False)),
    ("avg_pool2d", (1, 4, 4, 2), (2, 2, 0, False, True, 3)),
    ("adaptive_avg_pool2d", (2, 7, 5, 3), ((3, 2),)),
    ("adaptive_avg_pool2d", (1, 3, 4, 2), ((5, 4),)),  # more windows than rows
    ("adaptive_max_pool2d", (2, 7, 5, 3), ((3, 2),)),
]
GROUPED = [  # x, kernel, output channels, stride, padding, dilation, groups
    ((2, 7, 6, 4), (3, 3), 6, 1, 1, 1, 2),
    ((1, 8, 9, 4), (3, 2), 4, 2, 1, 1, 4),  # depthwise
    ((1, 6, 5, 3), (3, 3), 6, 1, 0, 1, 3),  # depthwise, two outputs for each channel
    ((2, 7, 8, 2), (3, 3), 3, 1, 2, 2, 1),
    ((1, 9, 8, 4), (2, 3), 4, (2, 1), (1, 0), (3, 2), 2),
]
TRANSPOSED = [  # x, kernel, output channels, stride, padding, output_padding, dilation, groups
    ((2, 4, 3, 3), (3, 3), 2, 1, 0, 0, 1, 1),
    ((2, 4, 5, 4), (3, 3), 6, 2, 1, 1, 1, 2),
    ((1, 3, 4, 2), (2, 3), 2, (3, 2), (0, 1), (2, 0), (1, 2), 2),
]
BATCHES = [(2, 3, 5, 3), (1, 4, 4, 1), (6, 2), (1, 2, 1, 5), (2, 3, 3, 16), (3, 32)]
BATCHES += [(3, 20, 10, 16)]  # more rows than a block has
BLOCKS = [  # x, kernel, stride, channels
    ((2, 4, 5, 2), (3, 3), 1, 2),
    ((3, 3, 4, 1), (1, 3), 1, 1),
    ((2, 6, 6, 16), (3, 3), 1, 16),
    ((1, 5, 7, 16), (3, 3), 1, 16),
    ((2, 1, 3, 16), (3, 3), 1, 16),
    ((1, 3, 4, 32), (3, 3), 1, 32),
    ((12, 5, 3, 16), (3, 3), 1, 16),  # blocks of rows that belong to two images
    ((2, 3, 3, 16), (5, 3), 1, 16),
    ((2, 5, 6, 2), (3, 3), 2, 5),
    ((2, 5, 6, 16), (3, 3), 2, 32),
    ((1, 7, 4, 32), (3, 3), 3, 64),
    ((1, 7, 12, 64), (3, 3), 1, 64),  # from here on several bands an image on a GPU, of two heights
    ((2, 9, 70, 16), (3, 3), 1, 16),
]
STEMS = [  # x, kernel, stride, padding, channels
    ((2, 4, 5, 3), (3, 3), 1, 1, 16),
    ((2, 5, 4, 1), (3, 3), 1, 1, 16),
    ((1, 6, 5, 8), (3, 3), 2, 1, 32),
    ((2, 5, 3, 16), (3, 3), 1, 1, 64),
    ((1, 9, 70, 3), (3, 3), 1, 1, 16),
    ((2, 4, 5, 3), (3, 1), (2, 1), (0, 1), 4),
]
SHORTCUTS = [
    ((1, 4, 4, 16), 2, 32),
    ((2, 4, 4, 2), 2, 4),
    ((1, 5, 7, 3), 2, 6),
    ((1, 3, 3, 2), 1, 5),
    ((2, 5, 5, 1), 3, 1),
]
BROADCASTS = [
    ((3, 4), (3, 4)),
    ((2, 3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((2, 1, 3), (5, 1)),
]


def _convolutions():
    for x, kernel, channels, stride, padding in CONVOLUTIONS:
        options = {"stride": stride, "padding": padding}
        yield Case(
            f"conv2d-{x}-{kernel}-{channels}-stride{stride}-pad{padding}",
            "conv2d",
            lambda x, w, o=options: F.conv2d(x, w, **o),
            normal(x, (*kernel, x[3], channels)),
            lambda x, w, o=options: D.conv2d(x, w, **o),
            lambda x, w, o=options: T.conv2d(x, w, **o),
        )


def _grouped():
    names = ("stride", "padding", "dilation", "groups")
    for x, kernel, channels, *how in GROUPED:
        options = dict(zip(names, how, strict=True))
        yield Case(
            f"conv2d_grouped-{x}-{kernel}-{channels}-{how}",
            "conv2d_grouped",
            lambda x, w, o=options: F.conv2d(x, w, **o),
            normal(x, (*kernel, x[3] // how[-1], channels)),
            lambda x, w, o=options: D.conv2d_grouped(x, w, **o),
            lambda x, w, o=options: T.conv2d(x, w, **o),
        )
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    for x, kernel, channels, *how in TRANSPOSED:
        options = dict(zip(names, how, strict=True))
        yield Case(
            f"conv_transpose2d-{x}-{kernel}-{channels}-{how}",
            "conv_transpose2d",
            lambda x, w, o=options: F.conv_transpose2d(x, w, **o),
            normal(x, (*kernel, channels // how[-1], x[3])),
            lambda x, w, o=options: D.conv_transpose2d(x, w, **o),
            lambda x, w, o=options: T.conv_transpose2d(x, w, **o),
        )


def _batch_norms():
    for shape in BATCHES:
        for training in (True, False):
            for residual, relu in ((False, False), (False, True), (True, False), (True, True)):
                options = {"training": training, "relu": relu}
                c = shape[-1]
                mode = "train" if training else "eval"
                fused = "-residual" * residual + "-relu" * relu
                yield Case(
                    f"batch_norm-{shape}-{mode}{fused}",
                    "batch_norm",
                    lambda *a, o=options: _batch_norm(*a, **o),
                    normal(shape, (c,), (c,), *[shape] * residual),
                    lambda *a, o=options: D.batch_norm(*a, **o),
                    lambda *a, o=options: T.batch_norm(*a, **o),
                )


def _batch_norm(x, gamma, beta, residual=None, *, training, relu):
    mean, var = (backend.asarray(s.astype(x.dtype)) for s in D.running_statistics(x.shape[-1]))
    return F.batch_norm(x, gamma, beta, mean, var, training, residual=residual, relu=relu)


def _basic_blocks():
    for x, kernel, stride, channels in BLOCKS:
        w1, w2, c = (*kernel, x[3], channels), (*kernel, channels, channels), (channels,)
        for training in (True, False):
            for shortcut in (True, False):
                options = {"training": training, "shortcut": shortcut, "stride": stride}
                how = "-train" * training + "-shortcut" * shortcut
                yield Case(
                    f"basic_block-{x}-{channels}-{stride}-{kernel}{how}",
                    "basic_block",
                    lambda *a, o=options: _basic_block(*a, **o),
                    normal(x, w1, c, c, w2, c, c),
                    lambda *a, o=options: D.basic_block(*a, **o),
                    lambda *a, o=options: T.basic_block(*a, **o),
                )


def _basic_block(x, w1, gamma1, beta1, w2, gamma2, beta2, **options):
    running1, running2 = _running(x, gamma1), _running(x, gamma2)
    return F.basic_block(x, w1, gamma1, beta1, running1, w2, gamma2, beta2, running2, **options)


def _running(x, gamma):
    return [backend.asarray(s.astype(x.dtype)) for s in D.running_statistics(gamma.size)]


def _stems():
    for x, kernel, stride, padding, channels in STEMS:
        w, c = (*kernel, x[3], channels), (channels,)
        how = {"stride": stride, "padding": padding}
        for training in (True, False):
            yield Case(
                f"conv_norm_relu-{x}-{channels}-{kernel}-{stride}-{padding}" + "-train" * training,
                "conv_norm_relu",
                lambda x, w, gamma, beta, t=training, how=how: F.conv_norm_relu(
                    x, w, gamma, beta, _running(x, gamma), t, **how
                ),
                normal(x, w, c, c),
                lambda x, w, *c, t=training, how=how: D.batch_norm(
                    D.conv2d(x, w, **how), *c, training=t, relu=True
                ),
                lambda x, w, *c, t=training, how=how: T.batch_norm(
                    T.conv2d(x, w, **how), *c, training=t, relu=True
                ),
            )


def _pools():
    for kind, inputs in (("max_pool2d", distinct), ("avg_pool2d", normal)):
        for x, *arguments in POOLS:
            yield Case(
                f"{kind}-{x}-{arguments}",
                kind,
                lambda x, f=kind, a=arguments: getattr(F, f)(x, *a),
                inputs(x),
                lambda x, f=kind, a=arguments: getattr(D, f)(x, *a),
                lambda x, f=kind, a=arguments: getattr(T, f)(x, *a),
            )
    for kind, x, arguments in WINDOWS:
        yield Case(
            f"window_pool-{kind}-{x}-{arguments}",
            "window_pool",
            lambda x, f=kind, a=arguments: getattr(F, f)(x, *a),
            (distinct if "max" in kind else normal)(x),
            None,
            lambda x, f=kind, a=arguments: getattr(T, f)(x, *a),
        )
    rows, columns = np.array([[0, 2], [3, -1], [2, 0]]), np.array([[-1, 1, 3], [2, 1, 0]])
    for kind, inputs in (("max", distinct), ("avg", normal)):
        how = {"rows": rows, "columns": columns, "kind": kind, "divisor": np.array([[4, 6]] * 3)}
        yield Case(
            f"window_pool-{kind}",
            "window_pool",
            lambda x, h=how: Function("window_pool", **h)(x),
            inputs((2, 4, 4, 3)),
            lambda x, h=how: D.window_pool(x, **h),
        )
    for x in ((2, 4, 6, 3), (1, 1, 1, 2), (1, 5, 3, 1)):
        yield Case(
            f"global_avg_pool2d-{x}",
            "global_avg_pool2d",
            F.global_avg_pool2d,
            normal(x),
            lambda x: x.sum(axis=(1, 2)) / (x.shape[1] * x.shape[2]),
            lambda x: x.mean(dim=(1, 2)),
        )


def _layers():
    yield Case("relu", "relu", F.relu, away_from_zero((3, 4, 5)), D.relu, T.relu)
    for x, out in (((4, 5), 3), ((1, 2), 1), ((2, 3, 4), 2)):
        weights = [(x[-1], out), (out,)]
        yield Case(f"linear-{x}-{out}", "linear", F.linear, normal(x, *weights), D.linear, T.linear)
        yield Case(
            f"linear-{x}-{out}-nobias",
            "linear",
            F.linear,
            normal(x, weights[0]),
            D.linear,
            T.linear,
        )
    for n, k, smoothing in ((4, 5, 0.0), (3, 4, 0.1), (1, 3, 0.0), (2, 2, 1.0)):
        options = {"labels": np.arange(n) * 7 % k, "label_smoothing": smoothing}
        yield Case(
            f"cross_entropy-{n}-{k}-smoothing{smoothing}",
            "cross_entropy",
            lambda z, o=options: F.cross_entropy(z, **o),
            normal((n, k)),
            lambda z, o=options: D.cross_entropy(z, **o),
            lambda z, o=options: T.cross_entropy(z, **o),
        )
    for p in (0.0, 0.3, 0.9, 1.0):
        yield Case(f"dropout-{p}", "dropout", lambda x, p=p: _dropout(x, p), normal((4, 5, 3)))
    for x, stride, channels in SHORTCUTS:
        yield Case(
            f"shortcut-{x}-stride{stride}-{channels}",
            "shortcut",
            lambda x, s=stride, c=channels: F.shortcut(x, s, c),
            normal(x),
            lambda x, s=stride, c=channels: D.option_a(x, s, c),
            lambda x, s=stride, c=channels: T.option_a(x, s, c),
        )


def _dropout(x, p):
    backend.seed(1)  # the same mask in every call
    return F.dropout(x, p, training=True)


def _arithmetic():
    two = {
        "add": (lambda a, b: a + b, normal),
        "sub": (lambda a, b: a - b, normal),
        "mul": (lambda a, b: a * b, normal),
        "div": (lambda a, b: a / b, away_from_zero),
        "pow": (lambda a, b: a**b, positive),
        "mod": (lambda a, b: a % b, positive),
    }
    for kind, (fn, inputs) in two.items():
        op = "add" if kind == "add" else "binary"
        for a, b in BROADCASTS:
            yield Case(f"{kind}-{a}-{b}", op, fn, inputs(a, b), fn, fn)
            if a != b:
                yield Case(f"{kind}-{b}-{a}", op, fn, inputs(b, a), fn, fn)
        yield Case(f"{kind}-shared", op, lambda x, f=fn: f(x, x), inputs((2, 3)), None, None)
    for kind in ("maximum", "minimum"):
        for a, b in BROADCASTS:
            yield Case(
                f"{kind}-{a}-{b}",
                "binary",
                lambda a, b, k=kind: getattr(mr, k)(a, b),
                normal(a, b),
                getattr(np, kind),
                lambda a, b, k=kind: getattr(T.torch, k)(a, b),
            )
    for power in (2, 3, -1, 0.5, 0):
        fn = lambda x, p=power: x**p  # noqa: E731
        yield Case(f"pow-{power}", "binary", fn, positive((2, 3)), fn, fn)
    one = {
        "neg": (lambda x: -x, normal, lambda x: -x),
        "exp": (lambda x: x.exp(), normal, np.exp),
        "log": (lambda x: x.log(), positive, np.log),
        "tanh": (lambda x: x.tanh(), normal, np.tanh),
        "sigmoid": (lambda x: x.sigmoid(), normal, lambda x: 1 / (1 + np.exp(-x))),
        "sqrt": (lambda x: x.sqrt(), positive, np.sqrt),
        "abs": (lambda x: x.abs(), away_from_zero, np.abs),
        "sin": (lambda x: x.sin(), normal, np.sin),
        "cos": (lambda x: x.cos(), normal, np.cos),
        "expm1": (lambda x: x.expm1(), normal, np.expm1),
        "log1p": (lambda x: x.log1p(), positive, np.log1p),
        "erf": (lambda x: x.erf(), normal, np.vectorize(math.erf)),
        "exp2": (lambda x: x.exp2(), normal, np.exp2),
        "log2": (lambda x: x.log2(), positive, np.log2),
        "log10": (lambda x: x.log10(), positive, np.log10),
        "tan": (lambda x: (x / 4).tan(), normal, lambda x: np.tan(x / 4)),
        "asin": (lambda x: (x / 4).asin(), normal, lambda x: np.arcsin(x / 4)),
        "acos": (lambda x: (x / 4).acos(), normal, lambda x: np.arccos(x / 4)),
        "atan": (lambda x: x.atan(), normal, np.arctan),
        "sinh": (lambda x: x.sinh(), normal, np.sinh),
        "cosh": (lambda x: x.cosh(), normal, np.cosh),
        "asinh": (lambda x: x.asinh(), normal, np.arcsinh),
        "acosh": (lambda x: (x + 1).acosh(), positive, lambda x: np.arccosh(x + 1)),
        "atanh": (lambda x: (x / 4).atanh(), normal, lambda x: np.arctanh(x / 4)),
        "trunc": (lambda x: x.trunc(), normal, np.trunc),
        "floor": (lambda x: x.floor(), normal, np.floor),
        "ceil": (lambda x: x.ceil(), normal, np.ceil),
        "round": (lambda x: x.round(), normal, np.round),
        "sign": (lambda x: x.sign(), away_from_zero, np.sign),
    }
    for kind, (fn, inputs, definition) in one.items():
        yield Case(kind, "unary", fn, inputs((3, 4)), definition, fn)


def _reductions():
    for kind, inputs in (("sum", normal), ("mean", normal), ("max", distinct)):
        for axis in (None, 0, -1, (0, 2)):
            for keepdims in (False, True):
                axes = tuple(range(3)) if axis is None else axis
                name = "amax" if kind == "max" else kind
                yield Case(
                    f"{kind}-axis{axis}-keepdims{keepdims}",
                    "reduce",
                    lambda x, f=kind, a=axis, k=keepdims: getattr(x, f)(a, k),
                    inputs((2, 3, 4)),
                    lambda x, f=kind, a=axis, k=keepdims: getattr(np, f)(x, axis=a, keepdims=k),
                    lambda x, f=name, a=axes, k=keepdims: getattr(x, f)(dim=a, keepdim=k),
                )


def _matrices():
    shapes = [((3, 4), (4, 2)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2))]
    shapes += [
        ((2, 3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((3,), (2, 3, 4)),
        ((1, 1), (1, 1)),
    ]
    product = lambda a, b: a @ b  # noqa: E731
    for a, b in shapes:
        yield Case(f"matmul-{a}-{b}", "matmul", product, normal(a, b), product, product)
    keys = [1, slice(None, None, 2), (slice(1, 3), 0), (..., None), np.array([2, 0, 2])]
    keys += [(np.array([0, 1]), np.array([3, 3])), np.arange(12).reshape(3, 4) % 2 == 0]
    for i, key in enumerate(keys):
        fn = lambda x, k=key: x[k]  # noqa: E731
        yield Case(f"index-{i}", "index", fn, normal((3, 4)), fn, fn)


def _joined():
    """Joining, choosing, borders, cumulative sums and products, named axes."""
    for axis, shapes in (
        (0, [(2, 3), (1, 3)]),
        (1, [(2, 1, 2), (2, 3, 2), (2, 2, 2)]),
        (-1, [(3,)]),
    ):
        yield Case(
            f"concatenate-{shapes}-axis{axis}",
            "concatenate",
            lambda *x, a=axis: mr.cat(x, a),
            normal(*shapes),
            lambda *x, a=axis: np.concatenate(x, a),
            lambda *x, a=axis: T.torch.cat(x, a),
        )
    yield Case("concatenate-shared", "concatenate", lambda x: mr.cat([x, x], 1), normal((2, 3)))
    condition = np.arange(12).reshape(3, 4) % 5 < 2
    for a, b in ((3, 4), (3, 4)), ((4,), (3, 1)), ((2, 3, 4), ()):
        yield Case(
            f"where-{a}-{b}",
            "where",
            lambda a, b: mr.where(condition, a, b),
            normal(a, b),
            lambda a, b: np.where(condition, a, b),
            lambda a, b: T.torch.where(T.torch.tensor(condition), a, b),
        )
    for widths in ((1, 2), (0, 1, 2, 0)):
        pairs = [(0, 0)] * (3 - len(widths) // 2)
        pairs += [(widths[i], widths[i + 1]) for i in range(0, len(widths), 2)][::-1]
        yield Case(
            f"pad-{widths}",
            "pad",
            lambda x, w=widths: F.pad(x, w, 2.5),
            normal((2, 3, 4)),
            lambda x, p=pairs: np.pad(x, p, constant_values=2.5),
            lambda x, w=widths: T.TF.pad(x, w, value=2.5),
        )
    for axis in (0, 1, -1):
        yield Case(
            f"cumsum-{axis}",
            "cumsum",
            lambda x, a=axis: x.cumsum(a),
            normal((2, 3, 4)),
            lambda x, a=axis: np.cumsum(x, a),
            lambda x, a=axis: x.cumsum(a),
        )
    for axis in (None, 0, 1, (0, 2)):
        yield Case(
            f"prod-{axis}",
            "prod",
            lambda x, a=axis: x.prod(a),
            away_from_zero((2, 3, 4)),
            lambda x, a=axis: np.prod(x, a),
            None
            if isinstance(axis, tuple)
            else lambda x, a=axis: x.prod() if a is None else x.prod(a),
        )
    zero = np.array([[1.0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]])
    fn = lambda x: (x * zero.astype(x.dtype)).prod(1)  # noqa: E731
    torch = lambda x: (x * T.torch.tensor(zero, dtype=x.dtype)).prod(1)  # noqa: E731
    yield Case("prod-zeros", "prod", fn, away_from_zero((3, 4)), fn, torch)
    for equation, *shapes in (
        ("ij,jk->ik", (2, 3), (3, 4)),
        ("bij,bjk,kl->bil", (2, 3, 4), (2, 4, 5), (5, 2)),
        ("ii->i", (3, 3)),
        ("ij->j", (2, 3)),
        ("iij,j->", (2, 2, 3), (3,)),
        ("...ij,...kj->...ik", (4, 2, 3), (5, 3)),
        ("i,j->ij", (2,), (3,)),
    ):
        yield Case(
            f"einsum-{equation}",
            "einsum",
            lambda *x, e=equation: mr.einsum(e, *x),
            normal(*shapes),
            lambda *x, e=equation: np.einsum(e, *x),
            lambda *x, e=equation: T.torch.einsum(e, *x),
        )


def _softmaxes():
    for axis in (0, 1, -1):
        for kind in ("softmax", "log_softmax", "logsumexp"):
            yield Case(
                f"{kind}-{axis}",
                "softmax",
                lambda x, k=kind, a=axis: getattr(x, k)(a),
                normal((2, 3, 4)),
                lambda x, k=kind, a=axis: getattr(D, k)(x, a),
                lambda x, k=kind, a=axis: getattr(x, k)(a),
            )
    for axes in ((1,), (0, 2), (1, 2)):
        how = {"axis": axes, "eps": 1e-3}
        yield Case(
            f"normalize-{axes}",
            "normalize",
            lambda x, h=how: Function("normalize", **h)(x),
            normal((3, 4, 5)),
            lambda x, a=axes: D.normalize(x, a, 1e-3),
            lambda x, a=axes: T.normalize(x, a, 1e-3),
        )


CASES = [
    case
    for family in (
        _convolutions,
        _grouped,
        _batch_norms,
        _basic_blocks,
        _stems,
        _pools,
        _layers,
        _arithmetic,
        _reductions,
        _matrices,
        _joined,
        _softmaxes,
    )
    for case in family()
]
