"""gradcheck over shapes: modules are left as they were, variations find what one case hides."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor, backend, models, nn, variations
from minires import functional as F
from minires.function import Function
from minires.gradcheck import GradcheckError, gradcheck


class Cube(Function):
    """x^3, right."""

    def forward(self, x):
        self.saved = (x,)
        return x**3

    def backward(self, dy):
        (x,) = self.saved
        return (3 * x**2 * dy,)


def state_of(module):
    """All that gradcheck must leave alone: arrays, their identity, gradients, modes."""
    arrays = [(p.data, p.grad, p.data.tobytes()) for p in module.parameters()]
    arrays += [(array, None, array.tobytes()) for _, array in module.named_buffers()]
    modes = [part.training for _, part in module.named_modules()]
    return [(id(a), id(g), a.dtype, data) for a, g, data in arrays], modes


def make_net():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
    net(
        Tensor(np.random.default_rng(0).standard_normal((2, 4, 4, 2)).astype(np.float32))
    ).sum().backward()
    return nn.Sequential(net.eval(), nn.Dropout(0.5))


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        (lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 6, 6, 2)),
        (lambda: nn.BatchNorm2d(3), (4, 2, 3, 3)),
        (lambda: nn.Linear(3, 2), [[(4, 3)], [(2, 2, 3)]]),
        (lambda: nn.Dropout(0.3), (4, 5)),
        (make_net, (2, 4, 4, 2)),
        (lambda: models.blocks.BasicBlock(2, 4, 2, "A"), (2, 4, 4, 2)),
    ],
)
def test_layers_pass_and_are_left_as_they_were(name, module, shapes, capsys):
    mr.use(name)
    module = module()
    before, random = state_of(module), backend.generator().bit_generator.state
    assert gradcheck(module, shapes=shapes) is True
    assert state_of(module) == before
    assert backend.generator().bit_generator.state == random
    assert capsys.readouterr() == ("", "")


LAYERS = {
    "AvgPool2d": (nn.AvgPool2d(2), (2, 4, 4, 2)),
    "BatchNorm1d": (nn.BatchNorm1d(3), [[(4, 3)]]),
    "Conv2d": (nn.Conv2d(4, 4, 3, padding=1, groups=2), (2, 4, 4, 4)),
    "ConvTranspose2d": (nn.ConvTranspose2d(2, 3, 3, stride=2), (2, 3, 3, 2)),
    "GroupNorm": (nn.GroupNorm(2, 4), (2, 3, 3, 4)),
    "InstanceNorm2d": (nn.InstanceNorm2d(2, affine=True), (2, 3, 3, 2)),
    "LayerNorm": (nn.LayerNorm(4), (3, 4)),
    "MaxPool2d": (nn.MaxPool2d(2), (2, 4, 4, 2)),
    "PReLU": (nn.PReLU(), (3, 4)),
    "RMSNorm": (nn.RMSNorm(4), (3, 4)),
    "activations": (nn.Sequential(nn.GELU(), nn.SiLU(), nn.Tanh(), nn.Softplus()), (3, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_every_kind_pass(name):
    module, shapes = LAYERS[name]
    before = state_of(module)
    assert gradcheck(module, shapes=shapes)
    assert state_of(module) == before


def test_an_embedding_is_checked_by_its_weight():
    draw = lambda rng, shape: rng.integers(0, 5, shape)  # noqa: E731
    assert gradcheck(nn.Embedding(5, 3), shapes=(2, 4), draw=draw)


def test_a_module_that_fails_is_left_as_it_was():
    class Wrong(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return Doubled()(self.inner(x))

    class Doubled(Function):
        def forward(self, x):
            return x

        def backward(self, dy):
            return (2 * dy,)

    module = Wrong(make_net())
    before, random = state_of(module), backend.generator().bit_generator.state
    with pytest.raises(GradcheckError, match=r"\(2, 4, 4, 2\), training\n.*\n.*\n.*2 times too"):
        gradcheck(module, shapes=(2, 4, 4, 2))
    with pytest.raises(ValueError, match="channels"):
        gradcheck(module, shapes=(2, 4, 4, 5))
    assert state_of(module) == before
    assert backend.generator().bit_generator.state == random


def test_a_module_at_given_inputs_is_checked_in_its_own_mode():
    layer = nn.BatchNorm2d(3).eval()
    before = state_of(layer)
    assert gradcheck(layer, np.random.default_rng(0).standard_normal((1, 1, 1, 3)))
    assert state_of(layer) == before


def test_a_wrong_gradient_of_a_parameter_is_named_with_its_index():
    class Wrong(Function):
        def forward(self, x, w):
            self.saved = (x, w)
            return x @ w

        def backward(self, dy):
            x, w = self.saved
            dw = x.T @ dy
            dw[0, 2] += 1
            return dy @ w.T, dw

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Linear(3, 4)

        def forward(self, x):
            return Wrong()(x, self.part.weight)

    with pytest.raises(GradcheckError, match=r"part.weight, index \(0, 2\) of \(3, 4\)"):
        gradcheck(Layer(), shapes=(5, 3))


def only(condition):
    """x^3, whose backward is right only where a condition on x holds."""

    class Sometimes(Cube):
        def backward(self, dy):
            (dx,) = super().backward(dy)
            return (dx if condition(self.saved[0]) else 2 * dx,)

    return lambda x: Sometimes()(x)


@pytest.mark.parametrize(
    ("condition", "case"),
    [
        (lambda x: len(x) > 1, r"\(1, 4, 2\), a batch of one"),
        (lambda x: x.shape[1] % 2 == 0, r"\(3, 5, 2\), odd sizes"),
    ],
)
def test_a_batch_of_one_and_odd_sizes_are_checked(condition, case):
    with pytest.raises(GradcheckError, match=case):
        gradcheck(only(condition), shapes=(3, 4, 2))
    assert gradcheck(only(lambda x: True), shapes=(3, 4, 2))


def test_evaluation_is_checked():
    class Mode(nn.Module):
        def forward(self, x):
            return only(lambda _: self.training)(x)

    with pytest.raises(GradcheckError, match=r"\(3, 2\), evaluation"):
        gradcheck(Mode(), shapes=(3, 2))


class WithShared(Cube):
    """Keeps its input at the class, where the next call overwrites it."""

    def forward(self, x):
        type(self).shared = x
        return super().forward(x)

    def backward(self, dy):
        return (3 * type(self).shared ** 2 * dy,)


class WithBuffer(Cube):
    """Returns one array for the gradients of all calls."""

    buffer = {}

    def backward(self, dy):
        array = self.buffer.setdefault(dy.shape, np.zeros(dy.shape))
        array[...] = super().backward(dy)[0]
        return (array[...],)


class WithView(Cube):
    """Looks at memory as if it were contiguous."""

    def backward(self, dy):
        (x,) = self.saved
        memory = np.lib.stride_tricks.as_strided(x, x.shape, np.zeros(x.shape).strides)
        return (3 * memory**2 * dy,)


class InPlace(Cube):
    """Writes into dy."""

    def backward(self, dy):
        dy *= 3 * self.saved[0] ** 2
        return (dy,)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (WithShared, "fn is called again before backward: does each call keep its own"),
        (WithBuffer, "used twice in a graph: gradients must add up"),
        (WithView, "views .* stand for inputs and dy"),
        (InPlace, "inplace: backward writes into dy"),
    ],
)
def test_what_one_plain_use_hides_is_found(kind, message):
    x = variations.draw_apart(np.random.default_rng(0), (3, 4))
    assert gradcheck(lambda x: kind()(x), [x])  # the plain call cannot see it
    with pytest.raises(GradcheckError, match=message):
        gradcheck(lambda x: kind()(x), shapes=(3, 4))


def test_a_forward_that_does_not_know_views_is_found():
    class Flat(Cube):
        def forward(self, x):
            self.saved = (x,)
            return np.lib.stride_tricks.as_strided(x, x.shape, np.zeros(x.shape).strides) ** 3

    with pytest.raises(GradcheckError, match="forward gives another result .* for a view"):
        gradcheck(lambda x: Flat()(x), shapes=(3, 4))


def test_a_subclass_of_function_stands_for_its_calls():
    assert gradcheck(Cube, shapes=(3, 4)) and gradcheck(Cube, [np.ones(3)])


def test_functions_with_kinks_and_ties_pass_because_inputs_lie_apart():
    assert gradcheck(F.relu, shapes=(20, 30))
    assert gradcheck(lambda x: F.max_pool2d(x, 2), shapes=(2, 8, 8, 3))
    assert gradcheck(lambda x: x.abs().max(axis=0), shapes=[[(50,)], [(3, 4)]])


def test_drawn_inputs_are_apart_from_each_other_and_from_zero():
    x = variations.draw_apart(np.random.default_rng(0), (40, 50))
    assert np.abs(x).min() >= 0.1 and np.abs(x).max() <= 1.5 and (x < 0).any() and (x > 0).any()
    assert np.diff(np.sort(np.abs(x).ravel())).min() > 1e-4
    assert variations.draw_apart(np.random.default_rng(0), ()).shape == ()


def test_other_inputs_may_be_drawn():
    positive = lambda rng, shape: rng.uniform(0.5, 2, shape)  # noqa: E731
    assert gradcheck(lambda x: x.log(), shapes=(3, 4), draw=positive)
    labels = lambda rng, shape: rng.integers(0, 3, shape)  # noqa: E731
    draw = lambda rng, shape: (labels if len(shape) == 1 else positive)(rng, shape)  # noqa: E731
    assert gradcheck(F.cross_entropy, shapes=[(4, 3), (4,)], draw=draw)


@pytest.mark.parametrize(
    ("shapes", "cases"),
    [
        ((2, 3), [[(2, 3)]]),
        ([2, 3], [[(2, 3)]]),
        ((), [[()]]),
        ([(2, 3), (3,)], [[(2, 3), (3,)]]),
        ([(2, 3)], [[(2, 3)]]),
        ([[(2, 3)], [(1, 3)]], [[(2, 3)], [(1, 3)]]),
        ([[(2, 3), (3,)], [(1, 3), (3,)]], [[(2, 3), (3,)], [(1, 3), (3,)]]),
    ],
)
def test_shapes_are_a_shape_a_list_of_shapes_or_a_list_of_cases(shapes, cases):
    assert variations.parse(shapes) == cases


@pytest.mark.parametrize("shapes", [[], 3, "2,3", [(2, -1)], [(2.0, 3)], [[[(2,)], [(3,)]]], None])
def test_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match="shapes must be a shape|either inputs or shapes"):
        gradcheck(F.relu, shapes=shapes)


def test_what_cannot_be_checked_is_refused_in_words():
    with pytest.raises(TypeError, match="expected a function or a Module, got a int"):
        gradcheck(3, shapes=(2,))
    with pytest.raises(TypeError, match="expected a function or a Module, got the class ReLU"):
        gradcheck(nn.ReLU, shapes=(2,))
    with pytest.raises(GradcheckError, match=r"not finite at \(2, 3\): .*logarithm.*give draw="):
        with np.errstate(invalid="ignore"):
            gradcheck(lambda x: x.log(), shapes=(2, 3))
    with pytest.raises(ValueError, match="either inputs or shapes"):
        gradcheck(F.relu, [np.ones(2)], shapes=(2,))
    with pytest.raises(GradcheckError, match="kink within"):
        gradcheck(F.relu, shapes=(2, 3), draw=lambda rng, shape: np.zeros(shape))


def test_a_variation_that_the_function_refuses_is_listed_with_the_reason():
    rows = variations.check(nn.BatchNorm2d(2), (3, 2), mr.differences.Tolerances())
    left_out = [row for row in rows if row.left_out]
    assert [row.case for row in left_out] == ["(1, 2), a batch of one, training"]
    assert "one value per channel" in left_out[0].left_out
    assert {name for row in rows for name in row.errors} == {"input", "weight", "bias"}
    assert max(error for row in rows for error in row.errors.values()) < 1e-7
