"""Pooling layers; images are (N, H, W, C)."""

from minires import checks
from minires import functional as F
from minires.arguments import flag
from minires.nn.module import Module
from minires.tensor import Tensor


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
    """Largest value of every window; stride is the window if not given.

    Arguments as of `functional.max_pool2d`.
    """

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        super().__init__(kernel_size, stride, padding)
        checks.pair("MaxPool2d", "dilation", dilation, least=1)
        self.dilation, self.ceil_mode = dilation, flag("MaxPool2d", "ceil_mode", ceil_mode)

    def forward(self, x) -> Tensor:
        where = (self.kernel_size, self.stride, self.padding)
        return F.max_pool2d(x, *where, self.dilation, self.ceil_mode)


class AvgPool2d(_Pool2d):
    """Mean of every window, padding counted; stride is the window if not given.

    Arguments as of `functional.avg_pool2d`.
    """

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
    ):
        super().__init__(kernel_size, stride, padding)
        self.ceil_mode = flag("AvgPool2d", "ceil_mode", ceil_mode)
        self.count_include_pad = flag("AvgPool2d", "count_include_pad", count_include_pad)

    def forward(self, x) -> Tensor:
        where = (self.kernel_size, self.stride, self.padding)
        return F.avg_pool2d(x, *where, self.ceil_mode, self.count_include_pad)


class GlobalAvgPool2d(Module):
    """Mean over the pixels, (N,H,W,C) -> (N,C)."""

    def forward(self, x) -> Tensor:
        return F.global_avg_pool2d(x)


class _AdaptivePool2d(Module):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"{self.output_size}"


class AdaptiveAvgPool2d(_AdaptivePool2d):
    """Means of `output_size` (an int or a pair) windows: (N,H,W,C) -> (N,*output_size,C)."""

    def forward(self, x) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.output_size)


class AdaptiveMaxPool2d(_AdaptivePool2d):
    """Largest values of `output_size` windows: (N,H,W,C) -> (N,*output_size,C)."""

    def forward(self, x) -> Tensor:
        return F.adaptive_max_pool2d(x, self.output_size)
