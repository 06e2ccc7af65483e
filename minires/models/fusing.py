"""When a fused operation may stand for modules: if it takes everything that they hold.

Who fuses modules reads their weights and settings and passes the modules by. Whatever it does not
read would be lost without a word. So it asks here first, and calls the modules one after the other
if the answer is no.
"""

from minires import nn

OF_EVERY_MODULE = {"training", "_buffers", "_forward_hooks", "_forward_pre_hooks"}
KNOWN = {
    nn.Conv2d: {"weight", "bias", "stride", "padding", "dilation", "groups"},
    nn.BatchNorm2d: {"weight", "bias", "running_mean", "running_var", "momentum", "eps"},
    nn.Identity: set(),
    nn.ZeroPadShortcut: {"stride", "channels"},
}
"""Class -> the attributes that the fused operations understand."""
ALLOWED = {kind: known | OF_EVERY_MODULE for kind, known in KNOWN.items()}


def is_known(module: nn.Module) -> bool:
    """Whether a call of `module` is its class's `forward` on the attributes in KNOWN, no more.

    It is not if the class is another one, a subclass included; if an attribute is not known: an
    option that the class got later, or a `forward` of the instance; or if it has a hook.
    """
    allowed = ALLOWED.get(type(module))
    return allowed is not None and not module.has_hooks and vars(module).keys() <= allowed


def takes_stem(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> bool:
    """Whether `F.conv_norm_relu` computes relu(bn(conv(x))): a convolution without bias."""
    return is_known(conv) and is_known(bn) and _is_plain(conv) and bn.weight is not None


def _is_plain(conv: nn.Conv2d) -> bool:
    """Whether a convolution has no bias, and nothing that `conv2d` of the kernels does not know."""
    return (
        conv.bias is None
        and conv.groups == 1
        and _pair(conv.dilation) == (1, 1)
        and all(isinstance(n, int) for n in _pair(conv.padding))
    )


def takes_block(
    conv1: nn.Conv2d,
    bn1: nn.BatchNorm2d,
    conv2: nn.Conv2d,
    bn2: nn.BatchNorm2d,
    shortcut: nn.Module | None,
) -> bool:
    """Whether `F.basic_block` computes the block of these parts.

    Both convolutions have no bias and keep the size of the image, but for conv1's stride; both
    batch norms have the same settings; the shortcut is none, or the identity, or option A's.
    """
    parts = (conv1, bn1, conv2, bn2) + (() if shortcut is None else (shortcut,))
    if not all(map(is_known, parts)) or settings(bn1) != settings(bn2):
        return False
    if not (_is_plain(conv1) and _is_plain(conv2)) or bn1.weight is None or bn2.weight is None:
        return False
    (height, width, in_channels, channels), convs = conv1.weight.shape, (conv1, conv2)
    down, across = _pair(conv1.stride)
    return (
        height % 2 == width % 2 == 1
        and conv2.weight.shape[:2] == (height, width)
        and all(_pair(conv.padding) == (height // 2, width // 2) for conv in convs)
        and down == across
        and _pair(conv2.stride) == (1, 1)
        and (
            shortcut is None
            or (isinstance(shortcut, nn.Identity) and (down, in_channels) == (1, channels))
            or (
                isinstance(shortcut, nn.ZeroPadShortcut)
                and (shortcut.stride, shortcut.channels) == (down, channels)
            )
        )
    )


def settings(bn: nn.BatchNorm2d) -> tuple[bool, float, float]:
    """What both batch norms of a block must agree in, to be computed as one operation."""
    return bn.training, bn.momentum, bn.eps


def _pair(value) -> tuple:
    height, width = value if isinstance(value, tuple | list) else (value, value)
    return height, width
