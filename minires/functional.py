"""The differentiable operations by name. Images are (N, H, W, C), filters (KH, KW, Cin, Cout).

Each operation is a short Function, which names its folder in `kernels/` (there stand the formulas
and the derivation of the backward), and a function that checks what a student gets wrong.

See docs/decisions/autodiff.md, "PyTorch's names".
"""

import numpy as np

from minires import backend, checks
from minires.activations import elu as elu
from minires.activations import gelu as gelu
from minires.activations import hardsigmoid as hardsigmoid
from minires.activations import hardswish as hardswish
from minires.activations import hardtanh as hardtanh
from minires.activations import leaky_relu as leaky_relu
from minires.activations import logsigmoid as logsigmoid
from minires.activations import mish as mish
from minires.activations import prelu as prelu
from minires.activations import relu6 as relu6
from minires.activations import selu as selu
from minires.activations import sigmoid as sigmoid
from minires.activations import silu as silu
from minires.activations import softplus as softplus
from minires.activations import softsign as softsign
from minires.activations import tanh as tanh
from minires.activations import tanhshrink as tanhshrink
from minires.arguments import integer, real
from minires.convolution import conv2d as conv2d
from minires.convolution import conv_transpose2d as conv_transpose2d
from minires.function import Function
from minires.hints import asked_in
from minires.kernels.arrays import output_size
from minires.losses import binary_cross_entropy as binary_cross_entropy
from minires.losses import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from minires.losses import huber_loss as huber_loss
from minires.losses import kl_div as kl_div
from minires.losses import l1_loss as l1_loss
from minires.losses import mse_loss as mse_loss
from minires.losses import nll_loss, reduced, soft_cross_entropy
from minires.losses import smooth_l1_loss as smooth_l1_loss
from minires.norms import batch_norm as batch_norm
from minires.norms import group_norm as group_norm
from minires.norms import instance_norm as instance_norm
from minires.norms import layer_norm as layer_norm
from minires.norms import rms_norm as rms_norm
from minires.pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from minires.pooling import adaptive_max_pool2d as adaptive_max_pool2d
from minires.pooling import avg_pool2d as avg_pool2d
from minires.pooling import global_avg_pool2d as global_avg_pool2d
from minires.pooling import max_pool2d as max_pool2d
from minires.shaping import pad as pad
from minires.similarity import cosine_similarity as cosine_similarity
from minires.similarity import interpolate as interpolate
from minires.similarity import normalize as normalize
from minires.similarity import scaled_dot_product_attention as scaled_dot_product_attention
from minires.statistics import log_softmax
from minires.statistics import one_hot as one_hot
from minires.statistics import softmax as softmax
from minires.tensor import Tensor, as_tensor


