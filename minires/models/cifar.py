"""The CIFAR networks of He et al. 2015, section 4.2: ResNet-(6n+2) and the plain nets beside them.

    3x3 convolution, 16 channels
    n blocks of two 3x3 convolutions with 16 channels on 32x32 pixels
    n blocks with 32 channels on 16x16 pixels, the first with stride 2
    n blocks with 64 channels on 8x8 pixels, the first with stride 2
    global average pool, linear classifier

6n + 2 weighted layers. The names of the parts are those of the published PyTorch weights.
"""

import re

from minires import backend, kernels, nn
from minires import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and the shortcut around them (figure 2 of the paper).

    Parameters
    ----------
    in_channels, out_channels, stride : int
    shortcut : str
        Where the shape changes, "A" subsamples and pads with zero channels, "B" projects with a
        1x1 convolution; "C" projects around every block; "none" makes a plain net.
    fused : bool, optional
        Compute the block as one operation, `F.basic_block`, unless its shortcut is a projection, or
        as five. If not given: fused where the current backend has a kernel for it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        shortcut: str,
        fused: bool | None = None,
    ):
        super().__init__()
        self.fused = fused
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        same_shape = stride == 1 and in_channels == out_channels
        self.stride = stride
        self.fusible = shortcut in ("A", "none") or (shortcut == "B" and same_shape)
        if shortcut not in ("A", "B", "C", "none"):
            raise ValueError(f"shortcut must be A, B, C or none, but is {shortcut!r}")
        if shortcut == "none":
            self.shortcut = None
        elif shortcut == "C" or (shortcut == "B" and not same_shape):
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        elif same_shape:
            self.shortcut = nn.Identity()
        else:
            self.shortcut = nn.ZeroPadShortcut(stride, out_channels)

    def forward(self, x):
        if self.fusible and _is_fused(self.fused, "basic_block", x):
            return self._forward_fused(x)
        residual = None if self.shortcut is None else self.shortcut(x)
        y = self.bn1(self.conv1(x), relu=True)
        return self.bn2(self.conv2(y), residual=residual, relu=True)

    def _forward_fused(self, x):
        bn1, bn2 = self.bn1, self.bn2
        return F.basic_block(
            x,
            self.conv1.weight,
            bn1.weight,
            bn1.bias,
            (bn1.running_mean, bn1.running_var),
            self.conv2.weight,
            bn2.weight,
            bn2.bias,
            (bn2.running_mean, bn2.running_var),
            self.training,
            bn1.momentum,
            bn1.eps,
            shortcut=self.shortcut is not None,
            stride=self.stride,
        )


def _is_fused(asked: bool | None, op: str, x) -> bool:
    """What was asked for; else where there is a kernel for it, or nothing else for half storage."""
    if asked is not None:
        return asked
    return kernels.has_own(op, backend.current()) or x.dtype.itemsize == 2


class CifarResNet(nn.Module):
    """ResNet-(6n+2) for 32x32 images (any size of at least 4 works, thanks to the global pool).

    Parameters
    ----------
    n : int
        Blocks per stage: 3 for ResNet-20, 18 for ResNet-110, 200 for ResNet-1202.
    num_classes : int
    shortcut : str
        "A" (the paper's choice on CIFAR), "B", "C", or "none" for a plain net.
    fused : bool, optional
        See `BasicBlock`.

    Input (N, H, W, 3), output logits (N, num_classes).
    """

    def __init__(
        self, n: int, num_classes: int = 10, shortcut: str = "A", fused: bool | None = None
    ):
        super().__init__()
        if n < 1:
            raise ValueError(f"CifarResNet: n is the number of blocks per stage, but is {n}")
        self.depth, self.fused = 6 * n + 2, fused
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(n, 16, 16, 1, shortcut, fused)
        self.layer2 = self._stage(n, 16, 32, 2, shortcut, fused)
        self.layer3 = self._stage(n, 32, 64, 2, shortcut, fused)
        self.linear = nn.Linear(64, num_classes)

    @staticmethod
    def _stage(n: int, in_channels: int, channels: int, stride: int, *how):
        first = BasicBlock(in_channels, channels, stride, *how)
        rest = (BasicBlock(channels, channels, 1, *how) for _ in range(n - 1))
        return nn.Sequential(first, *rest)

    def forward(self, x):
        x = self._stem(x)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(F.global_avg_pool2d(x))

    def _stem(self, x):
        bn = self.bn1
        if not _is_fused(self.fused, "conv_norm_relu", x):
            return bn(self.conv1(x), relu=True)
        running = (bn.running_mean, bn.running_var)
        parameters = (self.conv1.weight, bn.weight, bn.bias, running, self.training)
        return F.conv_norm_relu(x, *parameters, padding=1, momentum=bn.momentum, eps=bn.eps)


def build(
    name: str, num_classes: int = 10, shortcut: str | None = None, fused: bool | None = None
) -> nn.Module:
    """A network by its name.

    Parameters
    ----------
    name : str
        ``resnetD`` or ``plainD`` with D = 6n + 2 layers: resnet8, resnet20, plain56, ...
    num_classes : int
    shortcut : "A", "B" or "C", optional
        Of a resnet; "A" if not given. A plain net has none.
    fused : bool, optional
        Compute whole blocks as one operation (True) or every operation on its own (False); if not
        given, whichever is faster on the current backend.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    kind, depth = parse_name(name)
    if kind == "plain":
        if shortcut not in (None, "none"):
            raise ValueError(f"{name} is a plain net: it has no shortcuts, so no option {shortcut}")
        shortcut = "none"
    return CifarResNet((depth - 2) // 6, num_classes, "A" if shortcut is None else shortcut, fused)


def parse_name(name: str) -> tuple[str, int]:
    """("resnet" or "plain", depth) of a network's name; a ValueError if there is none such."""
    match = re.fullmatch(r"(resnet|plain)([1-9]\d*)", name)
    depth = int(match[2]) if match else 0
    if depth < 8 or depth % 6 != 2:
        raise ValueError(
            f"no network is named {name!r}; there are resnetD and plainD with D = 6n + 2 layers: "
            f"resnet8, resnet14, resnet20, resnet32, resnet44, resnet56, resnet110, resnet1202, "
            f"plain20, ..."
        )
    return match[1], depth


def _named(name: str):
    def make(num_classes: int = 10, shortcut: str | None = None) -> nn.Module:
        return build(name, num_classes, shortcut)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f'The network `build("{name}", num_classes, shortcut)`.'
    return make


resnet8 = _named("resnet8")
resnet20 = _named("resnet20")
resnet32 = _named("resnet32")
resnet44 = _named("resnet44")
resnet56 = _named("resnet56")
resnet110 = _named("resnet110")
resnet1202 = _named("resnet1202")
plain20 = _named("plain20")
plain32 = _named("plain32")
plain44 = _named("plain44")
plain56 = _named("plain56")
plain110 = _named("plain110")
