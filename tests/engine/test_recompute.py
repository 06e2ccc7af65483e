"""Recomputing: the same bits as without it, in less memory, and what it refuses."""

import numpy as np
import pytest
from traces import assert_same_bits, images

import minires as mr
from minires import Tensor, backend, models, nn, no_grad
from minires import functional as F
from minires.function import Function
from minires.gradcheck import gradcheck
from minires.models import BasicBlock
from minires.nn import Module, Parameter, Sequential
from minires.recompute import recomputed


def plain(module, x) -> Tensor:
    return module(x)


def learned(module: Module, y: Tensor, *tensors: Tensor) -> dict:
    """Everything that a backward through y leaves behind, by name."""
    y.backward(images(*y.shape, seed=9))
    found = {"y": y.numpy(), "draws": backend.generator().random(4)} | module.state_dict()
    gradients = {f"x{i}": tensor.grad for i, tensor in enumerate(tensors)}
    gradients |= {f"d{name}": p.grad for name, p in module.named_parameters()}
    return found | {name: g for name, g in gradients.items() if g is not None}


def assert_same_as_plain(make, compute, shape=(3, 6, 6, 4)) -> dict:
    """`compute(call, module, x)` leaves the same bits with call = plain and call = recomputed."""
    found = []
    for call in (plain, recomputed):
        mr.seed(0)
        module, x = make(), Tensor(images(*shape), requires_grad=True)
        found.append(learned(module, compute(call, module, x), x))
    assert_same_bits(*found)
    return found[0]


def blocks() -> Sequential:
    return Sequential(BasicBlock(4, 4, 1, "A"), BasicBlock(4, 8, 2, "B"))


class Times(Module):
    """x w, w used as often as asked for."""

    def __init__(self, uses=1):
        super().__init__()
        self.uses, self.w = uses, Parameter(images(4, 4, seed=1))

    def forward(self, x):
        for _ in range(self.uses):
            x = F.relu(F.linear(x, self.w))
        return x


class Computes(Module):
    """A module of a function and the tensors that are to count as its parameters."""

    def __init__(self, function, *weights):
        super().__init__()
        self.function, self.weights = function, weights

    def parameters(self):
        return list(self.weights)

    def forward(self, x):
        return self.function(x, *self.weights)


# The same bits


def test_networks_for_imagenet_have_them():
    found = []
    for recompute in (False, True):
        mr.seed(0)
        net = models.build("resnet18", 5, recompute=recompute)
        found.append(learned(net, net(Tensor(images(2, 8, 8, 3)))))
    assert_same_bits(*found)


def test_dropout_draws_the_same_numbers_twice_and_the_next_ones_after():
    def make():
        return Sequential(BasicBlock(4, 4, 1, "A"), nn.Dropout(0.3), nn.Conv2d(4, 4, 3))

    def compute(call, module, x):
        y = call(module, x)
        return F.dropout(y, 0.5)  # drawn between the two forwards

    assert_same_as_plain(make, compute)


@pytest.mark.parametrize("training", [True, False])
def test_backward_is_in_the_mode_of_the_forward(training):
    def compute(call, module, x):
        y = call(module.train(training), x)
        module.train(not training)
        return y

    found = assert_same_as_plain(lambda: Sequential(*blocks(), nn.Dropout()), compute)
    assert bool(found["0.bn1.running_mean"].any()) == training


def test_statistics_are_followed_once_even_if_they_overflow():
    def compute(call, module, x):
        with np.errstate(over="ignore", invalid="ignore"):
            return call(module, x * 1e30)

    with np.errstate(all="ignore"):
        found = assert_same_as_plain(lambda: nn.BatchNorm2d(4), compute)
    assert np.isinf(found["running_var"]).all()


def test_every_use_of_a_module_gives_its_gradients():
    def compute(call, module, x):
        return call(module, F.relu(call(module, x)))

    assert_same_as_plain(lambda: BasicBlock(4, 4, 1, "A"), compute)


def test_a_parameter_may_be_used_several_times_inside():
    assert_same_as_plain(lambda: Times(3), lambda call, module, x: call(module, x))


