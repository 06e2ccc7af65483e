"""The ImageNet networks of He et al. 2015, table 1: ResNet-18 to ResNet-152, and the plain nets.

    7x7 convolution, 64 channels, stride 2     112x112 pixels (of 224x224)
    3x3 max pooling, stride 2                  56x56
    blocks of width 64                         56x56
    blocks of width 128, the first stride 2    28x28
    blocks of width 256, the first stride 2    14x14
    blocks of width 512, the first stride 2    7x7
    global average pool, linear classifier

The names of the parts are torchvision's, so that published PyTorch weights load as they are.
"""

from collections.abc import Callable

from minires import functional as F
from minires import nn
from minires.arguments import integer
from minires.models import blocks
from minires.models.blocks import conv_norm_relu, make_shortcut, run_recomputing

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Depth -> blocks of each stage (table 1)."""

BOTTLENECK_FROM = 50
"""Layers from which on the blocks are bottlenecks."""


class BasicBlock(blocks.BasicBlock):
    """The block of ResNet-18 and ResNet-34, its shortcut under torchvision's name."""

    shortcut_name = "downsample"


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions: the 3x3 works on a quarter of the channels (figure 5, right).

    Parameters
    ----------
    in_channels : int
    width : int
        Channels of the 3x3 convolution; the block has 4 * width at its end.
    stride : int
    shortcut : str
        "A", "B", "C" or "none": see `minires.models.blocks.make_shortcut`.
    stride_in_3x3 : bool
        Where a block subsamples: in its first 1x1 convolution, as in the paper, or in the 3x3, as
        in torchvision's weights. The parameters are the same, the results are not.

    Input (N, H, W, in_channels), output (N, ceil(H / stride), ceil(W / stride), 4 width).
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        shortcut: str,
        stride_in_3x3: bool = False,
    ):
        super().__init__()
        first, second = (1, stride) if stride_in_3x3 else (stride, 1)
        out_channels = self.expansion * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = make_shortcut(shortcut, in_channels, out_channels, stride)

    def forward(self, x):
        residual = None if self.downsample is None else self.downsample(x)
        y = self.bn1(self.conv1(x), relu=True)
        y = self.bn2(self.conv2(y), relu=True)
        return self.bn3(self.conv3(y), residual=residual, relu=True)


class ImageNetResNet(nn.Module):
    """ResNet of table 1 for 224x224 images (any size works, thanks to the global pool).

    Parameters
    ----------
    depth : int
        18 or 34, of basic blocks; 50, 101 or 152, of bottlenecks.
    num_classes : int
    shortcut : str
        "B" (the paper's choice from 50 layers on), "A", "C", or "none" for a plain net.
    fused : bool, optional
        Whether stem and basic blocks are fused, see `minires.models.blocks.BasicBlock`.
    stride_in_3x3 : bool
        Where bottlenecks subsample, see `Bottleneck`: True for torchvision's weights.
    recompute : bool
        See `minires.models.CifarResNet`.

    Input (N, H, W, 3), output logits (N, num_classes).

    Raises
    ------
    ValueError
        If there is no such depth or shortcut, or no bottleneck whose stride could be moved.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 1000,
        shortcut: str = "B",
        fused: bool | None = None,
        stride_in_3x3: bool = False,
        recompute: bool = False,
    ):
        super().__init__()
        depth = integer("ImageNetResNet", "depth", depth)
        if depth not in BLOCKS:
            raise ValueError(
                f"ImageNetResNet: the depth is {', '.join(map(str, BLOCKS))}, but is {depth}"
            )
        bottleneck = depth >= BOTTLENECK_FROM
        if stride_in_3x3 and not bottleneck:
            raise ValueError(
                f"stride_in_3x3 is for bottlenecks, which a net of {depth} layers has not; it "
                f"begins with {BOTTLENECK_FROM} layers"
            )
        self.depth, self.fused, self.recompute = depth, fused, recompute
        kind: Callable = Bottleneck if bottleneck else BasicBlock
        how = stride_in_3x3 if bottleneck else fused
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for stage, count in enumerate(BLOCKS[depth]):
            width = 64 << stage
            out_channels = width * (Bottleneck.expansion if bottleneck else 1)
            stride = 1 if stage == 0 else 2
            first = kind(channels, width, stride, shortcut, how)
            rest = (kind(out_channels, width, 1, shortcut, how) for _ in range(count - 1))
            setattr(self, f"layer{stage + 1}", nn.Sequential(first, *rest))
            channels = out_channels
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = conv_norm_relu(self.conv1, self.bn1, x, self.fused)
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        if self.recompute and self.training:
            x = run_recomputing([*self.layer1, *self.layer2, *self.layer3, *self.layer4], x)
        else:
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(F.global_avg_pool2d(x))
