"""The ImageNet networks: the literature's sizes, PyTorch's names and numbers, gradients for all."""

import numpy as np
import pytest

from minires import Tensor, models
from minires import functional as F
from minires.interop import load_torch_state_dict
from minires.models import VGG, AlexNet, Bottleneck, CifarResNet, ImageNetResNet
from minires.models.imagenet import BasicBlock
from minires.nn import init
from minires.training import Config

PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "alexnet": 61_100_840,
}
"""1000 classes, option B; of torchvision's networks, whose published weights have these names."""


@pytest.fixture
def zero_weights(monkeypatch):
    """Networks begin with zeros where it does not matter: to draw 10^8 numbers takes seconds."""
    monkeypatch.setattr(init, "he_normal", lambda shape: np.zeros(shape, np.float32))
    monkeypatch.setattr(init, "uniform", lambda shape, bound: np.zeros(shape, np.float32))


def images(n=2, size=32, dtype=np.float32) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, size, size, 3)).astype(dtype)


@pytest.mark.usefixtures("zero_weights")
class TestSize:
    @pytest.mark.parametrize("name", PARAMETERS)
    def test_a_network_has_the_literatures_number_of_parameters(self, name):
        assert getattr(models, name)().num_parameters() == PARAMETERS[name]

    @pytest.mark.parametrize("depth", [18, 34])
    def test_option_a_adds_no_parameter_to_the_plain_net(self, depth):
        plain = models.build(f"plain{depth}").num_parameters()
        a, b, c = (ImageNetResNet(depth, shortcut=o).num_parameters() for o in "ABC")
        assert a == plain < b < c
        assert b - a == sum(c_in * 2 * c_in + 2 * 2 * c_in for c_in in (64, 128, 256))

    @pytest.mark.parametrize("name", [*PARAMETERS, "plain18", "plain34"])
    def test_depth_counts_the_weighted_layers(self, name):
        net = models.build(name, num_classes=3)
        weights = [n for n, p in net.named_parameters() if p.ndim > 1 and "downsample" not in n]
        assert len(weights) == net.depth == models.get(name).depth

    def test_the_stride_of_a_bottleneck_moves_no_parameter(self):
        paper, other = (models.build("resnet50", stride_in_3x3=where) for where in (False, True))
        shapes = [[(n, v.shape) for n, v in net.state_dict().items()] for net in (paper, other)]
        assert shapes[0] == shapes[1]
        strides = [(b.conv1.stride, b.conv2.stride) for b in (paper.layer2[0], other.layer2[0])]
        assert strides == [(2, 1), (1, 2)]


