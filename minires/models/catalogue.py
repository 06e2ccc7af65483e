"""The networks by name: `build("resnet20")`, `build("resnet50")`, `build("vgg16")`."""

import re

from minires import nn
from minires.models.cifar import CifarResNet
from minires.models.imagenet import BLOCKS, ImageNetResNet
from minires.models.vgg import CONVOLUTIONS, VGG, AlexNet, CifarVGG

IMAGENET = {
    **{f"resnet{depth}": ("resnet", depth) for depth in BLOCKS},
    "plain18": ("plain", 18),
    "plain34": ("plain", 34),
    **{f"vgg{depth}": ("vgg", depth) for depth in CONVOLUTIONS},
    "alexnet": ("alexnet", 8),
}
"""Name -> (kind, depth) of the networks for ImageNet; all others are for CIFAR."""

CIFAR_VGG = f"vgg{CifarVGG.depth}"

NAMES = (
    "resnetD and plainD with D = 6n + 2 layers for CIFAR (resnet8, resnet14, resnet20, resnet32, "
    f"resnet44, resnet56, resnet110, resnet1202, plain20, ...) and {CIFAR_VGG}, and for ImageNet "
    + ", ".join(IMAGENET)
)


def build(
    name: str,
    num_classes: int | None = None,
    shortcut: str | None = None,
    fused: bool | None = None,
    stride_in_3x3: bool = False,
    recompute: bool = False,
) -> nn.Module:
    """A network by its name.

    Parameters
    ----------
    name : str
        For CIFAR ``resnetD`` or ``plainD`` with D = 6n + 2 layers: resnet8, resnet20, plain56, ...;
        and ``vgg8``, a small net in the style of VGG to compare with them;
        for ImageNet ``resnet18``, ``34``, ``50``, ``101``, ``152``, ``plain18``, ``plain34``,
        ``vgg16``, ``vgg19``, ``alexnet``. 50 and 152 are also 6n + 2: ``resnet50`` and
        ``resnet152`` are those for ImageNet, `CifarResNet(8)` and `CifarResNet(25)` the others.
    num_classes : int, optional
        10 for a CIFAR network, 1000 for an ImageNet one, if not given.
    shortcut : "A", "B" or "C", optional
        Of a resnet; if not given, "A" for CIFAR, "B" for ImageNet. The others have none.
    fused : bool, optional
        Compute whole blocks as one operation (True) or every operation on its own (False); if not
        given, whichever is faster on the current backend. Bottlenecks, vgg and alexnet have no
        such operation.
    stride_in_3x3 : bool
        Of resnet50, 101 and 152: subsample in a bottleneck's 3x3 convolution, as torchvision's
        weights expect, instead of its first 1x1, as the paper does.
    recompute : bool
        Of resnets and plain nets: in training keep only every few blocks' input, and compute the
        rest anew in backward, to the same bits (`minires.recompute`). Less memory, more time.

    Raises
    ------
    ValueError
        If there is no such network, or it has no such option.
    """
    kind, depth = parse_name(name)
    if kind == "plain":
        if shortcut not in (None, "none"):
            raise ValueError(f"{name} is a plain net: it has no shortcuts, so no option {shortcut}")
        shortcut = "none"
    elif kind != "resnet" and shortcut is not None:
        raise ValueError(f"{name} has no shortcuts, so no option {shortcut}")
    if stride_in_3x3 and not (is_for_imagenet(name) and kind == "resnet"):
        raise ValueError(f"{name} has no bottlenecks, so no stride_in_3x3")
    if recompute:
        check_recompute(name)
    if num_classes is None:
        num_classes = 1000 if is_for_imagenet(name) else 10
    if name == CIFAR_VGG:
        return CifarVGG(num_classes, fused)
    if kind == "vgg":
        return VGG(depth, num_classes)
    if kind == "alexnet":
        return AlexNet(num_classes)
    if shortcut is None:
        shortcut = "B" if is_for_imagenet(name) else "A"
    if is_for_imagenet(name):
        return ImageNetResNet(depth, num_classes, shortcut, fused, stride_in_3x3, recompute)
    return CifarResNet((depth - 2) // 6, num_classes, shortcut, fused, recompute)


def parse_name(name: str) -> tuple[str, int]:
    """(kind, depth) of a network's name; a ValueError if there is none such.

    The kind is "resnet", "plain", "vgg" or "alexnet".
    """
    if name in IMAGENET:
        return IMAGENET[name]
    if name == CIFAR_VGG:
        return "vgg", CifarVGG.depth
    match = re.fullmatch(r"(resnet|plain)([1-9]\d*)", name)
    depth = int(match[2]) if match else 0
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"no network is named {name!r}; there are {NAMES}")
    return match[1], depth


def is_for_imagenet(name: str) -> bool:
    """Whether the network of this name is one for ImageNet: 224x224 pixels, 1000 classes."""
    parse_name(name)
    return name in IMAGENET


def image_size(name: str) -> int:
    """Pixels a side of the images that the network was made for: 32, or 224."""
    return 224 if is_for_imagenet(name) else 32


def check_image_size(name: str, size: int) -> None:
    """Raise a ValueError if the network `build(name)` cannot take images of size x size pixels."""
    kind, _ = parse_name(name)
    if is_for_imagenet(name) and kind in ("vgg", "alexnet") and size != image_size(name):
        raise ValueError(
            f"{name} is for images of {image_size(name)} x {image_size(name)} pixels only, but "
            f"these have {size} x {size}; a resnet, a plain net or {CIFAR_VGG} takes any size"
        )


def check_recompute(name: str) -> None:
    """Raise a ValueError if the network `build(name)` has no blocks to be computed anew."""
    if parse_name(name)[0] not in ("resnet", "plain"):
        raise ValueError(
            f"recompute keeps every few blocks' input and computes the blocks anew in backward: "
            f"it is for resnets and plain nets, but {name} has no blocks"
        )


def _named(name: str):
    def make(num_classes: int | None = None, shortcut: str | None = None) -> nn.Module:
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
resnet18 = _named("resnet18")
resnet34 = _named("resnet34")
resnet50 = _named("resnet50")
resnet101 = _named("resnet101")
resnet152 = _named("resnet152")
plain18 = _named("plain18")
plain34 = _named("plain34")
vgg8 = _named("vgg8")
vgg16 = _named("vgg16")
vgg19 = _named("vgg19")
alexnet = _named("alexnet")
