"""The CIFAR networks: the paper's sizes, any image, and PyTorch's numbers for a block."""

import re

import numpy as np
import pytest
from cases import BACKENDS

from minires import Tensor, models, no_grad, use
from minires import functional as F
from minires.interop import load_torch_state_dict, to_torch_state_dict
from minires.models import BasicBlock, CifarResNet
from minires.training import Config

PARAMETERS = {
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "resnet1202": 19_421_274,
}


def images(n=2, size=32, dtype=np.float32) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal((n, size, size, 3)).astype(dtype))


class TestSize:
    @pytest.mark.parametrize("name", PARAMETERS)
    def test_a_resnet_has_the_papers_number_of_parameters(self, name):
        assert getattr(models, name)().num_parameters() == PARAMETERS[name]

    @pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
    def test_option_a_adds_no_parameter_to_the_plain_net(self, depth):
        plain = getattr(models, f"plain{depth}")()
        assert plain.num_parameters() == PARAMETERS[f"resnet{depth}"]

    @pytest.mark.parametrize("n", [1, 2, 3, 5])
    def test_projections_add_their_filters_and_their_batch_norms(self, n):
        def projections(pairs):
            return sum(c_in * c_out + 2 * c_out for c_in, c_out in pairs)

        transitions = [(16, 32), (32, 64)]
        others = [(16, 16)] * n + [(32, 32), (64, 64)] * (n - 1)
        a, b, c = (CifarResNet(n, shortcut=option).num_parameters() for option in "ABC")
        assert b - a == projections(transitions)
        assert c - a == projections(transitions + others)

    def test_a_hundred_classes_enlarge_only_the_classifier(self):
        more = models.resnet20(num_classes=100)
        assert more.num_parameters() - PARAMETERS["resnet20"] == 90 * (64 + 1)
        assert more.eval()(images(1, 8)).shape == (1, 100)

    @pytest.mark.parametrize("name", ["resnet8", "resnet14", "plain26", "resnet56"])
    def test_depth_counts_the_weighted_layers(self, name):
        net = models.build(name)
        weights = [p for p in net.parameters() if p.ndim > 1]
        assert len(weights) == net.depth == int(re.search(r"\d+", name)[0])


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("kind", ["resnet14", "plain14"])
def test_fused_blocks_are_the_same_network(name, kind):
    nets = [models.build(kind, fused=fused).double() for fused in (True, False)]
    nets[1].load_state_dict(nets[0].state_dict())
    results = []
    with use(name):
        for net in nets:
            loss = F.cross_entropy(net(images(6, 12, np.float64)), np.arange(6))
            loss.backward()
            gradients = [parameter.grad for parameter in net.parameters()]
            results.append([loss.numpy(), *gradients, *net.state_dict().values()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_filters_of_two_sizes_are_refused():
    x, c = images(2, 8).data[..., :1], np.ones(1, np.float32)
    w1, w2 = np.ones((3, 3, 1, 1), np.float32), np.ones((5, 5, 1, 1), np.float32)
    running = (c.copy(), c.copy())
    with pytest.raises(ValueError, match="w1 and w2 must be of one size"):
        F.basic_block(x, w1, c, c, running, w2, c, c, running, training=True)


def test_blocks_are_fused_where_a_backend_has_a_kernel_for_it(monkeypatch):
    called = []
    block = F.basic_block
    monkeypatch.setattr(F, "basic_block", lambda *a, **o: called.append(1) or block(*a, **o))
    with use("numpy"):
        models.resnet8()(images())
        assert not called
        models.build("resnet8", fused=True)(images())
        assert len(called) == 3
        called.clear()
        models.build("resnet8", shortcut="B", fused=True)(images())
        assert len(called) == 1  # the other two have a projection


class TestVGG8:
    def test_it_has_the_parameters_of_its_eight_layers(self):
        pairs = [(3, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 64)]
        filters_and_norms = sum(9 * c_in * c_out + 2 * c_out for c_in, c_out in pairs)
        net = models.vgg8()
        assert net.num_parameters() == filters_and_norms + 64 * 10 + 10 == 109_946
        assert sum(p.ndim > 1 for p in net.parameters()) == net.depth == 8
        network = models.get("vgg8")
        assert (network.kind, network.depth, network.image_size) == ("vgg", 8, 32)

    @pytest.mark.parametrize("size", [4, 5, 32, 33])
    def test_any_image_size_gives_logits_and_gradients(self, size):
        models.get("vgg8").check_image_size(size)
        net = models.build("vgg8", num_classes=3)
        # Two images of one pixel are normalised to 1 and -1: no gradient would pass.
        logits = net(images(4, size))
        assert logits.shape == (4, 3) and logits.dtype == np.float32
        F.cross_entropy(logits, np.array([0, 2, 1, 0])).backward()
        for name, parameter in net.named_parameters():
            assert np.isfinite(parameter.grad).all() and parameter.grad.any(), name

    @pytest.mark.parametrize("name", BACKENDS)
    def test_it_is_the_same_on_every_backend(self, name):
        net, x = models.vgg8().double(), images(3, 12, np.float64)
        reference = net(x).numpy()
        with use(name):
            np.testing.assert_allclose(net(x).numpy(), reference, rtol=1e-8, atol=1e-10)

    def test_it_has_neither_shortcuts_nor_bottlenecks_nor_blocks(self):
        with pytest.raises(ValueError, match="vgg8 has no shortcuts, so no option A"):
            models.build("vgg8", shortcut="A")
        with pytest.raises(ValueError, match="vgg8 has no bottlenecks"):
            models.build("vgg8", stride_in_3x3=True)
        with pytest.raises(ValueError, match="vgg8 has no blocks"):
            models.build("vgg8", recompute=True)
        with pytest.raises(ValueError, match="bf16 is for the resnets and plain nets .*: vgg8"):
            Config(model="vgg8", precision="bf16")

    @pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
    def test_it_computes_and_differentiates_as_pytorchs(self, training):
        torch = pytest.importorskip("torch", reason="parity with PyTorch needs PyTorch")
        rng = np.random.default_rng(0)
        ours = models.vgg8().double().train(training)
        state = {n: v + rng.uniform(0, 0.2, v.shape) for n, v in ours.state_dict().items()}
        ours.load_state_dict(state)
        theirs = torch_vgg8(torch).double().train(training)
        named = dict(zip(ours.state_dict(), theirs_in_our_order(theirs), strict=True))
        with torch.no_grad():
            for name, value in to_torch_state_dict(state).items():
                named[name].copy_(torch.tensor(value))
        x = images(3, 13, np.float64)
        x_torch = torch.tensor(x.data.transpose(0, 3, 1, 2))
        logits, logits_torch = ours(x), theirs(x_torch)
        cotangent = rng.standard_normal(logits.shape)
        logits.backward(cotangent)
        logits_torch.backward(torch.tensor(cotangent))
        np.testing.assert_allclose(logits.data, logits_torch.detach().numpy(), rtol=1e-9)
        gradients = {name: named[name].grad for name, _ in ours.named_parameters()}
        for name, gradient in load_torch_state_dict(gradients).items():
            own = dict(ours.named_parameters())[name].grad
            np.testing.assert_allclose(own, gradient, rtol=1e-8, atol=1e-10)


def torch_vgg8(torch):
    """vgg8 in PyTorch, under names of its own."""
    layers, c_in = [], 3
    for width in (16, 16, "M", 32, 32, "M", 64, 64, 64):
        if width == "M":
            layers.append(torch.nn.MaxPool2d(2))
            continue
        layers.append(torch.nn.Conv2d(c_in, width, 3, padding=1, bias=False))
        layers += [torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
        c_in = width
    pool = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    return torch.nn.Sequential(*layers, *pool, torch.nn.Linear(64, 10))


def theirs_in_our_order(theirs) -> list:
    """Parameters first, then running statistics: the order of our state dict."""
    buffers = [b for name, b in theirs.named_buffers() if "num_batches" not in name]
    return [*theirs.parameters(), *buffers]


class TestForward:
    @pytest.mark.parametrize("size", [4, 5, 8, 31, 32, 33])
    @pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
    def test_any_image_size_gives_logits_and_gradients(self, shortcut, size):
        net = models.build("resnet8", shortcut=shortcut)
        logits = net(images(2, size))
        assert logits.shape == (2, 10) and logits.dtype == np.float32
        F.cross_entropy(logits, np.array([3, 7])).backward()
        for name, parameter in net.named_parameters():
            assert np.isfinite(parameter.grad).all() and parameter.grad.any(), name

    def test_the_stages_halve_the_image_and_double_the_channels(self):
        net, shapes = models.resnet8().eval(), []
        x = net.conv1(images(1))
        for stage in (net.layer1, net.layer2, net.layer3):
            x = stage(x)
            shapes.append(x.shape)
        assert shapes == [(1, 32, 32, 16), (1, 16, 16, 32), (1, 8, 8, 64)]

    def test_in_evaluation_an_image_is_judged_by_itself(self):
        net = models.resnet8().eval()
        x = images(4, 8).data
        together = net(Tensor(x)).data
        alone = np.concatenate([net(Tensor(x[i : i + 1])).data for i in range(4)])
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)

    def test_logits_start_moderate_at_every_depth(self):
        with no_grad():
            logits = models.resnet56()(images(8, 8))
        assert 0.01 < logits.data.std() < 10

    def test_the_plain_net_is_the_resnet_without_shortcuts(self):
        plain, residual = models.build("plain8").eval(), models.build("resnet8").eval()
        residual.load_state_dict(plain.state_dict())
        x = images(1, 8)
        assert not np.allclose(plain(x).data, residual(x).data)
        block, x = plain.layer1[0], Tensor(np.abs(images(1, 8).data[..., [0] * 16]))
        block.bn2.weight.data[...] = 0
        np.testing.assert_array_equal(block(x).data, 0)

    def test_a_residual_block_with_a_silent_branch_passes_positive_values_on(self):
        block = BasicBlock(3, 3, 1, "A").eval()
        block.bn2.weight.data[...] = 0
        x = images(1, 8)
        np.testing.assert_array_equal(block(x).data, np.maximum(x.data, 0))


class TestOptionA:
    @pytest.mark.parametrize(("channels", "low"), [(6, 1), (3, 0), (4, 0), (7, 2), (8, 2)])
    @pytest.mark.parametrize("size", [4, 5])
    def test_it_subsamples_and_pads_zero_channels_on_both_sides(self, size, channels, low):
        x = images(2, size)
        y = F.shortcut(x, stride=2, channels=channels).data
        np.testing.assert_array_equal(y[..., low : low + 3], x.data[:, ::2, ::2])
        silent = np.delete(y, range(low, low + 3), axis=-1)
        assert silent.shape[-1] == channels - 3 and not silent.any()

    def test_it_takes_part_where_the_shape_changes_only(self):
        block = BasicBlock(2, 4, 2, "A").eval()
        block.bn2.weight.data[...] = 0
        x = np.abs(images(1, 5).data[..., :2])
        y = block(Tensor(x)).data
        np.testing.assert_array_equal(y[..., 1:3], x[:, ::2, ::2])
        assert not y[..., [0, 3]].any()


class TestBuild:
    @pytest.mark.parametrize(
        "name", ["resnet", "resnet21", "resnet2", "plain9", "vgg17", "resnet-20", "ResNet20", ""]
    )
    def test_an_unknown_network_is_answered_with_the_known_ones(self, name):
        with pytest.raises(
            ValueError, match=f"no network is named '{name}'.*D = 6n \\+ 2.*resnet20"
        ):
            models.build(name)

    def test_a_plain_net_takes_no_shortcut(self):
        with pytest.raises(ValueError, match="plain20 .*no shortcuts"):
            models.build("plain20", shortcut="A")

    @pytest.mark.parametrize(
        "make", [lambda s: models.resnet20(shortcut=s), lambda s: BasicBlock(2, 4, 2, s)]
    )
    @pytest.mark.parametrize("shortcut", ["D", "a", "AB"])
    def test_an_unknown_shortcut_is_a_value_error(self, make, shortcut):
        with pytest.raises(ValueError, match="shortcut must be A, B, C or none"):
            make(shortcut)

    def test_an_image_with_other_channels_is_a_value_error(self):
        with pytest.raises(ValueError, match="conv2d: x has 1 channels but w expects 3"):
            models.resnet8()(Tensor(np.zeros((1, 8, 8, 1), np.float32)))


def torch_block(torch, x, p, stride, shortcut, training):
    """A BasicBlock on x (N,C,H,W) in PyTorch; p is its state dict."""
    f = torch.nn.functional

    def conv(x, name, stride=1, padding=0):
        return f.conv2d(x, p[f"{name}.weight"], None, stride, padding)

    def norm(x, name):
        running = p[f"{name}.running_mean"], p[f"{name}.running_var"]
        return f.batch_norm(x, *running, p[f"{name}.weight"], p[f"{name}.bias"], training)

    y = norm(conv(x, "conv1", stride, 1), "bn1").relu()
    y = norm(conv(y, "conv2", 1, 1), "bn2")
    if "shortcut.0.weight" in p:
        y = y + norm(conv(x, "shortcut.0", stride), "shortcut.1")
    elif shortcut != "none":
        extra = (y.shape[1] - x.shape[1]) // 2
        y = y + f.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, extra, extra))
    return y.relu()


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (8, 2)])
@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
def test_a_block_computes_and_differentiates_as_pytorchs(shortcut, channels, stride, training):
    torch = pytest.importorskip("torch", reason="parity with PyTorch needs PyTorch")
    rng = np.random.default_rng(0)
    block = BasicBlock(4, channels, stride, shortcut).double().train(training)
    state = {name: rng.uniform(0.5, 1.5, v.shape) for name, v in block.state_dict().items()}
    state |= {name: rng.standard_normal(v.shape) for name, v in state.items() if v.ndim == 4}
    block.load_state_dict(state)
    theirs = {n: torch.tensor(v) for n, v in to_torch_state_dict(state).items()}
    for name, _ in block.named_parameters():
        theirs[name].requires_grad_()

    x = Tensor(rng.standard_normal((3, 7, 6, 4)), requires_grad=True)
    y = block(x)
    cotangent = rng.standard_normal(y.shape)
    y.backward(cotangent)
    x_torch = torch.tensor(x.data.transpose(0, 3, 1, 2), requires_grad=True)
    y_torch = torch_block(torch, x_torch, theirs, stride, shortcut, training)
    y_torch.backward(torch.tensor(cotangent.transpose(0, 3, 1, 2)))

    def assert_close(ours, its):
        np.testing.assert_allclose(ours, its, rtol=1e-10, atol=1e-10)

    assert_close(y.data, y_torch.detach().numpy().transpose(0, 2, 3, 1))
    assert_close(x.grad, x_torch.grad.numpy().transpose(0, 2, 3, 1))
    gradients = {name: theirs[name].grad for name, _ in block.named_parameters()}
    for name, gradient in load_torch_state_dict(gradients).items():
        assert_close(dict(block.named_parameters())[name].grad, gradient)
    for name, array in block.named_buffers():
        assert_close(array, theirs[name].numpy())
