"""Normalisation layers; channels lie along the last axis."""

from typing import Any

import numpy as np

from minires import backend, checks
from minires import functional as F
from minires.arguments import flag, integer, real
from minires.nn.module import Module, Parameter
from minires.tensor import Tensor


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

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
    ):
        super().__init__()
        name = type(self).__name__
        channels = integer(name, "channels", channels, least=0)
        self.eps = real(name, "eps", eps, least=0)
        self.momentum = momentum
        if momentum is None:
            self.register_buffer("num_batches_tracked", np.zeros((), np.int64))
        else:
            self.momentum = real(name, "momentum", momentum, least=0, most=1)
        ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        self.weight = Parameter(ones) if flag(name, "affine", affine) else None
        self.bias = Parameter(zeros) if affine else None
        self.register_buffer("running_mean", backend.asarray(np.zeros(channels, np.float32)))
        self.register_buffer("running_var", backend.asarray(np.ones(channels, np.float32)))

    def forward(self, x, residual=None, relu: bool = False) -> Tensor:
        momentum, cumulative = self.momentum, self.momentum is None
        if momentum is None:
            momentum = 1 / (int(self.num_batches_tracked) + 1)
        weight: Any = self.weight
        bias: Any = self.bias
        if weight is None:
            zeros = backend.xp().zeros_like(self.running_mean)
            weight, bias = Tensor(zeros + 1), Tensor(zeros)
        y = F.batch_norm(
            x,
            weight,
            bias,
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
        return f"{len(self.running_mean)}"


class BatchNorm1d(BatchNorm2d):
    """`BatchNorm2d` for x (N, C) or (N, L, C): the same computation, under PyTorch's name."""


class LayerNorm(Module):
    """Layer normalisation over the last axes, whose lengths are `normalized_shape`.

    weight = 1 and bias = 0 at the start, both of that shape; without `elementwise_affine` neither.
    """

    def __init__(
        self,
        normalized_shape,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        self.normalized_shape = checks.shape("LayerNorm", "normalized_shape", normalized_shape)
        self.eps = real("LayerNorm", "eps", eps, least=0)
        affine = flag("LayerNorm", "elementwise_affine", elementwise_affine)
        shifted = affine and flag("LayerNorm", "bias", bias)
        shape = self.normalized_shape
        self.weight = Parameter(np.ones(shape, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(shape, np.float32)) if shifted else None

    def forward(self, x) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.normalized_shape))


class RMSNorm(Module):
    """Division by the root mean square of the last axes, whose lengths are `normalized_shape`."""

    def __init__(self, normalized_shape, eps: float | None = None, elementwise_affine: bool = True):
        super().__init__()
        self.normalized_shape = checks.shape("RMSNorm", "normalized_shape", normalized_shape)
        self.eps = None if eps is None else real("RMSNorm", "eps", eps, least=0)
        affine = flag("RMSNorm", "elementwise_affine", elementwise_affine)
        self.weight = Parameter(np.ones(self.normalized_shape, np.float32)) if affine else None

    def forward(self, x) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.normalized_shape))


class GroupNorm(Module):
    """Group normalisation of `num_channels` channels in `num_groups` groups.

    weight = 1 and bias = 0 at the start, both (C,); without `affine` neither.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True):
        super().__init__()
        self.num_groups = integer("GroupNorm", "num_groups", num_groups, least=1)
        self.num_channels = integer("GroupNorm", "num_channels", num_channels, least=1)
        if self.num_channels % self.num_groups:
            raise ValueError(
                f"GroupNorm: num_groups must divide num_channels, but {num_groups} does not "
                f"divide {num_channels}"
            )
        self.eps = real("GroupNorm", "eps", eps, least=0)
        affine = flag("GroupNorm", "affine", affine)
        self.weight = Parameter(np.ones(num_channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, np.float32)) if affine else None

    def forward(self, x) -> Tensor:
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups} groups of {self.num_channels} channels"


class InstanceNorm2d(Module):
    """Instance normalisation of images (N,H,W,C); with `affine` a scale and a shift (C,)."""

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = False):
        super().__init__()
        channels = integer("InstanceNorm2d", "num_features", num_features, least=1)
        self.eps = real("InstanceNorm2d", "eps", eps, least=0)
        affine = flag("InstanceNorm2d", "affine", affine)
        self.weight = Parameter(np.ones(channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(channels, np.float32)) if affine else None

    def forward(self, x) -> Tensor:
        return F.instance_norm(x, self.weight, self.bias, self.eps)
