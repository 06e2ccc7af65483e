"""Normalisations: mean 0 and variance 1 over some axes, then a scale and a shift."""

from math import prod

from numpy import finfo

from minires import backend, checks
from minires.arguments import integer, real
from minires.function import Function
from minires.tensor import Tensor


def batch_norm(
    x,
    gamma,
    beta,
    running_mean,
    running_var,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    residual=None,
    relu: bool = False,
) -> Tensor:
    """Batch normalisation (Ioffe & Szegedy 2015) over all axes but the last.

    Parameters
    ----------
    x : Tensor (..., C), float32 or float64
    gamma, beta : Tensor (C,)
        Scale and shift.
    running_mean, running_var : array (C,)
        On the current backend (`minires.backend.asarray`). In training they are updated in place,
        ``running += momentum * (batch - running)``, with the unbiased variance, as in PyTorch; in
        evaluation they take the place of the batch's statistics.
    training : bool
    eps : float
        Added to the variance.
    residual : Tensor of the shape of x, optional
        Added after the normalisation: the residual connection, fused.
    relu : bool
        Apply a ReLU at the end, fused.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not match, or a training batch has one value per channel (its
        variance is zero whatever the value).
    """
    named = {"x": x, "gamma": gamma, "beta": beta}
    if residual is not None:
        named["residual"] = residual
    inputs = checks.floats("batch_norm", **named)
    x = inputs[0]
    if x.ndim < 2:
        raise ValueError(f"batch_norm: x must be (..., C) with at least 2 axes, but is {x.shape}")
    statistics = {"running_mean": running_mean, "running_var": running_var}
    per_channel = {"gamma": inputs[1], "beta": inputs[2], **statistics}
    settings = (training, momentum, eps)
    momentum, eps = checks.normalization("batch_norm", x.shape, *settings, **per_channel)
    if residual is not None and inputs[3].shape != x.shape:
        raise ValueError(f"batch_norm: residual is {inputs[3].shape} but x is {x.shape}")
    if (relu or residual is not None) and backend.is_own("batch_norm", "add", "relu"):
        gamma, beta = inputs[1:3]
        y = batch_norm(x, gamma, beta, running_mean, running_var, training, momentum, eps)
        y = y if residual is None else y + inputs[3]
        return Function("relu")(y) if relu else y
    return Function(
        "batch_norm",
        **statistics,
        training=bool(training),
        momentum=momentum,
        eps=eps,
        relu=bool(relu),
    )(*inputs)


def layer_norm(x, normalized_shape, weight=None, bias=None, eps: float = 1e-5) -> Tensor:
    """Layer normalisation (Ba, Kiros and Hinton 2016): each sample by itself.

    Parameters
    ----------
    x : Tensor (..., *normalized_shape), float32 or float64
    normalized_shape : int or tuple
        Lengths of the last axes, over which mean and variance are taken.
    weight, bias : Tensor (*normalized_shape,), optional
        Scale and shift.
    eps : float
        Added to the variance.
    """
    op = "layer_norm"
    x, scale_and_shift = _inputs(op, x, weight, bias)
    shape = checks.shape(op, "normalized_shape", normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape or prod(shape) == 0:
        raise ValueError(f"{op}: x must be (..., {', '.join(map(str, shape))}), but is {x.shape}")
    y = _normalize(op, x, range(x.ndim - len(shape), x.ndim), eps)
    return _affine(op, y, shape, **scale_and_shift)


def group_norm(x, num_groups: int, weight=None, bias=None, eps: float = 1e-5) -> Tensor:
    """Group normalisation (Wu and He 2018): groups of channels of each sample.

    Parameters
    ----------
    x : Tensor (N, ..., C), float32 or float64
    num_groups : int
        Divides C; each group has C / num_groups channels side by side.
    weight, bias : Tensor (C,), optional
        Scale and shift of each channel.
    eps : float
        Added to the variance.
    """
    op = "group_norm"
    x, scale_and_shift = _inputs(op, x, weight, bias)
    groups = integer(op, "num_groups", num_groups, least=1)
    if x.ndim < 2 or x.shape[-1] % groups or 0 in x.shape[1:]:
        raise ValueError(
            f"{op}: x must be (N, ..., C) with C a multiple of num_groups = {groups}, but is "
            f"{x.shape}"
        )
    n, channels = x.shape[0], x.shape[-1]
    grouped = x.reshape(n, prod(x.shape[1:-1]), groups, channels // groups)
    y = _normalize(op, grouped, (1, 3), eps).reshape(x.shape)
    return _affine(op, y, (channels,), **scale_and_shift)


def instance_norm(x, weight=None, bias=None, eps: float = 1e-5) -> Tensor:
    """Instance normalisation (Ulyanov, Vedaldi and Lempitsky 2016): each channel of each sample.

    x (N, ..., C) with at least one axis of pixels; weight, bias (C,).
    """
    op = "instance_norm"
    x, scale_and_shift = _inputs(op, x, weight, bias)
    if x.ndim < 3 or prod(x.shape[1:-1]) < 2:
        raise ValueError(f"{op}: x must be (N, ..., C) with several pixels, but is {x.shape}")
    y = _normalize(op, x, range(1, x.ndim - 1), eps)
    return _affine(op, y, x.shape[-1:], **scale_and_shift)


def rms_norm(x, normalized_shape, weight=None, eps: float | None = None) -> Tensor:
    """x divided by the root of the mean of its squares (Zhang and Sennrich 2019).

    As `layer_norm`, without mean and shift; eps None is the smallest step above 1 in x's dtype.
    """
    op = "rms_norm"
    x, scale = _inputs(op, x, weight, None)
    shape = checks.shape(op, "normalized_shape", normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape or prod(shape) == 0:
        raise ValueError(f"{op}: x must be (..., {', '.join(map(str, shape))}), but is {x.shape}")
    eps = float(finfo(x.dtype).eps) if eps is None else real(op, "eps", eps, least=0)
    last = tuple(range(x.ndim - len(shape), x.ndim))
    y = x / ((x * x).mean(last, True) + eps).sqrt()
    return _affine(op, y, shape, **scale)


def _inputs(op: str, x, weight, bias) -> tuple:
    """x as a Tensor, and what is given of scale and shift."""
    given = {"weight": weight, "bias": bias}
    given = {name: value for name, value in given.items() if value is not None}
    x, *rest = checks.floats(op, x=x, **given)
    return x, dict(zip(given, rest, strict=True))


def _normalize(op: str, x, axis, eps) -> Tensor:
    return Function("normalize", axis=tuple(axis), eps=real(op, "eps", eps, least=0))(x)


def _affine(op: str, y: Tensor, shape: tuple, **scale_and_shift) -> Tensor:
    for name, value in scale_and_shift.items():
        if value.shape != tuple(shape):
            raise ValueError(f"{op}: {name} must be {tuple(shape)}, but is {value.shape}")
        y = y * value if name == "weight" else y + value
    return y
