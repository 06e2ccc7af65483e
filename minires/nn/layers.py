"""The layers, each a thin owner of parameters around a function of `minires.functional`."""

from math import prod, sqrt

import numpy as np

from minires import checks
from minires import functional as F
from minires.arguments import flag, integer, real
from minires.convolution import sides
from minires.nn import init
from minires.nn.module import Module, Parameter
from minires.tensor import Tensor


class Conv2d(Module):
    """Convolution, x (N,H,W,Cin) -> (N,Ho,Wo,Cout).

    weight (KH, KW, Cin / groups, Cout), He initialisation; bias (Cout,) starts at zero.
    `kernel_size`, `stride`, `dilation` are ints or pairs (for H, for W); so is `padding`, which may
    also be "same", "valid", or ((top, bottom), (left, right)).
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        bias=True,
        *,
        dilation=1,
        groups=1,
    ):
        super().__init__()
        kernel = checks.pair("Conv2d", "kernel_size", kernel_size, least=1)
        in_channels = integer("Conv2d", "in_channels", in_channels, least=1)
        out_channels = integer("Conv2d", "out_channels", out_channels, least=1)
        groups = _groups("Conv2d", groups, in_channels, out_channels)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        strides = checks.pair("Conv2d", "stride", stride, least=1)
        apart = checks.pair("Conv2d", "dilation", dilation, least=1)
        reach = tuple(d * (k - 1) + 1 for d, k in zip(apart, kernel, strict=True))
        sides("Conv2d", padding, reach, strides)
        bias = flag("Conv2d", "bias", bias)
        weight = init.he_normal((*kernel, in_channels // groups, out_channels))
        self.weight = Parameter(weight)
        self.bias = Parameter(np.zeros(out_channels, np.float32)) if bias else None

    def forward(self, x) -> Tensor:
        how = {"dilation": self.dilation, "groups": self.groups}
        y = F.conv2d(x, self.weight, self.stride, self.padding, **how)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        kh, kw, c, k = self.weight.shape
        how = "" if self.dilation in (1, (1, 1)) else f", dilation {self.dilation}"
        how += "" if self.groups == 1 else f", groups {self.groups}"
        how = f"stride {self.stride}, padding {self.padding}{how}"
        return f"{c * self.groups} -> {k}, {kh}x{kw}, {how}"


class ConvTranspose2d(Module):
    """Transposed convolution, x (N,H,W,Cin) -> (N,Ho,Wo,Cout), larger by the stride.

    weight (KH, KW, Cout / groups, Cin), from N(0, 2 / (number of inputs of one output)); bias
    (Cout,) starts at zero. Arguments as of `functional.conv_transpose2d`.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        bias=True,
        *,
        dilation=1,
        groups=1,
    ):
        super().__init__()
        name = "ConvTranspose2d"
        kernel = checks.pair(name, "kernel_size", kernel_size, least=1)
        in_channels = integer(name, "in_channels", in_channels, least=1)
        out_channels = integer(name, "out_channels", out_channels, least=1)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.output_padding = output_padding
        self.groups = _groups(name, groups, in_channels, out_channels)
        strides = checks.pair(name, "stride", stride, least=1)
        for of, value in (("padding", padding), ("output_padding", output_padding)):
            checks.pair(name, of, value, least=0)
        checks.pair(name, "dilation", dilation, least=1)
        bias = flag(name, "bias", bias)
        inputs = in_channels // groups * prod(kernel) / prod(strides)
        shape = (*kernel, out_channels // groups, in_channels)
        self.weight = Parameter(init.normal(shape, sqrt(2 / max(1.0, inputs))))
        self.bias = Parameter(np.zeros(out_channels, np.float32)) if bias else None

    def forward(self, x) -> Tensor:
        how = {"output_padding": self.output_padding, "dilation": self.dilation}
        how |= {"groups": self.groups, "bias": self.bias}
        return F.conv_transpose2d(x, self.weight, self.stride, self.padding, **how)

    def extra_repr(self) -> str:
        kh, kw, k, c = self.weight.shape
        k *= self.groups
        return f"{c} -> {k}, {kh}x{kw}, stride {self.stride}, padding {self.padding}"


def _groups(name: str, groups, in_channels: int, out_channels: int) -> int:
    groups = integer(name, "groups", groups, least=1)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"{name}: groups must divide both channels, but {groups} does not divide "
            f"{in_channels} and {out_channels}"
        )
    return groups


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


class Embedding(Module):
    """A table: integers (...) from 0 to num_embeddings - 1 -> rows (..., embedding_dim).

    weight (num_embeddings, embedding_dim), from N(0, 1), as in PyTorch.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int):
        super().__init__()
        shape = (
            integer("Embedding", "num_embeddings", num_embeddings, least=1),
            integer("Embedding", "embedding_dim", embedding_dim, least=1),
        )
        self.weight = Parameter(init.normal(shape, 1.0))

    def forward(self, indices) -> Tensor:
        return F.embedding(indices, self.weight)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]} -> {self.weight.shape[1]}"


class Dropout(Module):
    """Zeroes each element with probability p while training.

    `inplace` is PyTorch's word; it changes nothing here, since results are new arrays.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        self.p = real("Dropout", "p", p, least=0, most=1)

    def forward(self, x) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


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
    """All axes from `start_dim` to `end_dim` made into one: all but the first by default."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim = integer("Flatten", "start_dim", start_dim)
        self.end_dim = integer("Flatten", "end_dim", end_dim)

    def forward(self, x) -> Tensor:
        return x.flatten(self.start_dim, self.end_dim)


class Unflatten(Module):
    """The axis `dim` made into several, whose lengths are `unflattened_size`."""

    def __init__(self, dim: int, unflattened_size):
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x) -> Tensor:
        return x.unflatten(self.dim, self.unflattened_size)