@pytest.mark.usefixtures("zero_weights")
class TestNames:
    def test_an_imagenet_name_wins_over_6n_plus_2(self):
        assert isinstance(models.build("resnet50"), ImageNetResNet)
        assert isinstance(models.build("plain50"), CifarResNet)
        assert CifarResNet(8).depth == 50

    @pytest.mark.parametrize(
        ("name", "some", "count"),
        [
            ("resnet18", "layer2.0.downsample.0.weight layer4.1.bn2.running_var fc.bias", 102),
            ("resnet50", "layer1.0.downsample.1.bias layer3.5.conv3.weight bn1.running_mean", 267),
            ("vgg16", "features.0.bias features.28.weight classifier.6.weight", 32),
            ("vgg19", "features.34.weight classifier.0.weight classifier.3.bias", 38),
            ("alexnet", "features.3.weight features.10.bias classifier.1.weight", 16),
        ],
    )
    def test_the_parts_have_torchvisions_names(self, name, some, count):
        """There are as many as in its files, but for the counters `num_batches_tracked`."""
        state = models.build(name).state_dict()
        assert set(some.split()) <= state.keys() and len(state) == count

    def test_the_family_decides_how_many_classes_there_are(self):
        assert models.build("resnet18").fc.weight.shape == (512, 1000)
        assert models.build("resnet20").linear.weight.shape == (64, 10)
        assert models.build("resnet18", 7).fc.weight.shape == (512, 7)

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("plain34", {"shortcut": "A"}, "plain34 has no shortcuts"),
            ("vgg16", {"shortcut": "B"}, "vgg16 has no shortcuts"),
            ("resnet18", {"shortcut": "D"}, "shortcut must be A, B, C or none"),
            ("resnet50", {"shortcut": "D"}, "shortcut must be A, B, C or none"),
            ("alexnet", {"stride_in_3x3": True}, "alexnet has no bottlenecks"),
            ("resnet20", {"stride_in_3x3": True}, "resnet20 has no bottlenecks"),
            ("resnet18", {"stride_in_3x3": True}, "begins with 50 layers"),
            ("vgg13", {}, "no network is named 'vgg13'.* resnet50, .*vgg16"),
        ],
    )
    def test_what_a_network_does_not_have_is_a_value_error(self, name, options, message):
        with pytest.raises(ValueError, match=message):
            models.build(name, **options)

    def test_a_depth_that_the_paper_does_not_have_is_a_value_error(self):
        with pytest.raises(ValueError, match="18, 34, 50, 101, 152, but is 20"):
            ImageNetResNet(20)
        with pytest.raises(ValueError, match="VGG: the depth is 16 or 19, but is 13"):
            VGG(13)

    def test_an_image_of_another_size_is_refused_where_the_classifier_is_tied_to_it(self):
        for net in (VGG(16, 3, image_size=32), AlexNet(3, image_size=63)):
            with pytest.raises(ValueError, match=f"{net.image_size} x .* x has 128 x 128"):
                net(Tensor(images(1, 128)))
            with pytest.raises(ValueError, match="nothing is left"):
                type(net)(*[16] * isinstance(net, VGG), image_size=31)

    def test_training_them_is_refused_before_data_are_looked_for(self):
        Config(model="resnet50")
        Config(model="vgg16", dataset="shapes", image_size=224)
        with pytest.raises(ValueError, match="vgg16 is for images of 224 x 224 .* 32 x 32"):
            Config(model="vgg16")
        with pytest.raises(
            ValueError, match="bf16 is for the resnets and plain nets for CIFAR: resnet18"
        ):
            Config(model="resnet18", precision="bf16")


class TestGradients:
    @pytest.mark.parametrize("size", [32, 33, 64])
    def test_any_image_size_gives_logits(self, size):
        assert models.build("resnet18", 5).eval()(Tensor(images(1, size))).shape == (1, 5)

    @pytest.mark.parametrize("option", ["A", "B", "C", "none"])
    @pytest.mark.parametrize("depth", [18, 50])
    def test_they_reach_every_parameter(self, depth, option):
        self.check(ImageNetResNet(depth, 5, option), Tensor(images(2, 64)))

    @pytest.mark.parametrize("net", [VGG, AlexNet])
    def test_they_reach_every_parameter_without_batch_norm(self, net):
        made = VGG(16, 5, image_size=32) if net is VGG else AlexNet(5, image_size=63)
        self.check(made, Tensor(images(8, made.image_size)))

    def test_they_pass_resnet50_at_224_pixels(self):
        self.check(models.resnet50(), Tensor(images(1, 224)))

    @staticmethod
    def check(net, x):
        logits = net(x)
        F.cross_entropy(logits, np.arange(len(x)) % 5).backward()
        for name, parameter in net.named_parameters():
            assert np.isfinite(parameter.grad).all() and parameter.grad.any(), name


