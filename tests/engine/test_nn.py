"""Modules: what they find and name, how they switch modes, what they save and load."""

import numpy as np
import pytest

from minires import Tensor, nn
from minires import functional as F


class Net(nn.Module):
    """A convolution, a block of layers, a parameter and a buffer of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(np.ones(2, np.float32))
        self.conv = nn.Conv2d(3, 4, 3)
        self.body = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten())
        self.head = nn.Linear(4, 2, bias=False)
        self.register_buffer("count", np.zeros((), np.float32))

    def forward(self, x):
        return self.head(self.body(self.conv(x))) * self.scale


NAMES = ["scale", "conv.weight", "conv.bias", "body.0.weight", "body.0.bias", "head.weight"]
BUFFERS = ["count", "body.0.running_mean", "body.0.running_var"]


def normal(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


class TestRegistration:
    def test_parameters_and_buffers_are_found_under_dotted_names(self):
        net = Net()
        assert [name for name, _ in net.named_parameters()] == NAMES
        assert [name for name, _ in net.named_buffers()] == BUFFERS
        assert sorted(net.state_dict()) == sorted(NAMES + BUFFERS)
        assert net.num_parameters() == 2 + 3 * 3 * 3 * 4 + 4 + 4 + 4 + 4 * 2

    def test_modules_are_named_depth_first(self):
        names = [name for name, _ in Net().named_modules()]
        assert names == ["", "conv", "body", "body.0", "body.1", "body.2", "body.3", "head"]

    def test_a_shared_parameter_and_a_shared_module_count_once(self):
        layer = nn.Linear(3, 3)
        net, tied = nn.Sequential(layer, nn.ReLU(), layer), nn.Linear(3, 3)
        assert net.num_parameters() == layer.num_parameters() == 12
        tied.weight = layer.weight
        assert len(nn.Sequential(layer, tied).parameters()) == 3

    def test_a_replaced_part_is_found_instead_of_the_old_one(self):
        net = Net()
        net.head = nn.Linear(4, 7)
        assert dict(net.named_parameters())["head.weight"].shape == (4, 7)

    def test_sequential_behaves_as_a_list(self):
        layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)]
        net = nn.Sequential(*layers)
        assert len(net) == 3 and list(net) == layers and net[-1] is layers[2]
        x = Tensor(normal(5, 2).astype(np.float32))
        expected = layers[2](layers[1](layers[0](x)))
        np.testing.assert_array_equal(net(x).data, expected.data)

    def test_repr_draws_the_tree(self):
        text = repr(Net())
        assert "(conv): Conv2d(3 -> 4, 3x3, stride 1, padding 0)" in text
        assert "  (body): Sequential(\n    (0): BatchNorm2d(4)\n    (1): ReLU()" in text
        assert "(head): Linear(4 -> 2)" in text and "p=0.5" in text

    def test_a_module_without_forward_says_so(self):
        with pytest.raises(TypeError, match="Module defines no forward"):
            nn.Module()(1)


class TestModes:
    def test_train_and_eval_reach_every_part_and_return_the_module(self):
        net = Net()
        assert net.training and net.eval() is net
        assert not any(module.training for _, module in net.named_modules())
        assert all(module.training for _, module in net.train().named_modules())

    def test_only_training_moves_the_running_statistics(self):
        layer, x = nn.BatchNorm2d(2), Tensor(normal(4, 3, 3, 2).astype(np.float32) * 3 + 5)
        layer(x)
        after_training = layer.running_mean.copy()
        assert (after_training > 0.1).all() and (layer.running_var > 1).all()
        layer.eval()(x)
        np.testing.assert_array_equal(layer.running_mean, after_training)

    def test_dropout_is_the_identity_in_evaluation(self):
        x = Tensor(np.ones((50, 4), np.float32))
        assert set(np.unique(nn.Dropout(0.75)(x).data)) == {0, 4}
        np.testing.assert_array_equal(nn.Dropout(0.75).eval()(x).data, x.data)

    def test_double_and_float_convert_everything_and_forget_gradients(self):
        net, x = Net(), normal(2, 3, 3, 3)
        net(Tensor(x.astype(np.float32))).mean().backward()
        assert {value.dtype for value in net.double().state_dict().values()} == {np.dtype("f8")}
        assert all(parameter.grad is None for parameter in net.parameters())
        assert net(Tensor(x)).dtype == np.float64
        assert {value.dtype for value in net.float().state_dict().values()} == {np.dtype("f4")}

    def test_zero_grad_forgets_all_gradients(self):
        net = nn.Linear(3, 2)
        net(Tensor(np.ones((1, 3), np.float32))).mean().backward()
        assert all(parameter.grad is not None for parameter in net.parameters())
        net.zero_grad()
        assert all(parameter.grad is None for parameter in net.parameters())


class TestState:
    def test_a_state_travels_from_one_module_to_another(self):
        one, two = Net(), Net()
        one(Tensor(normal(2, 3, 3, 3).astype(np.float32)))
        arrays = [parameter.data for parameter in two.parameters()]
        two.load_state_dict(one.state_dict())
        for name, value in two.state_dict().items():
            np.testing.assert_array_equal(value, one.state_dict()[name], strict=True)
        kept = [parameter.data for parameter in two.parameters()]
        assert all(a is b for a, b in zip(arrays, kept, strict=True))  # optimisers hold them too

    def test_a_state_is_a_copy(self):
        net = Net()
        for value in net.state_dict().values():
            value[...] = 99
        assert not any((value == 99).any() for value in net.state_dict().values())

    def test_loading_keeps_the_dtype_of_the_module(self):
        net = Net().double()
        net.load_state_dict(Net().state_dict())
        assert net.conv.weight.dtype == np.float64

    @pytest.mark.parametrize(
        ("spoil", "error", "sentence"),
        [
            (lambda s: s.pop("head.weight"), KeyError, "missing head.weight; unknown nothing"),
            (
                lambda s: s.update(extra=0),
                KeyError,
                "not fit this Net: missing nothing; unknown ext",
            ),
            (
                lambda s: s.update({"head.weight": np.ones((2, 4))}),
                ValueError,
                r"head.weight is \(2, 4\) in the state but \(4, 2\) here",
            ),
            (
                lambda s: s.update({"head.weight": np.full((4, 2), "a")}),
                ValueError,
                "head.weight",
            ),
            (lambda s: [s.pop(name) for name in NAMES], KeyError, "and 1 more; unknown nothing"),
        ],
        ids=["missing", "unknown", "shape", "no numbers", "many missing"],
    )
    def test_a_wrong_state_is_refused_in_words_and_nothing_is_loaded(self, spoil, error, sentence):
        net, state = Net(), {name: value + 1 for name, value in Net().state_dict().items()}
        before = net.state_dict()
        spoil(state)
        with pytest.raises(error, match=sentence):
            net.load_state_dict(state)
        for name, value in net.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    def test_without_strict_what_is_common_is_loaded(self):
        net = Net()
        net.load_state_dict({"scale": [5, 6], "elsewhere": 1}, strict=False)
        np.testing.assert_array_equal(net.scale.data, [5, 6])


def test_sequential_refuses_what_it_could_not_find_again():
    with pytest.raises(TypeError, match="part 1 is a function, not a Module; write nn.ReLU"):
        nn.Sequential(nn.Linear(2, 2), F.relu)
    with pytest.raises(TypeError, match="part 0 is a list"):
        nn.Sequential([nn.ReLU()])


def test_forward_hooks_see_inputs_and_result_and_may_replace_it():
    relu, seen = nn.ReLU(), []
    before = relu.register_forward_pre_hook(lambda module, inputs: seen.append((module, inputs)))
    after = relu.register_forward_hook(lambda module, inputs, y: seen.append((module, inputs, y)))
    x = Tensor([-1.0, 2.0])
    y = relu(x)
    assert seen == [(relu, (x,)), (relu, (x,), y)] and relu.has_hooks
    with relu.register_forward_hook(lambda module, inputs, y: y + 1.0):
        assert relu(x).numpy().tolist() == [1, 3]
    assert relu(x).numpy().tolist() == [0, 2]
    before.remove()
    after.remove()
    after.remove()
    seen.clear()
    relu(x)
    assert not seen and not relu.has_hooks


def test_a_hook_belongs_to_one_module():
    inner = nn.Linear(2, 2)
    outer, other = nn.Sequential(inner, nn.ReLU()), nn.Linear(2, 2)
    with inner.register_forward_hook(lambda *_: None):
        assert inner.has_hooks and not other.has_hooks and not outer.has_hooks
    assert not inner.has_hooks


def test_two_equal_hooks_are_removed_one_by_one():
    relu, calls = nn.ReLU(), []
    first, second = (relu.register_forward_hook(lambda *_: None) for _ in range(2))
    counting = calls.append
    third = relu.register_forward_pre_hook(lambda *a: counting(a))
    first.remove()
    relu(Tensor([1.0]))
    assert len(calls) == 1 and len(relu._forward_hooks) == 1
    second.remove()
    third.remove()
    assert not relu.has_hooks
