"""The layers, each a thin owner of parameters around a function of `minires.functional`."""

from math import sqrt
from typing import Any

import numpy as np

from minires import backend, checks
from minires import functional as F
from minires.arguments import flag, integer, real
from minires.nn import init
from minires.nn.module import Module, Parameter
from minires.tensor import Tensor


class Conv2d(Module):
    """Convolution, x (N,H,W,Cin) -> (N,Ho,Wo,Cout).

    weight (KH, KW, Cin, Cout), He initialisation; bias (Cout,) starts at zero.
    `kernel_size`, `stride` and `padding` are ints or pairs (for H, for W).
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        kernel = checks.pair("Conv2d", "kernel_size", kernel_size, least=1)
        in_channels = integer("Conv2d", "in_channels", in_channels, least=1)
        out_channels = integer("Conv2d", "out_channels", out_channels, least=1)
        checks.pair("Conv2d", "stride", stride, least=1)
        checks.pair("Conv2d", "padding", padding, least=0)
        self.stride, self.padding = stride, padding
        bias = flag("Conv2d", "bias", bias)
        weight = init.he_normal((*kernel, in_channels, out_channels))
        self.weight = Parameter(weight)
        self.bias = Parameter(np.zeros(out_channels, np.float32)) if bias else None

    def forward(self, x) -> Tensor:
        y = F.conv2d(x, self.weight, self.stride, self.padding)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        kh, kw, c, k = self.weight.shape
        return f"{c} -> {k}, {kh}x{kw}, stride {self.stride}, padding {self.padding}"


class BatchNorm2d(Module):
    """Batch normalisation over all axes but the last; optionally residual and ReLU in the same go.

    weight and bias (C,) are the scale gamma = 1 and the shift beta = 0 at the start; the buffers
    running_mean = 0 and running_var = 1 follow the batches with `momentum`, from 0 to 1. With
    momentum None they are the mean over all batches so far, which num_batches_tracked counts.
    """

    momentum: Any
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float | None = 0.1):
        super().__init__()
        channels = integer("BatchNorm2d", "channels", channels, least=0)
        self.eps = real("BatchNorm2d", "eps", eps, least=0)
        self.momentum = momentum
        if momentum is None:
            self.register_buffer("num_batches_tracked", np.zeros((), np.int64))
        else:
            self.momentum = real("BatchNorm2d", "momentum", momentum, least=0, most=1)
        self.weight = Parameter(np.ones(channels, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.register_buffer("running_mean", backend.asarray(np.zeros(channels, np.float32)))
        self.register_buffer("running_var", backend.asarray(np.ones(channels, np.float32)))

    def forward(self, x, residual=None, relu: bool = False) -> Tensor:
        momentum, cumulative = self.momentum, self.momentum is None
        if momentum is None:
            momentum = 1 / (int(self.num_batches_tracked) + 1)
        y = F.batch_norm(
            x,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            self.training,
            momentum,
            self.eps,
            residual,
            relu,
        )
        if cumulative and self.training:
            self.num_batches_tracked += 1
        return y

    def extra_repr(self) -> str:
        return f"{self.weight.size}"


class Linear(Module):
    """Affine map, x (..., in) -> (..., out).

    weight (in, out) and bias (out,), both evenly distributed within 1/sqrt(in), as in PyTorch.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        in_features = integer("Linear", "in_features", in_features, least=0)
        out_features = integer("Linear", "out_features", out_features, least=0)
        bias = flag("Linear", "bias", bias)
        bound = 1 / sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(init.uniform((in_features, out_features), bound))
        self.bias = Parameter(init.uniform((out_features,), bound)) if bias else None

    def forward(self, x) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]} -> {self.weight.shape[1]}"


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x) -> Tensor:
        return F.relu(x)


class Dropout(Module):
    """Zeroes each element with probability p while training."""

    def __init__(self, p: float = 0.5):
        super().__init__()
        self.p = real("Dropout", "p", p, least=0, most=1)

    def forward(self, x) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class _Pool2d(Module):
    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        name = type(self).__name__
        checks.pair(name, "kernel_size", kernel_size, least=1)
        checks.pair(name, "padding", padding, least=0)
        if stride is not None:
            checks.pair(name, "stride", stride, least=1)
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride {self.stride}, padding {self.padding}"


class MaxPool2d(_Pool2d):
    """Largest value of every window; stride is the window if not given."""

    def forward(self, x) -> Tensor:
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool2d):
    """Mean of every window, padding counted; stride is the window if not given."""

    def forward(self, x) -> Tensor:
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class GlobalAvgPool2d(Module):
    """Mean over the pixels, (N,H,W,C) -> (N,C)."""

    def forward(self, x) -> Tensor:
        return F.global_avg_pool2d(x)


class Identity(Module):
    """Hands its input on as it is."""

    def forward(self, x) -> Tensor:
        return x


class ZeroPadShortcut(Module):
    """Option A where a ResNet changes shape: subsample, pad with zero channels; no parameters."""

    def __init__(self, stride: int, channels: int):
        super().__init__()
        self.stride = integer("ZeroPadShortcut", "stride", stride, least=1)
        self.channels = integer("ZeroPadShortcut", "channels", channels, least=1)

    def forward(self, x) -> Tensor:
        return F.shortcut(x, self.stride, self.channels)

    def extra_repr(self) -> str:
        return f"stride {self.stride}, {self.channels} channels"


class Flatten(Module):
    """All axes but the first made into one."""

    def forward(self, x) -> Tensor:
        return x.flatten(1)
