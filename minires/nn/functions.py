"""Modules without parameters of their own: activation and loss functions with their settings.

>>> criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
>>> loss = criterion(nn.LeakyReLU(0.1)(x), labels)

Each class names its function in `minires.functional`; arguments after the function's inputs are the
class's arguments, under the same names.
"""

from collections.abc import Callable
from inspect import signature

import numpy as np

from minires import functional as F
from minires.names import ALIASES
from minires.nn.module import Module, Parameter
from minires.tensor import Tensor


class FunctionModule(Module):
    """A function of one or several tensors, called with settings that are kept.

    `inplace` is PyTorch's word; it changes nothing here, since results are new arrays.
    """

    function: Callable
    inputs = 1
    """How many of the function's arguments come with the call."""

    def __init__(self, *settings, inplace: bool = False, **named):
        super().__init__()
        function = type(self).function
        parameters = list(signature(function).parameters.values())[self.inputs :]
        kept = signature(function).replace(parameters=parameters)
        named = {ALIASES.get(name, name): value for name, value in named.items()}
        try:
            bound = kept.bind(*settings, **named)
        except TypeError as error:
            known = ", ".join(kept.parameters) or "none"
            raise TypeError(f"{type(self).__name__}: {error}; its arguments are: {known}") from None
        bound.apply_defaults()
        self.settings = dict(bound.arguments)

    def forward(self, *inputs) -> Tensor:
        return type(self).function(*inputs, **self.settings)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.settings.items())


class ReLU(FunctionModule):
    """max(x, 0)."""

    function = staticmethod(F.relu)


class ReLU6(FunctionModule):
    """min(max(x, 0), 6)."""

    function = staticmethod(F.relu6)


class LeakyReLU(FunctionModule):
    """x where x > 0, negative_slope x elsewhere."""

    function = staticmethod(F.leaky_relu)


class ELU(FunctionModule):
    """x where x > 0, alpha (e^x - 1) elsewhere."""

    function = staticmethod(F.elu)


class SELU(FunctionModule):
    """`ELU` scaled so that layers keep mean 0 and variance 1."""

    function = staticmethod(F.selu)


class GELU(FunctionModule):
    """x times the normal distribution's cumulative probability at x."""

    function = staticmethod(F.gelu)


class SiLU(FunctionModule):
    """x sigmoid(x)."""

    function = staticmethod(F.silu)


class Mish(FunctionModule):
    """x tanh(softplus(x))."""

    function = staticmethod(F.mish)


class Sigmoid(FunctionModule):
    """1 / (1 + e^-x)."""

    function = staticmethod(F.sigmoid)


class LogSigmoid(FunctionModule):
    """log of sigmoid(x)."""

    function = staticmethod(F.logsigmoid)


class Tanh(FunctionModule):
    """Hyperbolic tangent."""

    function = staticmethod(F.tanh)


class Tanhshrink(FunctionModule):
    """x - tanh(x)."""

    function = staticmethod(F.tanhshrink)


class Softplus(FunctionModule):
    """log(1 + e^(beta x)) / beta."""

    function = staticmethod(F.softplus)


class Softsign(FunctionModule):
    """x / (1 + |x|)."""

    function = staticmethod(F.softsign)


class Hardtanh(FunctionModule):
    """x cut off at min_val and max_val."""

    function = staticmethod(F.hardtanh)


class Hardsigmoid(FunctionModule):
    """relu6(x + 3) / 6."""

    function = staticmethod(F.hardsigmoid)


class Hardswish(FunctionModule):
    """x hardsigmoid(x)."""

    function = staticmethod(F.hardswish)


class Softmax(FunctionModule):
    """e^x / sum of e^x along an axis, which must be named: `Softmax(dim=-1)`."""

    function = staticmethod(F.softmax)


class LogSoftmax(FunctionModule):
    """The logarithm of softmax along an axis, which must be named: `LogSoftmax(dim=-1)`."""

    function = staticmethod(F.log_softmax)


class PReLU(Module):
    """x where x > 0, weight x elsewhere; the weight is learned.

    weight (num_parameters,), `init` at the start: one for all, or one for each channel.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25):
        super().__init__()
        self.weight = Parameter(np.full(num_parameters, init, np.float32))

    def forward(self, x) -> Tensor:
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.weight.size}"


class CrossEntropyLoss(FunctionModule):
    """Softmax cross-entropy of logits (N, K) and labels (N,): see `functional.cross_entropy`."""

    function = staticmethod(F.cross_entropy)
    inputs = 2


class NLLLoss(FunctionModule):
    """Minus the log-probability of the right class: see `functional.nll_loss`."""

    function = staticmethod(F.nll_loss)
    inputs = 2


class MSELoss(FunctionModule):
    """Squared differences: see `functional.mse_loss`."""

    function = staticmethod(F.mse_loss)
    inputs = 2


class L1Loss(FunctionModule):
    """Absolute differences: see `functional.l1_loss`."""

    function = staticmethod(F.l1_loss)
    inputs = 2


class SmoothL1Loss(FunctionModule):
    """Squares of small differences, sizes of large ones: see `functional.smooth_l1_loss`."""

    function = staticmethod(F.smooth_l1_loss)
    inputs = 2


class HuberLoss(FunctionModule):
    """Squares of small differences, sizes of large ones: see `functional.huber_loss`."""

    function = staticmethod(F.huber_loss)
    inputs = 2


class BCELoss(FunctionModule):
    """Cross-entropy of probabilities and targets 0 to 1: see `functional.binary_cross_entropy`."""

    function = staticmethod(F.binary_cross_entropy)
    inputs = 2


class BCEWithLogitsLoss(FunctionModule):
    """`BCELoss` of sigmoid(z): see `functional.binary_cross_entropy_with_logits`."""

    function = staticmethod(F.binary_cross_entropy_with_logits)
    inputs = 2


class KLDivLoss(FunctionModule):
    """p (log p - log q): see `functional.kl_div`."""

    function = staticmethod(F.kl_div)
    inputs = 2
