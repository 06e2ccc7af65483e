"""A fused operation computes what its modules compute, or leaves the computing to them."""

import numpy as np
import pytest

from minires import Tensor, models, nn
from minires import functional as F
from minires.models import BasicBlock
from minires.models.blocks import conv_norm_relu

RNG = np.random.default_rng(0)


def images(channels: int = 3) -> Tensor:
    return Tensor(RNG.standard_normal((2, 6, 6, channels)))


def stem(bias: bool = False) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv, bn = nn.Conv2d(3, 4, 3, padding=1, bias=bias).double(), nn.BatchNorm2d(4).double().eval()
    if bias:
        conv.bias.data[...] = RNG.standard_normal(4)
    return conv, bn


@pytest.fixture
def fused_calls(monkeypatch) -> list[str]:
    """The names of the fused operations that were called."""
    called = []
    for name in ("conv_norm_relu", "basic_block"):
        own = getattr(F, name)

        def noted(*arguments, own=own, name=name, **options):
            called.append(name)
            return own(*arguments, **options)

        monkeypatch.setattr(F, name, noted)
    return called


def assert_same(module_or_function, *arguments) -> None:
    """Fused and on its own, `module_or_function(*arguments, fused)` gives the same."""
    fused, alone = (module_or_function(*arguments, fused) for fused in (True, False))
    np.testing.assert_allclose(fused.numpy(), alone.numpy(), rtol=1e-10, atol=1e-12)


def through(block: BasicBlock, x, fused: bool) -> Tensor:
    block.fused = fused
    return block(x)


@pytest.mark.parametrize("bias", [False, True])
def test_a_stem_adds_the_bias_of_its_convolution(bias, fused_calls):
    assert_same(conv_norm_relu, *stem(bias), images())
    assert bool(fused_calls) is not bias


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("conv", ["conv1", "conv2"])
def test_a_block_adds_the_biases_of_its_convolutions(conv, training):
    block = BasicBlock(4, 4, 1, "A").double().train(training)
    getattr(block, conv).bias = nn.Parameter(RNG.standard_normal(4))
    if training:  # the running mean shows it
        x, state, means = images(4), block.state_dict(), []
        for fused in (True, False):
            block.load_state_dict(state)
            through(block, x, fused)
            means.append(block.state_dict()[f"bn{conv[-1]}.running_mean"])
        np.testing.assert_allclose(*means, rtol=1e-10)
    else:
        assert_same(through, block, images(4))


REPLACED = {
    "conv1 of 1x1": ("conv1", lambda: nn.Conv2d(4, 4, 1, bias=False)),
    "conv1 of 5x5": ("conv1", lambda: nn.Conv2d(4, 4, 5, padding=2, bias=False)),
    "another eps": ("bn2", lambda: nn.BatchNorm2d(4, eps=0.1)),
    "another shortcut": ("shortcut", lambda: nn.ReLU()),
    "a padding shortcut": ("shortcut", lambda: nn.ZeroPadShortcut(1, 4)),
    "no shortcut": ("shortcut", lambda: None),
}


@pytest.mark.parametrize("change", REPLACED)
def test_a_block_with_an_exchanged_part_is_still_the_same_fused(change):
    block = BasicBlock(4, 4, 1, "A")
    name, make = REPLACED[change]
    setattr(block, name, make())
    assert_same(through, block.double().eval(), images(4))


def test_strides_are_those_of_the_convolutions():
    block = BasicBlock(4, 8, 2, "A")
    block.conv1.stride, block.shortcut.stride = 3, 3
    assert_same(through, block.double().eval(), images(4))
    block.conv1.stride, block.conv1.padding = (3, 3), (1, 1)
    assert_same(through, block.double().eval(), images(4))


def test_wide_borders_are_not_those_of_a_fused_block():
    block = BasicBlock(4, 4, 1, "none")
    block.conv1.padding = 2
    block.conv2.padding = 0
    assert_same(through, block.double().eval(), images(4))


class Dilated(nn.Conv2d):
    """Stands for a convolution of another kind."""

    def forward(self, x) -> Tensor:
        return super().forward(x) * 2


def test_a_convolution_of_another_class_is_asked_itself(fused_calls):
    _, bn = stem()
    conv = Dilated(3, 4, 3, padding=1, bias=False).double()
    assert_same(conv_norm_relu, conv, bn, images())
    block = BasicBlock(4, 4, 1, "A")
    block.conv2 = Dilated(4, 4, 3, padding=1, bias=False)
    assert_same(through, block.double().eval(), images(4))
    assert not fused_calls


@pytest.mark.parametrize("part", ["conv1", "bn1", "conv2", "bn2", "shortcut"])
def test_an_option_that_the_fused_operation_does_not_know_keeps_it_away(part, fused_calls):
    block, x = BasicBlock(4, 8, 2, "A"), images(4)
    block = block.double()
    through(block, x, fused=True)
    assert fused_calls == ["basic_block"]
    getattr(block, part).tilt = 2  # as a later version may have
    through(block, x, fused=True)
    assert fused_calls == ["basic_block"]


@pytest.mark.parametrize("part", ["conv1", "bn1", "conv2", "bn2", "shortcut"])
def test_a_hook_is_called_and_keeps_the_fused_operation_away_only_while_it_is_there(
    part, fused_calls
):
    block, x, seen = BasicBlock(4, 8, 2, "A").double(), images(4), []
    for register in ("register_forward_hook", "register_forward_pre_hook"):
        with getattr(getattr(block, part), register)(lambda *call: seen.append(call) or None):
            through(block, x, fused=True)
    assert len(seen) == 2 and not fused_calls
    through(block, x, fused=True)
    assert fused_calls == ["basic_block"]


@pytest.mark.parametrize("which", [0, 1])
def test_a_stem_with_an_unknown_option_or_a_forward_of_its_own_is_not_fused(which, fused_calls):
    parts = stem()
    conv_norm_relu(*parts, images(), fused=True)
    assert fused_calls == ["conv_norm_relu"]
    seen, own = [], parts[which].forward
    parts[which].forward = lambda *a, **o: seen.append(1) or own(*a, **o)
    conv_norm_relu(*parts, images(), fused=True)
    assert seen and fused_calls == ["conv_norm_relu"]


@pytest.mark.parametrize("name", ["resnet8", "plain8", "vgg8", "resnet18"])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_catalogues_networks_are_fused_throughout(name, mode, fused_calls):
    """An option that every convolution has gets a place in the fused operations, or ends this."""
    net = getattr(models.build(name, fused=True), mode)()
    net(Tensor(RNG.standard_normal((2, 32, 32, 3)).astype(np.float32)))
    blocks = sum(isinstance(module, BasicBlock) for _, module in net.named_modules())
    projections = 3 if name == "resnet18" else 0
    assert fused_calls.count("basic_block") == blocks - projections
    assert fused_calls.count("conv_norm_relu") == (7 if name == "vgg8" else 1)
