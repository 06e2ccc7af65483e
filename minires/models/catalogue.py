"""The table of networks: what each is called, what makes it, what it was made for.

>>> build("resnet20", num_classes=100)
>>> register("mynet", MyNet, image_size=64, classes=5)  # MyNet(num_classes) is a Module
>>> build("mynet")

See docs/decisions/models_and_data.md, "ImageNet's names win".
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np

from minires import backend, nn
from minires.models.cifar import MOST_BLOCKS, CifarResNet
from minires.models.imagenet import BLOCKS, ImageNetResNet
from minires.models.vgg import CONVOLUTIONS, VGG, AlexNet, CifarVGG
from minires.tensor import Tensor, no_grad

IMAGENET_SIZE = 224

DEPTHS = (8, 14, 20, 32, 44, 56, 110, 1202)
"""The depths of CIFAR's networks that are named as examples."""

WARM_UP_STEPS, DEEP = 400, 110
"""The paper warms ResNet-110 up for 400 iterations (section 4.2); here every net as deep is."""


@dataclass(frozen=True)
class Network:
    """One network.

    Attributes
    ----------
    name : str
    make : callable
        ``make(num_classes=..., **arguments)`` returns a new one, a Module that computes logits
        (N, num_classes) from images (N, H, W, 3).
    arguments : dict
        What else `make` is always given.
    options : tuple of str
        Which of `build`'s options `make` takes: "shortcut", "fused", "stride_in_3x3", "recompute".
    kind : str
        The family: "resnet", "plain", "vgg", "alexnet"; of a network from outside its name.
    depth : int, optional
        Weighted layers.
    image_size : int
        Pixels a side of the images that it was made for.
    any_size : bool
        Whether it also takes images of other sizes.
    classes : int
        How many, if `build` is not told.
    half_storage : bool
        Whether all of its operations can keep images in float16 or bfloat16.
    recipe : dict
        Settings of `minires train` for it, where they are not given.
    from_outside : bool
        Whether `register` has added it.
    """

    name: str
    make: Callable[..., nn.Module]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    kind: str = ""
    depth: int | None = None
    image_size: int = 32
    any_size: bool = False
    classes: int = 10
    half_storage: bool = False
    recipe: Mapping[str, Any] = field(default_factory=dict)
    from_outside: bool = False

    @property
    def has_shortcuts(self) -> bool:
        """Whether it has shortcuts, with options A, B and C."""
        return "shortcut" in self.options

    def check_image_size(self, size: int) -> None:
        """Raise a ValueError if it cannot take images of size x size pixels."""
        if not self.any_size and size != self.image_size:
            raise ValueError(
                f"{self.name} is for images of {self.image_size} x {self.image_size} pixels only, "
                f"but these have {size} x {size}; a resnet, a plain net or vgg8 takes any size"
            )

    def check_option(self, option: str) -> None:
        """Raise a ValueError if `make` has no such option."""
        if option not in self.options:
            raise ValueError(f"{self.name} {WITHOUT[option]}")

    def check_output(self, net: nn.Module, size: int, num_classes: int) -> None:
        """Raise a ValueError if `net` does not give logits (1, num_classes) for one image.

        An image of zeros, size x size pixels, goes through it in evaluation mode.
        """
        modes = [(module, module.training) for _, module in net.named_modules()]
        image = Tensor(backend.asarray(np.zeros((1, size, size, 3), np.float32)))
        try:
            with no_grad():
                y = net.eval()(image)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{self.name} cannot take an image of {size} x {size} pixels: {error}"
            ) from error
        finally:
            for module, training in modes:
                module.training = training
        found = tuple(y.shape) if isinstance(y, Tensor) else f"a {type(y).__name__}"
        if found != (1, num_classes):
            raise ValueError(
                f"{self.name} must give logits (1, {num_classes}) for one image and {num_classes} "
                f"classes, but gives {found}"
            )


WITHOUT = {
    "shortcut": "has no shortcuts, so no option A, B or C",
    "stride_in_3x3": "has no bottlenecks, so no stride_in_3x3",
    "recompute": (
        "has no blocks whose input recompute could keep to compute them anew in backward, as it "
        "does in resnets and plain nets"
    ),
}
"""Option of `build` -> what a network is said to lack that has no such option."""


FAMILIES = {
    "resnet": ({}, ("shortcut", "fused", "recompute")),
    "plain": ({"shortcut": "none"}, ("fused", "recompute")),
}
"""Kind -> arguments and options of the ResNets and of the plain nets beside them."""


