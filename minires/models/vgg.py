"""Nets before the ResNets: VGG, the paper's yardstick, and AlexNet, for scale.

Both are convolutions ("features"), then linear layers with dropout ("classifier"); the names of the
parts are torchvision's. The first linear layer is tied to the size of the image. `CifarVGG` is a
VGG of our own at the scale of CIFAR, to stand beside the CIFAR ResNets: no net of the literature.
"""

from minires import functional as F
from minires import nn
from minires.arguments import integer
from minires.kernels.arrays import output_size
from minires.models.blocks import conv_norm_relu

CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Depth -> 3x3 convolutions of each stage (Simonyan & Zisserman 2014, table 1, D and E)."""

CHANNELS = (64, 128, 256, 512, 512)
HIDDEN = 4096


class FeaturesAndClassifier(nn.Module):
    """Convolutions, flattened in PyTorch's order (C, H, W) so that its weights fit, linear layers.

    A subclass sets `features`, `classifier`, `image_size` and `side` (pixels a side of what the
    classifier gets).
    """

    features: nn.Sequential
    classifier: nn.Sequential

    def forward(self, x):
        if x.ndim == 4 and self._side(*x.shape[1:3]) != (self.side, self.side):
            height, width = x.shape[1:3]
            raise ValueError(
                f"{type(self).__name__} was made for images of {self.image_size} x "
                f"{self.image_size} pixels, but x has {height} x {width}: its classifier is tied "
                f"to the size (image_size=...); a ResNet takes any"
            )
        x = self.features(x)
        return self.classifier(x.transpose(0, 3, 1, 2).flatten(1))

    def _side(self, *sizes: int) -> tuple[int, ...]:
        """Pixels behind all convolutions and poolings, for each of the image's `sizes`."""
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                kernel = layer.weight.shape[0]
            elif isinstance(layer, nn.MaxPool2d):
                kernel = layer.kernel_size
            else:
                continue
            how = kernel, layer.stride, layer.padding
            sizes = tuple(output_size(size, *how) for size in sizes)
        return sizes

    def _settle(self, image_size: int) -> int:
        """Remember the size of images; returns how many pixels the classifier gets."""
        self.image_size, (self.side,) = image_size, self._side(image_size)
        if self.side < 1:
            raise ValueError(
                f"{type(self).__name__}: of images of {image_size} x {image_size} pixels nothing "
                f"is left behind the poolings; choose a larger image_size"
            )
        return self.side**2


class VGG(FeaturesAndClassifier):
    """VGG-16 and VGG-19 without batch norm (Simonyan & Zisserman 2014).

    Parameters
    ----------
    depth : int
        16 or 19.
    num_classes : int
    image_size : int
        Pixels a side, at least 32.

    Input (N, image_size, image_size, 3), output logits (N, num_classes).

    Raises
    ------
    ValueError
        If there is no such depth, or nothing is left of so small an image.
    """

    def __init__(self, depth: int, num_classes: int = 1000, image_size: int = 224):
        super().__init__()
        depth = integer("VGG", "depth", depth)
        if depth not in CONVOLUTIONS:
            raise ValueError(f"VGG: the depth is 16 or 19, but is {depth}")
        self.depth = depth
        layers: list[nn.Module] = []
        channels = 3
        for width, count in zip(CHANNELS, CONVOLUTIONS[depth], strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(channels * self._settle(image_size), HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(HIDDEN, num_classes),
        )


CIFAR_STAGES = ((16, 16), (32, 32), (64, 64, 64))
"""Channels of the 3x3 convolutions of each stage of `CifarVGG`: as wide as a CIFAR ResNet's."""


class ConvNormReLU(nn.Module):
    """3x3 convolution, batch norm, ReLU: (N, H, W, in_channels) to (N, H, W, out_channels).

    `fused`: as one operation or as two, see `minires.models.BasicBlock`.
    """

    def __init__(self, in_channels: int, out_channels: int, fused: bool | None = None):
        super().__init__()
        self.fused = fused
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return conv_norm_relu(self.conv, self.bn, x, self.fused)


class CifarVGG(nn.Module):
    """Eight weighted layers in the style of VGG, for small images of any size from 4 pixels on.

    Stages of 3x3 convolutions with 16, 32 and 64 channels, max pooling between them where a CIFAR
    ResNet has stride 2, and its end: global average pool, linear classifier. Unlike VGG it has
    batch norm, so that it trains at the same learning rates.

    Parameters
    ----------
    num_classes : int
    fused : bool, optional
        See `ConvNormReLU`.

    Input (N, H, W, 3), output logits (N, num_classes). `features` is the part before the pool:
    (N, H, W, 3) to (N, H / 4, W / 4, 64), halves rounded down.
    """

    depth = sum(map(len, CIFAR_STAGES)) + 1

    def __init__(self, num_classes: int = 10, fused: bool | None = None):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for widths in CIFAR_STAGES:
            if layers:
                layers.append(nn.MaxPool2d(2))
            for width in widths:
                layers.append(ConvNormReLU(channels, width, fused))
                channels = width
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x):
        return self.linear(F.global_avg_pool2d(self.features(x)))


class AlexNet(FeaturesAndClassifier):
    """Five convolutions and three linear layers, in the widths of Krizhevsky 2014.

    "One weird trick for parallelizing convolutional neural networks": the net of 2012 in one
    column, without local response normalisation, as in torchvision.

    Parameters
    ----------
    num_classes : int
    image_size : int
        Pixels a side, at least 63.

    Input (N, image_size, image_size, 3), output logits (N, num_classes).

    Raises
    ------
    ValueError
        If nothing is left of so small an image.
    """

    depth = 8

    def __init__(self, num_classes: int = 1000, image_size: int = 224):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(256 * self._settle(image_size), HIDDEN),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, num_classes),
        )
