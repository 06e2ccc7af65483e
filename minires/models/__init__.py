"""The networks, by name."""

from minires.models.blocks import BasicBlock
from minires.models.catalogue import (
    IMAGENET,
    alexnet,
    build,
    check_image_size,
    check_recompute,
    image_size,
    is_for_imagenet,
    parse_name,
    plain18,
    plain20,
    plain32,
    plain34,
    plain44,
    plain56,
    plain110,
    resnet8,
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet44,
    resnet50,
    resnet56,
    resnet101,
    resnet110,
    resnet152,
    resnet1202,
    vgg8,
    vgg16,
    vgg19,
)
from minires.models.cifar import CifarResNet
from minires.models.imagenet import Bottleneck, ImageNetResNet
from minires.models.vgg import VGG, AlexNet, CifarVGG