def test_a_parameter_may_be_used_inside_and_outside():
    def compute(call, module, x):
        return F.linear(call(module, x), module.w)

    assert_same_as_plain(Times, compute)


def test_the_input_may_be_used_elsewhere_too():
    def compute(call, module, x):
        x = F.relu(x)
        return call(module, x) + x * 2

    assert_same_as_plain(lambda: BasicBlock(4, 4, 1, "A"), compute)


def test_modules_that_hand_on_their_input_or_a_view_of_it():
    assert_same_as_plain(nn.Identity, lambda call, module, x: call(module, x))
    assert_same_as_plain(nn.Flatten, lambda call, module, x: call(module, x))


def test_recomputed_parts_may_contain_others():
    class Outer(Module):
        def __init__(self):
            super().__init__()
            self.first, self.drop, self.second = blocks(), nn.Dropout(), BasicBlock(8, 8, 1, "A")

        def forward(self, x):
            return self.call(self.second, self.drop(self.call(self.first, x)))

    def compute(call, module, x):
        module.call = call
        return call(module, x)

    assert_same_as_plain(Outer, compute)


def test_a_list_of_modules_is_applied_one_after_the_other():
    found = []
    for call in (lambda parts, x: Sequential(*parts)(x), recomputed):
        mr.seed(0)
        parts = list(blocks())
        found.append(learned(Sequential(*parts), call(parts, Tensor(images(3, 6, 6, 4)))))
    assert_same_bits(*found)


def test_backward_may_run_twice_with_retain_graph():
    def compute(call, module, x):
        y = call(module, x)
        y.backward(images(*y.shape, seed=5), retain_graph=True)
        return y

    assert_same_as_plain(lambda: Sequential(*blocks(), nn.Dropout()), compute)
    y = recomputed(blocks(), Tensor(images(3, 6, 6, 4)))
    y.backward(np.ones(y.shape))
    with pytest.raises(RuntimeError, match="backward a second time through 'recomputed'"):
        y.backward(np.ones(y.shape))


@pytest.mark.skipif(backend.problem("numba") is not None, reason="no numba")
def test_backward_may_run_under_another_backend():
    def compute(call, module, x):
        with mr.use("numba"):
            return call(module, x)

    assert_same_as_plain(lambda: BasicBlock(4, 4, 1, "A"), compute)


def test_backward_may_run_inside_no_grad():
    def compute(call, module, x):
        y = call(module, x)
        with no_grad():
            y.backward(images(*y.shape), retain_graph=True)
            assert not module(x).requires_grad
        return y

    assert_same_as_plain(blocks, compute)


# Which gradients there are


def test_gradients_are_those_of_numerical_differentiation():
    def compute(x, w, gamma, beta):
        running = np.zeros(3), np.ones(3)
        y = F.batch_norm(F.conv2d(x, w, padding=1), gamma, beta, *running, training=True)
        return (y + x).tanh() * x

    def fn(x, *weights):
        return recomputed(Computes(compute, *weights), x)

    rng = np.random.default_rng(0)
    shapes = (2, 4, 5, 3), (3, 3, 3, 3), (3,), (3,)
    assert gradcheck(fn, [rng.standard_normal(shape) for shape in shapes])
    x, *weights = (rng.standard_normal(shape) for shape in shapes)
    assert gradcheck(fn, [Tensor(x), *(Tensor(w, requires_grad=True) for w in weights)])
    assert gradcheck(fn, [Tensor(x, requires_grad=True), *weights])


def test_what_needed_no_gradient_in_the_forward_gets_none():
    def compute(call, module, x):
        frozen = module.parameters()[::2]
        for parameter in frozen:
            parameter.requires_grad = False
        x.requires_grad = False
        y = call(module, x)
        for parameter in module.parameters():
            parameter.requires_grad = not parameter.requires_grad
        y.backward(images(*y.shape), retain_graph=True)
        assert [p for p in module.parameters() if p.grad is None] == frozen and x.grad is None
        assert all(p.requires_grad for p in frozen)
        return y

    assert_same_as_plain(blocks, compute)


