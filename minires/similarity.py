"""Vectors compared: unit length, cosine, attention; and images made larger or smaller."""

from math import sqrt

import numpy as np

from minires import checks
from minires.arguments import flag, real
from minires.names import pytorch_names
from minires.shaping import broadcast, index_select, where
from minires.statistics import clip, norm, softmax
from minires.tensor import Tensor, as_tensor


@pytorch_names
def normalize(x, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Tensor:
    """x divided by its p-norm along `axis`, which counts as at least `eps`."""
    (x,) = checks.floats("normalize", x=x)
    return x / clip(norm(x, p, axis, True), min=real("normalize", "eps", eps, least=0))


@pytorch_names
def cosine_similarity(a, b, axis: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors along `axis`; their lengths count as at least `eps`."""
    a, b = checks.floats("cosine_similarity", a=a, b=b)
    least = real("cosine_similarity", "eps", eps, least=0)
    a, b = broadcast("cosine_similarity", a, b)
    lengths = [clip(norm(x, 2, axis, True), min=least) for x in (a, b)]
    return ((a / lengths[0]) * (b / lengths[1])).sum(axis)


def scaled_dot_product_attention(
    q, k, v, attn_mask=None, dropout_p: float = 0.0, is_causal: bool = False
) -> Tensor:
    """softmax(q k^T / sqrt(D)) v (Vaswani et al. 2017, equation 1).

    Parameters
    ----------
    q : Tensor (..., L, D)
    k : Tensor (..., S, D)
    v : Tensor (..., S, E)
    attn_mask : bool array (..., L, S), or float array that is added, optional
        False: what may not be looked at.
    dropout_p : float
        0: weights are not dropped here.
    is_causal : bool
        Place i may look at places up to i alone.

    Returns
    -------
    Tensor (..., L, E)
    """
    op = "scaled_dot_product_attention"
    q, k, v = checks.floats(op, q=q, k=k, v=v)
    if dropout_p != 0:
        raise ValueError(f"{op}: dropout_p must be 0, but is {dropout_p!r}; drop values instead")
    scores = q @ k.transpose(-2, -1) * (1 / sqrt(q.shape[-1]))
    if flag(op, "is_causal", is_causal):
        if attn_mask is not None:
            raise ValueError(f"{op}: give attn_mask or is_causal, not both")
        attn_mask = np.tril(np.ones(scores.shape[-2:], bool))
    if attn_mask is not None:
        mask = as_tensor(attn_mask)
        low = scores.dtype.type(-np.inf)
        scores = where(mask, scores, low) if mask.dtype == bool else scores + mask
    return softmax(scores, -1) @ v


def interpolate(
    x, size=None, scale_factor=None, mode: str = "nearest", align_corners: bool = False
) -> Tensor:
    """Images (N,H,W,C) of another size.

    Parameters
    ----------
    x : Tensor (N, H, W, C), float32 or float64
    size : int or pair, optional
        The new height and width. Or `scale_factor`, a number or a pair, which the old ones are
        multiplied with.
    mode : "nearest" or "bilinear"
        The pixel in whose area the centre lies, or a mean of the four around it, as in PyTorch.
    align_corners : bool
        Whether the corners' centres stay where they are (bilinear).
    """
    op = "interpolate"
    (x,) = checks.floats(op, x=x)
    checks.rank(op, "x", x, "(N,H,W,C)")
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{op}: give size or scale_factor")
    old = x.shape[1:3]
    factors = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor,) * 2
    if size is None:
        factors = [real(op, "scale_factor", f, above=0) for f in factors]
        size = [int(n * f) for n, f in zip(old, factors, strict=True)]
    else:
        factors = (None, None)
    size = checks.pair(op, "size", size, 1)
    align_corners = flag(op, "align_corners", align_corners)
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"{op}: mode must be 'nearest' or 'bilinear', but is {mode!r}")
    if 0 in old:
        raise ValueError(f"{op}: x {x.shape} has no pixels")
    for axis, n, count, factor in zip((1, 2), old, size, factors, strict=True):
        step = n / count if factor is None else 1 / factor
        i = np.arange(count)
        if mode == "nearest":
            places = np.minimum((i * step).astype(np.int64), n - 1)
            x = index_select(x, axis, places)
            continue
        if align_corners:
            at = i * ((n - 1) / (count - 1)) if count > 1 else 0.0 * i
        else:
            at = np.clip((i + 0.5) * step - 0.5, 0, None)
        low = np.minimum(at.astype(np.int64), n - 1)
        high = np.minimum(low + 1, n - 1)
        share = (at - low).astype(x.dtype).reshape(-1, *[1] * (3 - axis))
        x = index_select(x, axis, low) * (1 - share) + index_select(x, axis, high) * share
    return x
