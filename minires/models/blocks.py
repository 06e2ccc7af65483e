"""What the ResNets for CIFAR and for ImageNet are both made of: blocks, and their shortcuts."""

from collections.abc import Sequence
from math import ceil, sqrt

from minires import backend, nn
from minires import functional as F
from minires.models import fusing
from minires.recompute import recomputed

SHORTCUTS = ("A", "B", "C", "none")


def make_shortcut(
    option: str, in_channels: int, out_channels: int, stride: int
) -> nn.Module | None:
    """The way around a block: x (N, H, W, in_channels) to the shape of the block's result.

    Parameters
    ----------
    option : str
        Where the shape changes, "A" subsamples and pads with zero channels, "B" projects with a
        1x1 convolution and batch norm; "C" projects around every block; "none" makes a plain net
        (He et al. 2015, sections 3.3 and 4.1).
    in_channels, out_channels, stride : int
        The block's channels and stride.

    Returns
    -------
    Module, or None for "none"
        The two parts of a projection are "0", the convolution, and "1", its batch norm.

    Raises
    ------
    ValueError
        If there is no such option.
    """
    if option not in SHORTCUTS:
        raise ValueError(f"shortcut must be A, B, C or none, but is {option!r}")
    if option == "none":
        return None
    same_shape = stride == 1 and in_channels == out_channels
    if option == "C" or (option == "B" and not same_shape):
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    return nn.Identity() if same_shape else nn.ZeroPadShortcut(stride, out_channels)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and the shortcut around them (figure 2 of the paper).

    Parameters
    ----------
    in_channels, out_channels, stride : int
    shortcut : str
        "A", "B", "C" or "none": see `make_shortcut`.
    fused : bool, optional
        Compute the block as one operation, `F.basic_block`, or every part on its own. If not given:
        fused where the current backend has a kernel for it. Parts of which `F.basic_block` does
        not take everything, such as a projection or a bias, are always computed on their own (see
        `minires.models.fusing`), and so are all parts if one is replaced (`kernels.replaced`).

    Input (N, H, W, in_channels), output (N, ceil(H / stride), ceil(W / stride), out_channels).
    """

    shortcut_name = "shortcut"
    """What the shortcut is called in a state dict: as in the published weights."""

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
        way = make_shortcut(shortcut, in_channels, out_channels, stride)
        setattr(self, self.shortcut_name, way)

    def forward(self, x):
        shortcut = getattr(self, self.shortcut_name)
        parts = (self.conv1, self.bn1, self.conv2, self.bn2, shortcut)
        if _is_fused(self.fused, "basic_block", x) and fusing.takes_block(*parts):
            return self._forward_fused(x, shortcut is not None)
        residual = None if shortcut is None else shortcut(x)
        y = self.bn1(self.conv1(x), relu=True)
        return self.bn2(self.conv2(y), residual=residual, relu=True)

    def _forward_fused(self, x, shortcut: bool):
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
            *fusing.settings(bn1),
            shortcut=shortcut,
            stride=self.conv1.stride,
        )


def run_recomputing(blocks: Sequence[nn.Module], x):
    """`x` through all blocks, of which only every few blocks' input is kept for backward.

    How many blocks make a segment follows from what memory holds when backward comes to one: the
    inputs of all segments up to there, and what each block of this one saves. That are three
    arrays of the size of its input (each convolution's result and its own, in a fused block; a
    bottleneck's weigh as much). With N blocks, a third of them in each of three stages, L in a
    segment, in arrays of the first stage::

        N / (3 L) + 3 L   is least at   L = sqrt(N) / 3

    The first stage decides, since it lies deepest in memory and its arrays are the largest: each
    further stage of a CIFAR network has arrays of half the size, so all of its segments' inputs
    and the last segment together need less. L is rounded up for their sake. ResNet-110 has 54
    blocks, 3 in a segment, and holds 6 + 9 arrays instead of 94. (Chen et al. 2016, section 4.2,
    has sqrt(N), of layers that save one array each.) With 1, 2, ..., 6 blocks its training at batch
    128 (backend numba, float32) took 546, 462, 462, 480, 508, 548 MiB.

    The last segment is an ordinary one: backward begins there, with everything still at hand.
    """
    length = ceil(sqrt(len(blocks)) / 3)
    starts = range(0, len(blocks), length)
    for start in starts[:-1]:
        x = recomputed(blocks[start : start + length], x)
    return nn.Sequential(*blocks[starts[-1] :])(x)


def conv_norm_relu(conv: nn.Conv2d, bn: nn.BatchNorm2d, x, fused: bool | None = None):
    """relu(bn(conv(x))): the stem of a ResNet; as one operation or more, see `BasicBlock`."""
    if not (_is_fused(fused, "conv_norm_relu", x) and fusing.takes_stem(conv, bn)):
        return bn(conv(x), relu=True)
    running = (bn.running_mean, bn.running_var)
    parameters = (conv.weight, bn.weight, bn.bias, running, bn.training)
    return F.conv_norm_relu(x, *parameters, conv.stride, conv.padding, bn.momentum, bn.eps)


def _is_fused(asked: bool | None, op: str, x) -> bool:
    """What was asked for; else where there is a kernel for it, or nothing else for half storage.

    Never where it would go around an operation that somebody has replaced by another.
    """
    if backend.is_bypassing(op):
        return False
    if asked is not None:
        return asked
    return backend.get(backend.current()).has_kernel(op) or x.dtype.itemsize == 2
