"""The CIFAR networks of He et al. 2015, section 4.2: ResNet-(6n+2) and the plain nets beside them.

    3x3 convolution, 16 channels
    n blocks of two 3x3 convolutions with 16 channels on 32x32 pixels
    n blocks with 32 channels on 16x16 pixels, the first with stride 2
    n blocks with 64 channels on 8x8 pixels, the first with stride 2
    global average pool, linear classifier

6n + 2 weighted layers. The names of the parts are those of the published PyTorch weights.
"""

from minires import functional as F
from minires import nn
from minires.arguments import integer
from minires.models.blocks import BasicBlock, conv_norm_relu, run_recomputing

MOST_BLOCKS = 1000
"""Per stage: 6,002 layers and 97 million parameters, five times the deepest of the paper's."""


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
    recompute : bool
        In training keep only every few blocks' input, and compute the rest anew in backward: less
        memory, more time, the same bits. See `minires.models.blocks.run_recomputing`.

    Input (N, H, W, 3), output logits (N, num_classes).
    """

    def __init__(
        self,
        n: int,
        num_classes: int = 10,
        shortcut: str = "A",
        fused: bool | None = None,
        recompute: bool = False,
    ):
        super().__init__()
        n = integer("CifarResNet", "n (blocks per stage)", n, least=1, most=MOST_BLOCKS)
        self.depth, self.fused, self.recompute = 6 * n + 2, fused, recompute
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

    def features(self, x):
        """The last feature map: x (N, H, W, 3) to (N, H / 4, W / 4, 64), halves rounded up."""
        x = conv_norm_relu(self.conv1, self.bn1, x, self.fused)
        if self.recompute and self.training:
            return run_recomputing([*self.layer1, *self.layer2, *self.layer3], x)
        return self.layer3(self.layer2(self.layer1(x)))

    def forward(self, x):
        return self.linear(F.global_avg_pool2d(self.features(x)))
