"""Loss functions beside `functional.cross_entropy`: how far predictions are from targets.

`reduction` says what becomes of the losses of all elements: "mean", "sum", or "none".
"""

import numpy as np

from minires import operators
from minires.activations import logsigmoid
from minires.arguments import choice, real
from minires.shaping import gather, where
from minires.statistics import log_softmax
from minires.tensor import Tensor, as_tensor


def reduced(op: str, losses: Tensor, reduction: str) -> Tensor:
    """Mean or sum of the losses, or the losses themselves."""
    choice(op, "reduction", reduction, "mean", "sum", "none")
    return losses if reduction == "none" else getattr(losses, reduction)()


def _pair(op: str, x, target) -> tuple[Tensor, Tensor]:
    x, target = as_tensor(x), as_tensor(target)
    if x.shape != target.shape:
        raise ValueError(
            f"{op}: prediction and target must have the same shape, but are {x.shape} and "
            f"{target.shape}"
        )
    x, target = operators.operands(op, x, target)
    return operators.floating(x), operators.floating(target)


def mse_loss(x, target, reduction: str = "mean") -> Tensor:
    """Squared differences (x - target)^2."""
    x, target = _pair("mse_loss", x, target)
    difference = x - target
    return reduced("mse_loss", difference * difference, reduction)


def l1_loss(x, target, reduction: str = "mean") -> Tensor:
    """Absolute differences |x - target|."""
    x, target = _pair("l1_loss", x, target)
    return reduced("l1_loss", (x - target).abs(), reduction)


def huber_loss(x, target, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d^2 / 2 of differences d up to delta, delta (|d| - delta / 2) of larger ones (Huber 1964)."""
    x, target = _pair("huber_loss", x, target)
    delta = real("huber_loss", "delta", delta, above=0)
    size = (x - target).abs()
    losses = where(size.data <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))
    return reduced("huber_loss", losses, reduction)


def smooth_l1_loss(x, target, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) of differences d below beta, |d| - beta / 2 of others (Girshick 2015)."""
    beta = real("smooth_l1_loss", "beta", beta, least=0)
    if beta == 0:
        return l1_loss(x, target, reduction)
    return huber_loss(x, target, reduction, beta) / beta


def nll_loss(
    log_p, labels, weight=None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """Minus the log-probability of the right class.

    Parameters
    ----------
    log_p : Tensor (N, K) or (N, ..., K)
        Log-probabilities, such as `log_softmax` gives; classes lie along the last axis.
    labels : integers (N,) or (N, ...)
        Classes from 0 to K - 1; `ignore_index` counts for nothing.
    weight : array (K,), optional
        A factor for the losses of each class. The mean is then weighted, too.
    """
    log_p, labels = operators.floating(as_tensor(log_p)), as_tensor(labels).data
    if log_p.ndim == 0 or labels.shape != log_p.shape[:-1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"nll_loss: labels must be integers, one for each row of log-probabilities, "
            f"{log_p.shape[:-1]} for {log_p.shape}, but are {labels.dtype} of shape {labels.shape}"
        )
    counted = labels != ignore_index
    wrong = labels[counted & ((labels < 0) | (labels >= log_p.shape[-1]))]
    if wrong.size:
        raise ValueError(
            f"nll_loss: labels must lie from 0 to {log_p.shape[-1] - 1} or be ignore_index = "
            f"{ignore_index}, but one is {wrong.reshape(-1)[0]}"
        )
    safe = labels * counted
    chosen = gather(log_p, -1, safe[..., None]).reshape(labels.shape)
    factors = counted.astype(log_p.dtype)
    if weight is not None:
        weight = as_tensor(weight)
        if weight.shape != log_p.shape[-1:]:
            raise ValueError(
                f"nll_loss: weight must have one factor per class, {log_p.shape[-1:]}, but is "
                f"{weight.shape}"
            )
        factors = factors * weight.data[safe].astype(log_p.dtype)
    losses = where(counted, -chosen * Tensor(factors), log_p.dtype.type(0))
    if choice("nll_loss", "reduction", reduction, "mean", "sum", "none") != "mean":
        return reduced("nll_loss", losses, reduction)
    return losses.sum() / Tensor(factors).sum()


def soft_cross_entropy(
    logits, target, weight=None, reduction: str = "mean", label_smoothing: float = 0.0
) -> Tensor:
    """Minus the sum over classes of target log softmax(logits); target: probabilities (N, K)."""
    logits, target = _pair("cross_entropy", logits, target)
    smoothing = real("cross_entropy", "label_smoothing", label_smoothing, least=0, most=1)
    classes = logits.shape[-1]
    target = target * (1 - smoothing) + smoothing / classes
    terms = target * log_softmax(logits, -1)
    if weight is not None:
        terms = terms * as_tensor(weight)
    losses = -terms.sum(-1)
    return reduced("cross_entropy", losses, reduction)


def kl_div(log_q, p, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """p (log p - log q), element by element: q is given as its logarithm, as in PyTorch.

    Divide the sum by the number of rows for the Kullback-Leibler divergence ("batchmean").
    """
    log_q, p = _pair("kl_div", log_q, p)
    if log_target:
        losses = p.exp() * (p - log_q)
    else:
        positive = p.data > 0
        safe = where(positive, p, p.dtype.type(1))
        losses = where(positive, p * safe.log(), p.dtype.type(0)) - p * log_q
    if isinstance(reduction, str) and reduction == "batchmean":
        return losses.sum() / max(1, losses.shape[0])
    return reduced("kl_div", losses, reduction)


def binary_cross_entropy(p, target, weight=None, reduction: str = "mean") -> Tensor:
    """- target log p - (1 - target) log(1 - p); logarithms are at least -100, as in PyTorch."""
    p, target = _pair("binary_cross_entropy", p, target)
    if ((p.data < 0) | (p.data > 1)).any():
        raise ValueError(
            "binary_cross_entropy: probabilities must lie from 0 to 1; for numbers of any size use "
            "binary_cross_entropy_with_logits"
        )
    losses = -(target * _log(p) + (1 - target) * _log(1 - p))
    losses = losses if weight is None else losses * as_tensor(weight)
    return reduced("binary_cross_entropy", losses, reduction)


def _log(p: Tensor) -> Tensor:
    """log p, at least -100."""
    bound = p.dtype.type(-100)
    least = np.exp(bound)  # e^-100 is a number in float32, too, but a subnormal one
    small = p.data <= least
    return where(small, bound, where(small, p.dtype.type(1), p).log())


def binary_cross_entropy_with_logits(
    z, target, weight=None, reduction: str = "mean", pos_weight=None
) -> Tensor:
    """`binary_cross_entropy` of p = sigmoid(z), computed without overflow.

    `pos_weight` multiplies the loss of target 1.
    """
    op = "binary_cross_entropy_with_logits"
    z, target = _pair(op, z, target)
    positive = target if pos_weight is None else target * as_tensor(pos_weight)
    losses = -(positive * logsigmoid(z) + (1 - target) * logsigmoid(-z))
    losses = losses if weight is None else losses * as_tensor(weight)
    return reduced(op, losses, reduction)
