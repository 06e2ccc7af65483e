"""The network: a backbone's feature map, and a head that says for each cell what is there."""

from math import log
from typing import NamedTuple

from minires import backend, nn
from minires.models.vgg import ConvNormReLU
from minires.tensor import Tensor

CHANNELS = 64
"""Channels of the last feature map of every network for CIFAR."""

PRIOR = 0.01
"""How probable an object is in a cell before training. Without it the many empty cells would make
the first steps' loss and gradients huge (Lin et al. 2017, "Focal Loss", section 3.3)."""


class Predictions(NamedTuple):
    """What the head says of N images with G x G cells.

    objectness (N, G, G, 1): logit of an object's centre lying in the cell; classes (N, G, G, K):
    logits of its class; offsets (N, G, G, 4): its box, see `minires.paper.detection.grid`.
    """

    objectness: Tensor
    classes: Tensor
    offsets: Tensor


class Detector(nn.Module):
    """A single-shot detector without anchors: one object per cell, that of its centre.

    The cell that an object's centre falls into is responsible for it, as in YOLO (Redmon et al.
    2016, section 2); one box per cell, regressed without anchors, at a stride of a few pixels, as
    in FCOS (Tian et al. 2019). The head is a 3x3 convolution with batch norm and ReLU, and three
    1x1 convolutions beside each other; it is the same for every backbone.

    Parameters
    ----------
    backbone : Module
        A network for CIFAR as `models.build` makes it, such as ``vgg8`` or ``resnet20``, perhaps
        trained to classify. Its classifier is taken off.
    num_classes : int

    Input (N, S, S, 3), output Predictions with G = S / 4.

    Raises
    ------
    ValueError
        If the network has no `features` with 64 channels.
    """

    def __init__(self, backbone: nn.Module, num_classes: int):
        super().__init__()
        classifier = getattr(backbone, "linear", None)
        if not hasattr(backbone, "features") or getattr(classifier, "weight", None) is None:
            raise ValueError(
                f"Detector: the backbone must be a network for CIFAR (resnetD, plainD, vgg8), but "
                f"is a {type(backbone).__name__}, which has no feature map of {CHANNELS} channels"
            )
        del backbone.linear
        self.backbone = backbone
        self.shared = ConvNormReLU(CHANNELS, CHANNELS)
        self.objectness = nn.Conv2d(CHANNELS, 1, 1)
        self.classes = nn.Conv2d(CHANNELS, num_classes, 1)
        self.offsets = nn.Conv2d(CHANNELS, 4, 1)
        self.objectness.bias.data[...] = backend.asarray(-log((1 - PRIOR) / PRIOR))

    def forward(self, x) -> Predictions:
        y = self.shared(self.backbone.features(x))
        return Predictions(self.objectness(y), self.classes(y), self.offsets(y))
