"""Layers: how their parameters start, and that all of them receive the right gradient."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor, backend, nn
from minires.gradcheck import gradcheck
from minires.models import BasicBlock
from minires.nn import init


def normal(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


class TestInitialisation:
    def test_the_same_seed_gives_the_same_weights_and_masks(self):
        def weights(layer):
            return layer.weight.data.ravel()

        def draw(seed):
            mr.seed(seed)
            mask = nn.Dropout()(Tensor(np.ones(100, np.float32))).data
            return np.concatenate([mask, weights(nn.Conv2d(3, 4, 3)), weights(nn.Linear(3, 4))])

        np.testing.assert_array_equal(draw(3), draw(3))
        assert (draw(3) != draw(4)).any()

    def test_he_initialisation_has_variance_two_over_fan_in(self):
        weight = nn.Conv2d(32, 64, 3).weight.data
        assert weight.var() == pytest.approx(2 / (3 * 3 * 32), rel=0.03)
        assert abs(weight.mean()) < 0.002 and weight.dtype == np.float32
        assert init.he_normal((400, 300)).var() == pytest.approx(2 / 400, rel=0.03)

    def test_he_initialisation_keeps_the_second_moment_through_relu_layers(self):
        x = Tensor(normal(64, 256).astype(np.float32))
        for _ in range(20):
            x = mr.functional.relu(x @ Tensor(init.he_normal((256, 256))))
        assert 0.3 < (x.data**2).mean() < 3

    def test_a_linear_layer_is_uniform_within_one_over_root_in(self):
        layer = nn.Linear(100, 200)
        for values in (layer.weight.data, layer.bias.data):
            assert 0.097 < np.abs(values).max() <= 0.1
        assert layer.weight.data.var() == pytest.approx(0.1**2 / 3, rel=0.03)

    def test_batch_norm_starts_as_the_identity_and_biases_at_zero(self):
        layer = nn.BatchNorm2d(3)
        for values, start in ((layer.weight, 1), (layer.bias, 0), (nn.Conv2d(1, 3, 1).bias, 0)):
            np.testing.assert_array_equal(values.data, np.full(3, start, np.float32))
        np.testing.assert_array_equal(backend.to_numpy(layer.running_var), 1)


def gradcheck_module(module, x):
    """gradcheck of a module by its input and by each of its parameters."""
    places = [
        (owner, name)
        for _, owner in module.named_modules()
        for name, value in vars(owner).items()
        if isinstance(value, nn.Parameter)
    ]
    places = list(dict.fromkeys(places))  # a shared module once

    def fn(x, *parameters):
        for (owner, name), parameter in zip(places, parameters, strict=True):
            vars(owner)[name] = parameter  # as it is, whatever setattr would say
        mr.seed(0)  # the same dropout mask in every call
        return module(x)

    arrays = [getattr(owner, name).data for owner, name in places]
    tensors = [Tensor(array, requires_grad=True) for array in (x, *arrays)]
    y = fn(*tensors)
    y.backward(normal(*y.shape))
    assert all(tensor.grad is not None for tensor in tensors), "a parameter takes no part"
    return gradcheck(fn, tensors, mode="full")


def test_a_convolution_adds_its_bias_to_every_pixel():
    layer, x = nn.Conv2d(2, 3, 3, padding=1).double(), Tensor(normal(2, 4, 5, 2))
    without = layer(x).data
    layer.bias.data[...] = [1, 2, 3]
    np.testing.assert_allclose(layer(x).data, without + [1, 2, 3])


def randomise(module):
    """Random values in all parameters and running statistics: nothing is 0 or 1 by convention."""
    rng = np.random.default_rng(5)
    state = {name: rng.uniform(0.5, 1.5, v.shape) for name, v in module.state_dict().items()}
    for name in state:
        if not name.endswith("running_var"):
            state[name] *= rng.choice([-1, 1], state[name].shape)
    module.load_state_dict(state)
    return module


LAYERS = {
    "a convolution with bias": lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1),
    "a convolution without": lambda: nn.Conv2d(2, 3, (1, 2), (2, 1), (0, 1), bias=False),
    "batch norm": lambda: nn.BatchNorm2d(2),
    "a linear layer": lambda: nn.Linear(2, 3),
    "a linear layer without bias": lambda: nn.Linear(2, 3, bias=False),
    "ReLU": nn.ReLU,
    "dropout": lambda: nn.Dropout(0.3),
    "max pooling": lambda: nn.MaxPool2d(3, 2, 1),
    "average pooling": lambda: nn.AvgPool2d(2),
    "the global average": nn.GlobalAvgPool2d,
    "flatten": nn.Flatten,
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
class TestGradients:
    @pytest.mark.parametrize("layer", LAYERS)
    @pytest.mark.parametrize("shape", [(2, 5, 4, 2), (1, 4, 5, 2)], ids=str)
    def test_of_a_layer_are_the_numerical_ones(self, layer, shape, training):
        module = randomise(LAYERS[layer]().double().train(training))
        assert gradcheck_module(module, normal(*shape))

    @pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
    @pytest.mark.parametrize(("channels", "stride"), [(2, 1), (4, 2)])
    def test_of_a_whole_block_are_the_numerical_ones(self, shortcut, channels, stride, training):
        block = randomise(BasicBlock(2, channels, stride, shortcut).double().train(training))
        assert gradcheck_module(block, normal(2, 5, 5, 2))


def test_a_layer_used_twice_receives_the_gradient_of_both_uses():
    layer = nn.Linear(3, 3).double()
    assert gradcheck_module(nn.Sequential(layer, layer), normal(2, 3))