def random_state(torch, net, seed=0) -> None:
    """Values that keep activations moderate, and statistics that are not those of the start."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        if value.ndim > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        elif "num_batches" not in name:
            centre = 0.0 if name.endswith(("bias", "mean")) else 1.0
            value.uniform_(centre - 0.3, centre + 0.3, generator=generator)


def logits_of_both(torch, ours, theirs, size, dtype):
    """On the same weights and images; every name must be in both."""
    theirs = theirs.to(getattr(torch, dtype)).eval()
    random_state(torch, theirs)
    ours = (ours.double() if dtype == "float64" else ours).eval()
    ours.load_state_dict(load_torch_state_dict(theirs.state_dict()))
    x = images(2, size, dtype)
    with torch.no_grad():
        expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()
    assert np.isfinite(expected).all() and expected.std() > 1e-3
    return ours(Tensor(x)).data, expected


DEEPER = [  # more of the blocks that those of 18 and 50 layers have, too
    pytest.param(*case, marks=pytest.mark.slow)
    for case in (
        (34, "B", False, "float64"),
        (34, "none", False, "float64"),
        (50, "A", False, "float64"),
        (50, "C", False, "float64"),
        (101, "B", False, "float32"),
        (152, "B", True, "float32"),
    )
]


@pytest.mark.usefixtures("zero_weights")
class TestParity:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch", reason="parity with PyTorch needs PyTorch")

    @pytest.mark.parametrize(
        ("depth", "option", "in_3x3", "dtype"),
        [
            *[(18, option, False, "float64") for option in ("A", "B", "C", "none")],
            *[(50, "B", in_3x3, "float64") for in_3x3 in (False, True)],
            *DEEPER,
        ],
    )
    def test_a_resnet_gives_pytorchs_logits(self, torch, depth, option, in_3x3, dtype):
        import torch_imagenet

        theirs = torch_imagenet.ResNet(depth, 10, option, in_3x3)
        ours = ImageNetResNet(depth, 10, option, stride_in_3x3=in_3x3)
        y, expected = logits_of_both(torch, ours, theirs, 64, dtype)
        tolerance = 1e-10 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance * expected.std())

    @pytest.mark.parametrize(
        ("name", "size"),
        [
            ("vgg16", 64),
            pytest.param("vgg19", 64, marks=pytest.mark.slow),  # vgg16 with more of the same
            ("alexnet", 95),
        ],
    )
    def test_the_nets_before_give_pytorchs_logits(self, torch, name, size):
        import torch_imagenet

        if name == "alexnet":
            ours, theirs = AlexNet(10, size), torch_imagenet.alexnet(10, side=2)
        else:
            ours = VGG(int(name[3:]), 10, size)
            theirs = torch_imagenet.vgg(name, 10, side=2)
        y, expected = logits_of_both(torch, ours, theirs, size, "float64")
        np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-10 * expected.std())

    @pytest.mark.parametrize("in_3x3", [False, True])
    @pytest.mark.parametrize(("channels", "stride"), [(16, 1), (32, 2)])
    @pytest.mark.parametrize("option", ["A", "B", "C", "none"])
    def test_a_block_differentiates_as_pytorchs(self, torch, option, channels, stride, in_3x3):
        import torch_imagenet

        bottleneck = Bottleneck(16, channels // 4, stride, option, in_3x3)
        for ours, deep in ((bottleneck, True), (BasicBlock(16, channels, stride, option), False)):
            theirs = torch_imagenet.Block(16, channels, stride, option, deep, in_3x3).double()
            random_state(torch, theirs)
            ours.double().load_state_dict(load_torch_state_dict(theirs.state_dict()))
            rng = np.random.default_rng(1)
            x = Tensor(rng.standard_normal((3, 7, 6, 16)), requires_grad=True)
            y = ours(x)
            dy = rng.standard_normal(y.shape)
            y.backward(dy)
            x_torch = torch.tensor(x.data.transpose(0, 3, 1, 2), requires_grad=True)
            y_torch = theirs(x_torch)
            y_torch.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
            pairs = [(y.data, y_torch.detach()), (x.grad, x_torch.grad)]
            for a, b in pairs:
                np.testing.assert_allclose(a.transpose(0, 3, 1, 2), b.numpy(), atol=1e-10)
            gradients = {name: p.grad for name, p in theirs.named_parameters()}
            for name, gradient in load_torch_state_dict(gradients).items():
                own = dict(ours.named_parameters())[name].grad
                np.testing.assert_allclose(own, gradient, rtol=1e-10, atol=1e-10)
