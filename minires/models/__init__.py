"""The networks, by name: `models.build("resnet20")`, or `models.resnet20()` for short."""

from collections.abc import Callable

from minires import nn
from minires.models.blocks import BasicBlock
from minires.models.catalogue import DEPTHS, NETWORKS, Network, build, get, names, register
from minires.models.cifar import CifarResNet
from minires.models.imagenet import Bottleneck, ImageNetResNet
from minires.models.vgg import VGG, AlexNet, CifarVGG


def __getattr__(name: str) -> Callable[..., nn.Module]:
    """`models.NAME(...)` is `build("NAME", ...)` for every network of the table."""
    try:
        get(name)
    except ValueError as error:
        raise AttributeError(f"module {__name__} has no attribute {name!r}: {error}") from None

    def make(num_classes: int | None = None, shortcut: str | None = None) -> nn.Module:
        return build(name, num_classes, shortcut)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f'The network `build("{name}", num_classes, shortcut)`.'
    return make


def __dir__() -> list[str]:
    examples = [f"{kind}{depth}" for kind in ("resnet", "plain") for depth in DEPTHS]
    return sorted({*globals(), *NETWORKS, *examples})
