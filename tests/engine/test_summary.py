"""What `minires info --model` says: the paper's multiply-adds, and sums that are right."""

import numpy as np
import pytest

from minires import Tensor, models, nn, use
from minires.benchmarks.steps import training_flops
from minires.cli import main
from minires.nn import init
from minires.summary import summarize

MULTIPLY_ADDS = {  # exactly; in 10^9 in table 1 of the paper, of VGG-19 in section 3.3
    "resnet18": (1_814_073_344, 1.8),
    "resnet34": (3_663_761_408, 3.6),
    "resnet50": (3_857_973_248, 3.8),
    "resnet101": (7_570_194_432, 7.6),
    "resnet152": (11_282_415_616, 11.3),
    "plain18": (1_794_805_760, 1.8),
    "plain34": (3_644_493_824, 3.6),
    "vgg19": (19_632_062_464, 19.6),
}


@pytest.fixture(autouse=True)
def zero_weights(monkeypatch):
    """What is counted follows from shapes alone."""
    monkeypatch.setattr(init, "he_normal", lambda shape: np.zeros(shape, np.float32))
    monkeypatch.setattr(init, "uniform", lambda shape, bound: np.zeros(shape, np.float32))


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_the_multiply_adds_are_the_papers(name):
    """The paper gives a digit behind the point, of 3.66 and 3.86 the one that stands there."""
    exact, paper = MULTIPLY_ADDS[name]
    net = models.build(name)
    found = summarize(net, 224)
    assert found.multiply_adds == exact and found.flops == 2 * exact
    assert any(f"{digits:.1f}" == str(paper) for digits in (exact / 1e9, exact // 10**8 / 10))
    assert found.parameters == net.num_parameters()


def test_the_stride_in_the_3x3_costs_more():
    """4.1 x 10^9 in the literature on torchvision's ResNet-50."""
    other = summarize(models.build("resnet50", stride_in_3x3=True), 224)
    assert other.multiply_adds == 4_089_184_256


@pytest.mark.parametrize("option", ["A", "B", "C"])
@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize("name", ["resnet8", "resnet18", "resnet50"])
def test_rows_add_up_and_the_network_stays_as_it_was(name, option, fused):
    net = models.build(name, 10, option, fused)
    net.layer1.eval()
    state = net.state_dict()
    modes = [(module.training, getattr(module, "fused", 0)) for _, module in net.named_modules()]
    found = summarize(net, 32)
    blocks = found.blocks()
    for field in ("parameters", "multiply_adds", "activation_bytes"):
        assert sum(getattr(row, field) for row in blocks) == getattr(found, field)
    assert found.parameters == net.num_parameters()
    names = [name for name, _ in net.named_modules()]
    weighted = [row.name for row in found.rows if row.parameters]
    assert len(set(weighted)) == len(weighted) and set(weighted) <= set(names)
    assert modes == [(m.training, getattr(m, "fused", 0)) for _, m in net.named_modules()]
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value, state[key])


def test_a_small_network_by_hand():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(4 * 4 * 4, 5),
    )
    found = summarize(net, 8)
    rows = [(r.name, r.kind, r.shape, r.parameters, r.multiply_adds) for r in found.rows]
    assert rows == [
        ("0", "Conv2d", (4, 4, 4), 112, 4 * 4 * 4 * 27),
        ("1", "BatchNorm2d", (4, 4, 4), 8, 0),
        ("2", "ReLU", (4, 4, 4), 0, 0),
        ("5", "Linear", (5,), 325, 320),
    ]
    assert found.activation_bytes == 4 * (3 * 64 + 5)
    assert found.training_flops == 2 * (2 * 1728 + 3 * 320)


def test_a_layer_that_is_used_twice_has_its_parameters_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, x):
            return self.conv(self.conv(x))

    found = summarize(Twice(), 2)
    assert [row.parameters for row in found.rows] == [9, 0] and found.multiply_adds == 2 * 36


def test_it_counts_on_every_backend_of_the_host():
    with use("numba"):
        net = models.resnet8()
        assert summarize(net, 32) == summarize(models.build("resnet8", fused=False), 32)
        assert net.eval()(Tensor(np.zeros((1, 8, 8, 3), np.float32))).shape == (1, 10)


def test_the_benchmark_counts_the_same():
    assert training_flops("resnet18") == summarize(models.build("resnet18", 10), 32).training_flops


def test_an_image_that_does_not_fit_is_a_value_error():
    with pytest.raises(ValueError, match="at least 1 pixel"):
        summarize(models.resnet8(), 0)
    with pytest.raises(ValueError, match="x has 3 channels|expects 3"):
        summarize(models.resnet8(), 8, channels=1)


def test_the_command_line_prints_the_table(capsys):
    assert main(["info", "--model", "resnet50"]) == 0
    out = capsys.readouterr().out
    assert "resnet50, images of 224 x 224 pixels" in out
    assert "layer4.2" in out and "Bottleneck" in out and "layer4.2.conv1" not in out
    assert "25,557,032" in out and "3.86 x 10^9" in out and "85.5 MB" in out
    assert main("info --model resnet8 --shortcut B --image-size 16 --layers".split()) == 0
    out = capsys.readouterr().out
    assert "16 x 16 pixels" in out and "layer2.0.shortcut.0" in out


def test_vgg8_is_shown_at_the_size_of_cifar(capsys):
    assert main(["info", "--model", "vgg8"]) == 0
    out = capsys.readouterr().out
    assert "vgg8, images of 32 x 32 pixels" in out and "features.6" in out
    # 32 x 32, 16 x 16 and 8 x 8 pixels; the classifier
    first, second, third = 3 * 16 + 16 * 16, 16 * 32 + 32 * 32, 32 * 64 + 2 * 64 * 64
    expected = 9 * (1024 * first + 256 * second + 64 * third) + 64 * 10
    assert f"({expected:,})" in out and "109,946" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--model vgg8 --shortcut A", "vgg8 has no shortcuts"),
        ("--model vgg16 --image-size 32", "vgg16 is for images of 224 x 224"),
        ("--model resnet21", "no network is named 'resnet21'"),
        ("--model alexnet --shortcut A", "alexnet has no shortcuts"),
    ],
)
def test_what_cannot_be_shown_gets_a_sentence(options, message, capsys):
    assert main(["info", *options.split()]) == 1
    assert message in capsys.readouterr().err