def conv_norm_relu(
    x,
    w,
    gamma,
    beta,
    running,
    training: bool,
    stride=1,
    padding=0,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`relu(batch_norm(conv2d(x, w)))`, fused.

    Parameters
    ----------
    x : Tensor (N, H, W, Cin), float32 or float64
        Or of half length, float16 or bfloat16, with all else in float32: see
        `kernels/conv_norm_relu`.
    w : Tensor (KH, KW, Cin, Cout)
    gamma, beta : Tensor (Cout,)
    running : pair of arrays (Cout,)
        running_mean and running_var, see `batch_norm`; so are momentum and eps.
    stride, padding : int or pair (for H, for W)

    Returns
    -------
    Tensor (N, Ho, Wo, Cout), the dtype of x

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not match, or a training batch has one value per channel.
    """
    op = "conv_norm_relu"
    x, w, gamma, beta = checks.stored(op, x, w=w, gamma=gamma, beta=beta)
    stride, padding = checks.pair(op, "stride", stride, 1), checks.pair(op, "padding", padding, 0)
    checks.rank(op, "x", x, "(N,H,W,C)")
    checks.rank(op, "w", w, "(KH,KW,Cin,Cout)")
    if x.shape[3] != w.shape[2]:
        raise ValueError(f"{op}: x is {x.shape} but w {w.shape} expects {w.shape[2]} channels")
    checks.fits(op, x, w.shape[:2], padding)
    mean, var = running
    rows, columns = (
        output_size(*sizes) for sizes in zip(x.shape[1:3], w.shape, stride, padding, strict=False)
    )
    named = {"gamma": gamma, "beta": beta, "running_mean": mean, "running_var": var}
    y_shape = (len(x), rows, columns, w.shape[3])
    momentum, eps = checks.normalization(op, y_shape, training, momentum, eps, **named)
    return Function(
        op,
        running=tuple(running),
        stride=stride,
        padding=padding,
        training=bool(training),
        momentum=momentum,
        eps=eps,
    )(x, w, gamma, beta)


def basic_block(
    x,
    w1,
    gamma1,
    beta1,
    running1,
    w2,
    gamma2,
    beta2,
    running2,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    shortcut: bool = True,
    stride: int = 1,
) -> Tensor:
    """Two convolutions with batch norm and ReLU and the shortcut around them, fused.

    What `batch_norm(conv2d(relu(batch_norm(conv2d(x, w1))), w2), residual=x)` and a ReLU compute
    (He et al. 2015, figure 2), without writing every intermediate image to memory.

    Parameters
    ----------
    x : Tensor (N, H, W, Cin), float32 or float64
        Or of half length, float16 or bfloat16, with all else in float32: see
        `kernels/conv_norm_relu`.
    w1 : Tensor (KH, KW, Cin, C), KH and KW odd
        Padded so that at stride 1 the shape stays.
    w2 : Tensor (KH, KW, C, C)
    gamma1, beta1, gamma2, beta2 : Tensor (C,)
    running1, running2 : pair of arrays (C,)
        running_mean and running_var of each batch norm, see `batch_norm`; so are the next three.
    shortcut : bool
        Add x before the last ReLU, by option A where the shape changes; without, it is the same
        part of a plain net.
    stride : int
        Stride of the first convolution.

    Returns
    -------
    Tensor (N, ceil(H / stride), ceil(W / stride), C), the dtype of x

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not match, or a training batch has one value per channel.
    """
    parameters = {"w1": w1, "gamma1": gamma1, "beta1": beta1}
    parameters |= {"w2": w2, "gamma2": gamma2, "beta2": beta2}
    inputs = checks.stored("basic_block", x, **parameters)
    x, w1, *_ = inputs
    checks.rank("basic_block", "x", x, "(N,H,W,C)")
    stride, across = checks.pair("basic_block", "stride", stride, 1)
    if stride != across:
        raise ValueError(f"basic_block: stride must be one for H and W, but is {stride, across}")
    checks.rank("basic_block", "w1", w1, "(KH,KW,Cin,C)")
    channels = w1.shape[3]
    for name, w, expected in (("w1", w1, x.shape[3]), ("w2", inputs[4], channels)):
        odd = w.ndim == 4 and w.shape[0] % 2 == w.shape[1] % 2 == 1
        if not odd or w.shape[2:] != (expected, channels):
            raise ValueError(
                f"basic_block: {name} must be (KH,KW,{expected},{channels}), KH and KW odd, for x "
                f"{x.shape} and w1 {w1.shape}, but is {w.shape}"
            )
    if w1.shape[:2] != inputs[4].shape[:2]:
        raise ValueError(
            f"basic_block: w1 and w2 must be of one size, but are {w1.shape} and {inputs[4].shape}"
        )
    if shortcut and channels < x.shape[3]:
        raise ValueError(
            f"basic_block: the shortcut cannot pad {x.shape[3]} channels to {channels}"
        )
    y_shape = (len(x), -(-x.shape[1] // stride), -(-x.shape[2] // stride), channels)
    for i, running in ((1, running1), (2, running2)):
        mean, var = running
        named = {f"gamma{i}": inputs[3 * i - 1], f"beta{i}": inputs[3 * i]}
        named |= {f"running_mean{i}": mean, f"running_var{i}": var}
        momentum, eps = checks.normalization(
            "basic_block", y_shape, training, momentum, eps, **named
        )
    return Function(
        "basic_block",
        running1=tuple(running1),
        running2=tuple(running2),
        training=bool(training),
        momentum=momentum,
        eps=eps,
        shortcut=bool(shortcut),
        stride=stride,
    )(*inputs)


def relu(x) -> Tensor:
    """max(x, 0), element by element; the gradient at the kink x = 0 is 0."""
    (x,) = checks.floats("relu", x=x)
    return Function("relu")(x)


def add(a, b) -> Tensor:
    """a + b with broadcasting; between equal shapes the residual addition."""
    return as_tensor(a) + b


def linear(x, w, b=None) -> Tensor:
    """Affine map of the last axis: x w + b.

    Parameters
    ----------
    x : Tensor (..., in), float32 or float64
    w : Tensor (in, out)
    b : Tensor (out,), optional

    Returns
    -------
    Tensor (..., out)
    """
    inputs = (
        checks.floats("linear", x=x, w=w) if b is None else checks.floats("linear", x=x, w=w, b=b)
    )
    x, w = inputs[:2]
    checks.rank("linear", "w", w, "(in,out)")
    if x.ndim < 1 or x.shape[-1] != w.shape[0]:
        raise ValueError(
            f"linear: x has {x.shape[-1] if x.ndim else 'no'} features but w expects {w.shape[0]} "
            f"(x is (...,in) = {x.shape}, w is (in,out) = {w.shape})"
        )
    if b is not None and inputs[2].shape != w.shape[1:]:
        raise ValueError(f"linear: b must be (out,) = {w.shape[1:]}, but is {inputs[2].shape}")
    return Function("linear")(*inputs)


def dropout(x, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p, scale the rest by 1 / (1 - p); nothing in evaluation.

    The mask comes from `minires.backend.generator()`: `minires.seed` makes it repeatable.
    """
    (x,) = checks.floats("dropout", x=x)
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, 0 to 1, but is {p}")
    if not training or p == 0:
        return x
    keep = backend.generator().random(x.shape, dtype=np.float32) >= p
    return Function("dropout", keep=backend.asarray(keep), p=float(p))(x)


def shortcut(x, stride: int, channels: int) -> Tensor:
    """Option A of He et al. 2015, section 4.2: subsample x (N,H,W,C), zero-pad to `channels`."""
    (x,) = checks.floats("shortcut", x=x)
    checks.rank("shortcut", "x", x, "(N,H,W,C)")
    stride = integer("shortcut", "stride", stride, least=1)
    channels = integer("shortcut", "channels", channels, least=0)
    if channels < x.shape[3]:
        raise ValueError(f"shortcut: cannot pad {x.shape[3]} channels to {channels}")
    return Function("shortcut", stride=stride, channels=channels)(x)


def cross_entropy(
    logits,
    labels,
    label_smoothing: float = 0.0,
    *,
    weight=None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Softmax cross-entropy, the mean over the batch.

    Parameters
    ----------
    logits : Tensor (N, K), float32 or float64
        Or (N, ..., K): classes lie along the last axis.
    labels : integer array or Tensor (N,) or (N, ...)
        Class indices, 0 to K - 1. Or probabilities of the classes, of the shape of logits.
    label_smoothing : float in [0, 1]
        Share of the target that is spread evenly over all K classes (Szegedy et al. 2016).
    weight : array (K,), optional
        A factor for the losses of each class; the mean is weighted, too.
    ignore_index : int
        A label that counts for nothing.
    reduction : str
        "mean", "sum", or "none" for the losses one by one.

    Returns
    -------
    Tensor ()
        The loss, a single number; (N, ...) without reduction.
    """
    (logits,) = checks.floats("cross_entropy", logits=logits)
    smoothing = real("cross_entropy", "label_smoothing", label_smoothing, least=0, most=1)
    target = labels
    labels = labels.data if isinstance(labels, Tensor) else backend.asarray(labels)
    if logits.ndim and labels.shape == logits.shape and labels.dtype.kind == "f":
        return soft_cross_entropy(logits, target, weight, reduction, smoothing)
    if logits.ndim < 2 or labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy: logits must be (N,K) and labels (N,), but are {logits.shape} and "
            f"{labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"cross_entropy: labels must be integers (class indices), but are {labels.dtype}"
        )
    if logits.shape[-1] == 0:
        raise ValueError(f"cross_entropy: logits {logits.shape} have no classes")
    if labels.size == 0 and reduction == "mean":
        raise ValueError("cross_entropy: the batch is empty, its mean loss is not defined")
    # Reading labels back from a GPU would stop it at every step; those of a Dataset are checked.
    ignored = isinstance(labels, np.ndarray) and bool((labels == ignore_index).any())
    if weight is not None or reduction != "mean" or ignored or logits.ndim != 2:
        return _cross_entropy(logits, labels, weight, ignore_index, reduction, smoothing)
    return Function("cross_entropy", labels=labels, label_smoothing=smoothing)(logits)


def _cross_entropy(logits, labels, weight, ignore_index, reduction, smoothing) -> Tensor:
    """With what the kernel does not know, by log_softmax; the formula is PyTorch's."""
    log_p = log_softmax(logits, -1)
    loss = nll_loss(log_p, labels, weight, ignore_index, reduction)
    if smoothing == 0:
        return loss
    counted = labels != ignore_index
    factors = np.ones(logits.shape[-1]) if weight is None else np.asarray(weight)
    factors = backend.asarray(factors, logits.dtype)
    spread = -(log_p * Tensor(factors)).sum(-1) * Tensor(counted.astype(logits.dtype))
    if reduction == "mean":
        share = factors[labels * counted] * counted
        spread = spread.sum() / Tensor(share).sum()
    else:
        spread = reduced("cross_entropy", spread, reduction)
    return (1 - smoothing) * loss + smoothing / logits.shape[-1] * spread


def embedding(indices, weight) -> Tensor:
    """Rows of a table: weight (K, D) at integer indices of any shape -> (*indices.shape, D)."""
    weight, indices = as_tensor(weight), as_tensor(indices)
    checks.rank("embedding", "weight", weight, "(K,D)")
    if indices.dtype.kind not in "iu":
        raise TypeError(f"embedding: indices must be integers, but are {indices.dtype}")
    data = indices.data
    if data.size and not (0 <= int(data.min()) and int(data.max()) < len(weight)):
        raise ValueError(
            f"embedding: indices must lie from 0 to {len(weight) - 1}, but range from "
            f"{int(data.min())} to {int(data.max())}"
        )
    return weight[indices]


__getattr__ = asked_in("functional")