def test_what_is_not_used_gets_zeros():
    module, x = Times(uses=0), Tensor(images(3, 4), requires_grad=True)
    y = recomputed(module, x)
    y.backward(np.ones((3, 4)))
    assert x.grad.tolist() == np.ones((3, 4)).tolist()
    assert module.w.grad.tolist() == np.zeros((4, 4)).tolist()


def test_nothing_is_recorded_where_nothing_needs_a_gradient():
    module, x = Times(), Tensor(images(3, 4))
    with no_grad():
        assert recomputed(module, x).grad_fn is None
    module.w.requires_grad = False
    y = recomputed(module, x)
    assert y.grad_fn is None and y.numpy().tobytes() == module(x).numpy().tobytes()


class Failing(Function):
    def forward(self, x):
        return x

    def backward(self, dy):
        raise ArithmeticError("an error on the way")


@pytest.mark.parametrize("inside", [False, True])
def test_an_error_on_the_way_leaves_everything_as_it_was(inside):
    failing = Computes(lambda x: Failing()(x))
    parts = [nn.Dropout(), nn.BatchNorm2d(4), Times(), failing, Times()]
    first, last = Times(), Times()
    segment = Sequential(*(part for part in parts if inside or part is not failing))
    x = Tensor(images(3, 4), requires_grad=True)
    h = first(x)
    y = last(recomputed(segment, h if inside else failing(h)))
    before = segment.state_dict()
    draws = dict(backend.generator().bit_generator.state)
    segment.eval()
    with pytest.raises(ArithmeticError):
        y.backward(np.ones(y.shape))
    for tensor in (x, *(p for part in (first, segment, last) for p in part.parameters())):
        assert tensor.grad is None
    assert not any(part.training for _, part in segment.named_modules())
    assert backend.generator().bit_generator.state == draws
    assert_same_bits(before, segment.state_dict())


# What is refused


def forward_then(change):
    """backward() of a recomputed module after `change(module, x)`."""
    module, x = Times(), Tensor(images(3, 4), requires_grad=True)
    y = recomputed(module, x)
    change(module, x)
    y.backward(np.ones(y.shape))


def test_changes_between_the_forwards_are_refused():
    saved = r"recomputed: an array of shape \({}\) that its backward needs was modified in place"
    with pytest.raises(RuntimeError, match=saved.format("3, 4")):
        forward_then(lambda module, x: x.data.__iadd__(1))
    with pytest.raises(RuntimeError, match=saved.format("4, 4")):
        forward_then(lambda module, x: module.w.data.__iadd__(1))
    with pytest.raises(RuntimeError, match=r"computed anew for backward, Times\(\) gave another"):
        forward_then(lambda module, x: setattr(module.w, "data", module.w.data + 1))


def test_a_module_with_random_numbers_of_its_own_is_refused():
    rng = np.random.default_rng(0)
    module = Sequential(Times(), Computes(lambda x: x * float(rng.random())))
    y = recomputed(module, Tensor(images(3, 4)))
    with pytest.raises(RuntimeError, match=r"Sequential\(Times, Computes\) gave another result"):
        y.backward(np.ones(y.shape))
    assert module[0].w.grad is None


def test_tensors_that_are_no_parameters_are_refused():
    stranger = Tensor(images(4), requires_grad=True)
    y = recomputed(Computes(lambda x: x * stranger), Tensor(images(3, 4), requires_grad=True))
    message = r"tensor of shape \(4,\) that requires a gradient, but is neither its input nor one"
    with pytest.raises(RuntimeError, match=message):
        y.backward(np.ones(y.shape))
    assert stranger.grad is None


def test_what_is_no_module_or_gives_no_tensor_is_refused():
    x = Tensor(images(3, 4), requires_grad=True)
    with pytest.raises(TypeError, match="must be a Module or a list of them, but is a function"):
        recomputed(F.relu, x)
    with pytest.raises(TypeError, match=r"Computes\(\) must return one Tensor.*returned a tuple"):
        recomputed(Computes(lambda x: (x, x)), x)