def _for_cifar(name: str) -> Network | None:
    """``resnetD`` or ``plainD`` with D = 6n + 2 layers; None if `name` is another one."""
    kind, depth = _kind_and_depth(name)
    if depth < 8 or depth % 6 != 2 or depth > 6 * MOST_BLOCKS + 2:
        return None
    arguments, options = FAMILIES[kind]
    return Network(
        name,
        CifarResNet,
        {"n": (depth - 2) // 6} | arguments,
        options,
        kind,
        depth,
        any_size=True,
        half_storage=True,
        recipe=_recipe(depth),
    )


def _for_imagenet(kind: str, depth: int) -> Network:
    arguments, options = FAMILIES[kind]
    return Network(
        f"{kind}{depth}",
        ImageNetResNet,
        {"depth": depth} | arguments,
        (*options, "stride_in_3x3"),
        kind,
        depth,
        image_size=IMAGENET_SIZE,
        any_size=True,
        classes=1000,
        recipe=_recipe(depth),
    )


def _without_blocks(name: str, make: Callable[..., nn.Module], kind: str, depth: int) -> Network:
    arguments = {"depth": depth} if make is VGG else {}
    size, classes = IMAGENET_SIZE, 1000
    return Network(name, make, arguments, (), kind, depth, image_size=size, classes=classes)


def _recipe(depth: int) -> dict[str, Any]:
    return {"warm_up": WARM_UP_STEPS} if depth >= DEEP else {}


def _kind_and_depth(name: str) -> tuple[str, int]:
    """Of ``resnetD`` and ``plainD`` with any D; else ("", 0)."""
    match = re.fullmatch(r"(resnet|plain)([1-9]\d*)", name)
    return (match[1], int(match[2])) if match else ("", 0)


NETWORKS = {
    network.name: network
    for network in (
        *(_for_imagenet("resnet", depth) for depth in BLOCKS),
        *(_for_imagenet("plain", depth) for depth in (18, 34)),
        *(_without_blocks(f"vgg{depth}", VGG, "vgg", depth) for depth in CONVOLUTIONS),
        _without_blocks("alexnet", AlexNet, "alexnet", AlexNet.depth),
        Network("vgg8", CifarVGG, {}, ("fused",), "vgg", CifarVGG.depth, any_size=True),
    )
}
"""Name -> network, but for the families of CIFAR, which `get` makes when they are asked for."""


def register(
    name: str,
    make: Callable[..., nn.Module],
    *,
    image_size: int = 32,
    any_size: bool = False,
    classes: int = 10,
    depth: int | None = None,
    options: tuple[str, ...] = (),
    half_storage: bool = False,
    recipe: Mapping[str, Any] | None = None,
) -> Network:
    """Add a network to the table; returns its entry. Parameters are the attributes of `Network`.

    Raises
    ------
    ValueError
        If the name is taken or is no name, or `build` has no such option.
    TypeError
        If `make` cannot be called with `num_classes` and the options.
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise ValueError(f"register: {name!r} cannot be a network's name")
    if name in NETWORKS or _for_cifar(name):
        raise ValueError(f"register: there is already a network named {name!r}")
    if unknown := [option for option in options if option not in (*WITHOUT, "fused")]:
        raise ValueError(f"register: build has no option {unknown[0]!r}")
    try:
        inspect.signature(make).bind(num_classes=classes, **dict.fromkeys(options))
    except TypeError as error:
        wanted = ", ".join(f"{argument}=..." for argument in ("num_classes", *options))
        raise TypeError(f"register: {name!r} must be made by make({wanted}): {error}") from None
    NETWORKS[name] = Network(
        name,
        make,
        options=tuple(options),
        kind=name,
        depth=depth,
        image_size=image_size,
        any_size=any_size,
        classes=classes,
        half_storage=half_storage,
        recipe=dict(recipe or {}),
        from_outside=True,
    )
    return NETWORKS[name]


def get(name: str) -> Network:
    """The network of this name; a ValueError that tells all names if there is none."""
    if (network := NETWORKS.get(name) or _for_cifar(name)) is not None:
        return network
    kind, depth = _kind_and_depth(name)
    depth = min(depth, 6 * MOST_BLOCKS + 2)  # the deepest that is built
    near = [f"{kind}{max(8, 6 * round((depth - 2) / 6) + 2)}"] if kind else []
    near += get_close_matches(name, NETWORKS)
    meant = f", but {near[0]} is" if near else ""
    raise ValueError(
        f"no network is named {name!r}{meant}; there are {names()}; a module that registers "
        f"another one is given with --import"
    )


def names() -> str:
    """All names, in words."""
    examples = ", ".join(f"resnet{depth}" for depth in DEPTHS)
    small, large = (
        ", ".join(n.name for n in NETWORKS.values() if (n.image_size == IMAGENET_SIZE) is is_large)
        for is_large in (False, True)
    )
    return (
        f"resnetD and plainD with D = 6n + 2 layers for CIFAR ({examples}, plain20, ...) and "
        f"{small}, and for ImageNet {large}"
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
        ``vgg16``, ``vgg19``, ``alexnet``; and what `register` has added. 50 and 152 are also
        6n + 2: ``resnet50`` and ``resnet152`` are those for ImageNet, `CifarResNet(8)` and
        `CifarResNet(25)` the others.
    num_classes : int, optional
        10 for a CIFAR network, 1000 for an ImageNet one, if not given.
    shortcut : "A", "B" or "C", optional
        Option of a resnet; if not given, "A" for CIFAR, "B" for ImageNet. The others have none.
    fused : bool, optional
        Compute whole blocks as one operation (True) or every operation on its own (False); if not
        given, whichever is faster on the current backend. Bottlenecks, vgg16, vgg19 and alexnet
        have no such operation.
    stride_in_3x3 : bool
        For resnet50, 101 and 152: subsample in a bottleneck's 3x3 convolution, as torchvision's
        weights expect, instead of its first 1x1, as the paper does.
    recompute : bool
        For resnets and plain nets: in training keep only every few blocks' input, and compute the
        rest again in backward, to the same bits (`minires.recompute`). Less memory, more time.

    Raises
    ------
    ValueError
        If there is no such network, or it has no such option; or if what was registered makes no
        Module.
    """
    network = get(name)
    options = {"shortcut": shortcut, "stride_in_3x3": stride_in_3x3, "recompute": recompute}
    given: dict[str, Any] = {
        option: value for option, value in options.items() if value not in (None, False)
    }
    for option in given:
        network.check_option(option)
    if "fused" in network.options:
        given["fused"] = fused
    classes = network.classes if num_classes is None else num_classes
    net = network.make(num_classes=classes, **network.arguments, **given)
    if not isinstance(net, nn.Module):
        raise ValueError(
            f"what was registered as {name!r} must make a Module, but made a {type(net).__name__}"
        )
    return net
