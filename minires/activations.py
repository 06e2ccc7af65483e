"""Activation functions, element by element; relu has kernels of its own in `functional`.

Each is written with tensor operations, so that its gradient follows from theirs. Branches that are
not taken are computed with harmless numbers: an overflow there would make its gradient NaN.
"""

import math

from minires import operators
from minires.arguments import choice, real
from minires.shaping import where
from minires.statistics import clip
from minires.tensor import Tensor, as_tensor


def _floating(x) -> Tensor:
    return operators.floating(as_tensor(x))


def sigmoid(x) -> Tensor:
    """1 / (1 + e^-x)."""
    return as_tensor(x).sigmoid()


def tanh(x) -> Tensor:
    """Hyperbolic tangent."""
    return as_tensor(x).tanh()


def leaky_relu(x, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, negative_slope x elsewhere (Maas, Hannun and Ng 2013)."""
    x = _floating(x)
    return where(x.data > 0, x, real("leaky_relu", "negative_slope", negative_slope) * x)


def prelu(x, weight) -> Tensor:
    """x where x > 0, weight x elsewhere; a weight for all, or one for each channel (the last axis).

    He et al. 2015, "Delving Deep into Rectifiers", section 2.1.
    """
    x = _floating(x)
    return where(x.data > 0, x, as_tensor(weight) * x)


def elu(x, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha (e^x - 1) elsewhere (Clevert, Unterthiner and Hochreiter 2015)."""
    x = _floating(x)
    return where(
        x.data > 0, x, real("elu", "alpha", alpha) * operators.unary("expm1", clip(x, max=0))
    )


def selu(x) -> Tensor:
    """`elu` scaled so that layers keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def gelu(x, approximate: str = "none") -> Tensor:
    """x times the normal distribution's cumulative probability at x (Hendrycks and Gimpel 2016).

    With approximate="tanh" the paper's formula with tanh.
    """
    x = _floating(x)
    if choice("gelu", "approximate", approximate, "none", "tanh") == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1 + inner.tanh())
    return 0.5 * x * (1 + operators.unary("erf", x * math.sqrt(0.5)))


def silu(x) -> Tensor:
    """x sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2017)."""
    x = _floating(x)
    return x * x.sigmoid()


def softplus(x, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, and x itself where beta x > threshold."""
    x, beta = _floating(x), real("softplus", "beta", beta)
    scaled = x * beta
    inside = scaled.data <= real("softplus", "threshold", threshold)
    positive = clip(scaled, min=0)
    smooth = (positive + operators.unary("log1p", (-scaled.abs()).exp())) / beta
    return where(inside, smooth, x)


def logsigmoid(x) -> Tensor:
    """log of sigmoid(x), without overflow."""
    x = _floating(x)
    return clip(x, max=0) - operators.unary("log1p", (-x.abs()).exp())


def softsign(x) -> Tensor:
    """x / (1 + |x|)."""
    x = _floating(x)
    return x / (1 + x.abs())


def tanhshrink(x) -> Tensor:
    """x - tanh(x)."""
    x = _floating(x)
    return x - x.tanh()


def relu6(x) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(x, 0, 6)


def hardtanh(x, min_val: float = -1, max_val: float = 1) -> Tensor:
    """x cut off at both values; where x equals one of them the gradient is 0, as in PyTorch."""
    x = _floating(x)
    low, high = real("hardtanh", "min_val", min_val), real("hardtanh", "max_val", max_val)
    kind = x.dtype.type
    return where(x.data <= low, kind(low), where(x.data >= high, kind(high), x))


def hardsigmoid(x) -> Tensor:
    """relu6(x + 3) / 6."""
    return relu6(_floating(x) + 3) / 6


def hardswish(x) -> Tensor:
    """x hardsigmoid(x)."""
    x = _floating(x)
    return x * hardsigmoid(x)


def mish(x) -> Tensor:
    """x tanh(softplus(x)) (Misra 2019)."""
    x = _floating(x)
    return x * softplus(x).tanh()
