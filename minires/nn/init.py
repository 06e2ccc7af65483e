"""Initial weights, drawn on the host from `minires.backend.generator()` (see `minires.seed`).

Functions without an underscore return an array. Those with one, PyTorch's names, write into a
Parameter and return it; filters are (KH, KW, Cin, Cout) and matrices (in, out), so fan_in is the
number of inputs of one output, all axes but the last, and fan_out all but the last but one.
"""

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from minires import backend
from minires.arguments import real
from minires.hints import asked_in
from minires.tensor import Tensor


def he_normal(shape: tuple[int, ...]) -> np.ndarray:
    """N(0, 2 / fan_in), which keeps the variance of activations through ReLU layers.

    He et al. 2015, "Delving Deep into Rectifiers", equation 10. fan_in is the number of inputs of
    one output: all axes but the last, for (KH, KW, Cin, Cout) and (in, out) alike. float32.
    """
    return normal(shape, sqrt(2 / prod(shape[:-1])))


def normal(shape: tuple[int, ...], std: float) -> np.ndarray:
    """N(0, std^2), float32."""
    return (backend.generator().standard_normal(shape) * std).astype(np.float32)


def uniform(shape: tuple[int, ...], bound: float) -> np.ndarray:
    """Evenly distributed between -bound and bound, float32."""
    return backend.generator().uniform(-bound, bound, shape).astype(np.float32)


# PyTorch's names


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Numbers evenly distributed between a and b."""
    return _fill("uniform_", tensor, lambda shape: backend.generator().uniform(a, b, shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Numbers from N(mean, std^2)."""
    real("normal_", "std", std, least=0)
    return _fill("normal_", tensor, lambda shape: backend.generator().normal(mean, std, shape))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """Numbers from N(mean, std^2), drawn again where they lie outside of a to b."""
    real("trunc_normal_", "std", std, above=0)
    if not a < b or mean + 5 * std < a or mean - 5 * std > b:
        raise ValueError(f"trunc_normal_: N({mean}, {std}^2) has hardly a number from {a} to {b}")

    def draw(shape):
        numbers = backend.generator().normal(mean, std, shape)
        while (outside := (numbers < a) | (numbers > b)).any():
            numbers[outside] = backend.generator().normal(mean, std, int(outside.sum()))
        return numbers

    return _fill("trunc_normal_", tensor, draw)


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Orthogonal columns, or rows where there are fewer of them (Saxe et al. 2013), times gain.

    Filters count as the matrix of all axes but the last by the last.
    """
    fan_in, _ = _fans("orthogonal_", tensor)

    def draw(shape):
        high, wide = max(fan_in, shape[-1]), min(fan_in, shape[-1])
        q, r = np.linalg.qr(backend.generator().standard_normal((high, wide)))
        q *= np.sign(np.diag(r))  # so that every orthogonal matrix is as likely
        return gain * (q if fan_in >= shape[-1] else q.T).reshape(shape)

    return _fill("orthogonal_", tensor, draw)


def constant_(tensor: Tensor, value: float) -> Tensor:
    """The same value everywhere."""
    value = real("constant_", "value", value)
    return _fill("constant_", tensor, lambda shape: np.full(shape, value))


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Even, of variance 2 gain^2 / (fan_in + fan_out) (Glorot and Bengio 2010, equation 16)."""
    std = gain * sqrt(2 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -std * sqrt(3), std * sqrt(3))


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal, of variance 2 gain^2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * sqrt(2 / sum(_fans("xavier_normal_", tensor))))


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal, of variance gain^2 / fan (He et al. 2015, "Delving Deep into Rectifiers").

    `a` is the negative slope of a leaky ReLU, 0 for a ReLU; `mode` chooses fan_in or fan_out.
    """
    return normal_(tensor, 0.0, _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """As `kaiming_normal_`, but evenly distributed."""
    bound = sqrt(3) * _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


GAINS = {"linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": sqrt(2), "selu": 0.75}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity wants its inputs' standard deviation enlarged."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else real("calculate_gain", "param", param)
        return sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        known = ", ".join([*GAINS, "leaky_relu"])
        raise ValueError(f"calculate_gain: no nonlinearity {nonlinearity!r}; there are {known}")
    return GAINS[nonlinearity]


def _kaiming(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode must be 'fan_in' or 'fan_out', but is {mode!r}")
    fan = _fans(name, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / sqrt(fan)


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim < 2 or tensor.size == 0:
        raise ValueError(f"{name}: a matrix or filters are needed, but this is {tensor.shape}")
    *window, inputs, outputs = tensor.shape
    return prod(window) * inputs, prod(window) * outputs


def _fill(name: str, tensor: Tensor, draw: Callable) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: a Parameter is needed, but this is a {type(tensor).__name__}")
    tensor.data[...] = backend.asarray(draw(tensor.shape), tensor.dtype)
    return tensor


__getattr__ = asked_in("init")
