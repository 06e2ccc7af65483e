"""Modules that hold others, PyTorch's names for what modules can do, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest

import minires as mr
from minires import Tensor, nn, optim
from minires import functional as F


def normal(*shape, seed=0) -> Tensor:
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


class TestContainers:
    def test_a_module_list_is_a_list_whose_modules_are_found(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])

            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x

        net = Net()
        assert len(net.parameters()) == 6 and "layers.2.bias" in net.state_dict()
        layers, extra = net.layers, nn.ReLU()
        layers.append(extra).insert(0, nn.Tanh())
        assert [type(m).__name__ for m in layers] == ["Tanh", *["Linear"] * 3, "ReLU"]
        assert layers[-1] is extra and layers.pop() is extra and len(layers) == 4
        assert isinstance(layers[1:3], nn.ModuleList) and len(layers[1:3]) == 2
        layers[0] = nn.Identity()
        del layers[1]
        layers.extend([nn.ReLU(), nn.ReLU()])
        assert [type(m).__name__ for m in layers] == [
            "Identity",
            "Linear",
            "Linear",
            "ReLU",
            "ReLU",
        ]
        with pytest.raises(IndexError, match="there is no part 7; there are 5"):
            layers[7]
        with pytest.raises(TypeError, match="part 0 is a function, not a Module"):
            nn.ModuleList([F.relu])

    def test_a_module_dict_is_a_dict_whose_modules_are_found(self):
        parts = nn.ModuleDict({"first": nn.Linear(2, 3), "act": nn.ReLU()})
        assert list(parts) == ["first", "act"] and "act" in parts and len(parts) == 2
        assert dict(parts.named_parameters()).keys() == {"first.weight", "first.bias"}
        parts["act"] = nn.Tanh()
        assert isinstance(parts.pop("act"), nn.Tanh) and "act" not in parts
        for name in ("keys", "forward", "a.b", "", 3):
            with pytest.raises(ValueError, match="cannot have the name"):
                parts[name] = nn.ReLU()
        with pytest.raises(KeyError, match="there is no 'x'; there are first"):
            parts["x"]

    def test_a_parameter_list_and_a_sequential_of_names(self):
        parameters = nn.ParameterList([np.zeros(2, "f4"), nn.Parameter(np.ones(3, "f4"))])
        assert [p.size for p in parameters] == [2, 3] and len(parameters.parameters()) == 2
        named = nn.Sequential({"a": nn.Linear(2, 3), "b": nn.ReLU()})
        assert list(named.state_dict()) == ["a.weight", "a.bias"] and named.b is named[1]
        assert named(normal(1, 2)).shape == (1, 3)

    @pytest.mark.parametrize("wrapped", [list, tuple, set, lambda x: dict(enumerate(x))])
    def test_modules_in_a_list_are_refused(self, wrapped):
        module = nn.Module()
        with pytest.raises(TypeError, match="use nn.Module(List|Dict)"):
            module.layers = wrapped([nn.ReLU()])
        with pytest.raises(TypeError, match="use nn.(ParameterList|ModuleDict)"):
            module.weights = wrapped([nn.Parameter(np.ones(1, "f4"))])
        with pytest.raises(TypeError, match="holds a Module"):
            module.deep = {"a": [1, (2, nn.ReLU())]}
        module.sizes = wrapped([1, 2])


class TestParts:
    @pytest.mark.parametrize("value", [np.zeros((2, 2)), Tensor(np.zeros((2, 2))), 1.0])
    def test_a_parameter_is_not_replaced_by_what_is_none(self, value):
        layer = nn.Linear(2, 2)
        with pytest.raises(TypeError, match=r"Linear.weight is a Parameter.*nn.Parameter\(...\)"):
            layer.weight = value
        assert len(layer.parameters()) == 2
        layer.weight, layer.bias = nn.Parameter(np.zeros((2, 2), "f4")), None
        assert len(layer.parameters()) == 1

    def test_a_part_is_not_replaced_by_what_is_no_module(self):
        net = nn.Sequential(nn.ReLU())
        with pytest.raises(TypeError, match="is a Module; a function in its place"):
            setattr(net, "0", F.relu)

    def test_a_tensor_that_nobody_learns_is_told(self):
        module = nn.Module()
        with pytest.warns(UserWarning, match="requires a gradient, but no Parameter"):
            module.scale = Tensor([1.0], requires_grad=True)

    def test_own_parameters_are_printed(self):
        class Scale(nn.Module):
            def __init__(self):
                super().__init__()
                self.g = nn.Parameter(np.ones((2, 3), "f4"))
                self.inner = nn.ReLU()

        assert repr(Scale()) == "Scale(\n  (g): Parameter(2, 3)\n  (inner): ReLU()\n)"

    def test_names_lead_to_parts(self):
        net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU()))
        assert [type(m).__name__ for m in net.children()] == ["Linear", "Sequential"]
        assert len(list(net.modules())) == 4 and net.get_submodule("1.0") is net[1][0]
        with pytest.raises(AttributeError, match="no part named '2'"):
            net.get_submodule("2")
        visited = []
        assert net.apply(visited.append) is net and visited[-1] is net and len(visited) == 4
        assert next(net.parameters()) is net[0].weight
        found = net.parameters()
        assert (next(found), next(found)) == (net[0].weight, net[0].bias)
        with pytest.raises(StopIteration):
            next(found)
        assert net.parameters(recurse=False) == []

    def test_parameters_are_frozen_and_gradients_kept_as_zeros(self):
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        net[0].requires_grad_(False)
        net(normal(3, 2)).sum().backward()
        assert net[0].weight.grad is None and net[1].weight.grad is not None
        net.zero_grad(set_to_none=False)
        assert (net[1].weight.grad == 0).all()
        net.zero_grad()
        assert net[1].weight.grad is None

    def test_a_buffer_may_come_as_a_tensor(self):
        module = nn.Module()
        module.register_buffer("mask", mr.ones(3))
        assert list(module.buffers())[0].shape == (3,) and module.state_dict()["mask"].shape == (3,)
        with pytest.raises(TypeError, match="mask2 must be an array, but is a list"):
            module.register_buffer("mask2", [1])


class TestConversion:
    def test_to_converts_floats_alone(self):
        net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, momentum=None))
        assert net.to(np.float64) is net and net[0].weight.dtype == np.float64
        assert net[1].running_mean.dtype == np.float64
        assert net[1].num_batches_tracked.dtype == np.int64
        assert net.to("float32")[0].bias.dtype == np.float32
        assert net.to(mr.backend.current()) is net

    def test_another_backend_is_chosen_first(self):
        with pytest.raises(ValueError, match=r"choose .* first, before .* minires.use"):
            nn.Linear(2, 2).to("cuda:0")
        with pytest.raises(TypeError, match="expected a dtype"):
            nn.Linear(2, 2).to(object())


class TestFunctionModules:
    def test_settings_are_those_of_the_function(self):
        x = normal(3, 4)
        for module, expected in (
            (nn.LeakyReLU(0.2), F.leaky_relu(x, 0.2)),
            (nn.ReLU(inplace=True), F.relu(x)),
            (nn.Softmax(dim=1), F.softmax(x, 1)),
            (nn.LogSoftmax(-1), F.log_softmax(x, -1)),
            (nn.GELU(approximate="tanh"), F.gelu(x, "tanh")),
            (nn.Hardtanh(min_val=-0.5, max_val=0.2), F.hardtanh(x, -0.5, 0.2)),
        ):
            np.testing.assert_array_equal(module(x).data, expected.data)
            again = pickle.loads(pickle.dumps(copy.deepcopy(module)))
            np.testing.assert_array_equal(again(x).data, expected.data)
        assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
        with pytest.raises(TypeError, match="LeakyReLU: .*its arguments are: negative_slope"):
            nn.LeakyReLU(slope=1)
        with pytest.raises(TypeError, match="Softmax: .*axis"):
            nn.Softmax()

    def test_losses_take_their_settings_beforehand(self):
        z, labels = normal(4, 3), np.array([0, 2, 1, 1])
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(z, labels)
        assert loss.item() == F.cross_entropy(z, labels, label_smoothing=0.1).item()
        assert nn.MSELoss(reduction="sum")(z, z + 1).item() == pytest.approx(12)

    def test_prelu_learns_its_slope(self):
        layer = nn.PReLU()
        layer(Tensor([-2.0, 3.0])).sum().backward()
        assert layer.weight.grad.tolist() == [-2.0]


class TestLayers:
    def test_convolutions_of_every_kind_have_their_shapes(self):
        x = normal(2, 8, 7, 4)
        for layer, shape in (
            (nn.Conv2d(4, 6, 3, padding="same", dilation=2), (2, 8, 7, 6)),
            (nn.Conv2d(4, 4, 3, groups=4), (2, 6, 5, 4)),
            (nn.Conv2d(4, 2, 3, padding=((0, 1), (2, 3))), (2, 7, 10, 2)),
            (nn.ConvTranspose2d(4, 3, 2, stride=2), (2, 16, 14, 3)),
            (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), (2, 16, 14, 6)),
            (nn.MaxPool2d(3, 2, ceil_mode=True), (2, 4, 3, 4)),
            (nn.AdaptiveAvgPool2d(1), (2, 1, 1, 4)),
            (nn.AdaptiveMaxPool2d((2, 3)), (2, 2, 3, 4)),
            (nn.GroupNorm(2, 4), (2, 8, 7, 4)),
            (nn.InstanceNorm2d(4, affine=True), (2, 8, 7, 4)),
            (nn.LayerNorm((7, 4)), (2, 8, 7, 4)),
            (nn.RMSNorm(4), (2, 8, 7, 4)),
            (nn.Flatten(), (2, 224)),
            (nn.Flatten(1, 2), (2, 56, 4)),
        ):
            y = layer(x)
            assert y.shape == shape, layer
            if layer.parameters():
                (y * y).sum().backward()
            assert all(p.grad is not None and p.grad.any() for p in layer.parameters()), layer
        with pytest.raises(ValueError, match="padding 'same' needs stride 1"):
            nn.Conv2d(4, 4, 3, stride=2, padding="same")
        with pytest.raises(ValueError, match="groups must divide both channels, but 3"):
            nn.Conv2d(4, 6, 3, groups=3)
        with pytest.raises(ValueError, match=r"x.permute\(0, 2, 3, 1\)"):
            nn.Conv2d(3, 6, 3)(normal(2, 3, 8, 8))

    def test_batch_norm_without_scale_and_shift(self):
        layer = nn.BatchNorm1d(3, affine=False)
        y = layer(normal(50, 3) * 4 + 2)
        np.testing.assert_allclose(y.data.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(y.data.std(0), 1, atol=1e-4)
        assert layer.parameters() == [] and layer.running_mean.any()
        assert layer.double()(normal(5, 3).double()).dtype == np.float64

    def test_an_embedding_learns_the_rows_that_it_saw(self):
        table = nn.Embedding(5, 2)
        table(np.array([[1, 1], [3, 1]])).sum().backward()
        assert table.weight.grad[:, 0].tolist() == [0, 3, 0, 1, 0]
        with pytest.raises(ValueError, match="from 0 to 4, but range from 0 to 5"):
            table(np.array([0, 5]))
        with pytest.raises(TypeError, match="indices must be integers, but are float32"):
            table(normal(2))


class TestInit:
    @pytest.mark.parametrize("fill", ["kaiming_normal_", "kaiming_uniform_"])
    @pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
    def test_kaiming_keeps_the_variance(self, fill, mode):
        weight = nn.Parameter(np.zeros((3, 3, 40, 80), "f4"))
        assert getattr(nn.init, fill)(weight, mode=mode, nonlinearity="relu") is weight
        fan = 9 * (40 if mode == "fan_in" else 80)
        assert weight.data.std() == pytest.approx((2 / fan) ** 0.5, rel=0.02)

    def test_the_others_fill_in_place(self):
        weight = nn.Parameter(np.zeros((100, 300), "f4"))
        for fill, std in ((nn.init.xavier_normal_, 1), (nn.init.xavier_uniform_, 1)):
            assert fill(weight).data.std() == pytest.approx((2 / 400) ** 0.5 * std, rel=0.03)
        assert (nn.init.constant_(weight, 2).data == 2).all()
        assert not nn.init.zeros_(weight).data.any() and nn.init.ones_(weight).data.all()
        with pytest.raises(ValueError, match="a matrix or filters are needed"):
            nn.init.kaiming_normal_(nn.Parameter(np.zeros(3, "f4")))
        with pytest.raises(TypeError, match="a Parameter is needed, but this is a ndarray"):
            nn.init.zeros_(np.zeros(3))


class TestUtils:
    def test_parameters_become_a_vector_and_come_back(self):
        net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        vector = nn.utils.parameters_to_vector(net.parameters())
        (vector * vector).sum().backward()
        np.testing.assert_allclose(net[0].weight.grad, 2 * net[0].weight.data)
        nn.utils.vector_to_parameters(np.arange(13, dtype="f4"), net.parameters())
        assert net[1].bias.data.tolist() == [12] and net[0].weight.data[1, 2] == 5
        with pytest.raises(ValueError, match="have 13 numbers"):
            nn.utils.vector_to_parameters(np.zeros(12), net.parameters())

    def test_gradients_are_clipped(self):
        layer = nn.Linear(1, 1)
        layer.weight.grad, layer.bias.grad = np.full((1, 1), 3, "f4"), np.full(1, 4, "f4")
        assert nn.utils.clip_grad_norm_(layer.parameters(), 1.0) == pytest.approx(5)
        np.testing.assert_allclose(layer.bias.grad, 0.8, rtol=1e-6)
        nn.utils.clip_grad_value_(layer.parameters(), 0.7)
        assert layer.bias.grad.tolist() == [np.float32(0.7)]
        assert optim.clip_grad_norm is nn.utils.clip_grad_norm_
