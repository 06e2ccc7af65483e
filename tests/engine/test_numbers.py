"""Numbers that callers give are looked at, and what fails half way changes nothing."""

import copy
import pickle

import numpy as np
import pytest
from cases import BACKENDS

import minires as mr
from minires import Tensor, backend, nn, optim
from minires import functional as F

NO_NUMBERS = [None, "0.1", 1j, [0.1], np.nan, np.inf, -0.5]


def normalised(x=None, mean=None, var=None, training=True, **settings):
    x = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3) if x is None else x
    ones = np.ones(x.shape[-1], x.dtype)
    mean, var = ones * 0 if mean is None else mean, ones * 1 if var is None else var
    x, ones, mean, var = map(backend.asarray, (x, ones, mean, var)) if training is True else (
        x, ones, mean, var
    )  # fmt: skip
    return F.batch_norm(x, ones, ones, mean, var, bool(training), **settings)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("setting", ["momentum", "eps"])
def test_momentum_and_eps_of_batch_norm_are_numbers(name, setting):
    with mr.use(name):
        for value in NO_NUMBERS:
            with pytest.raises(
                (TypeError, ValueError), match=f"batch_norm: {setting} must be a fin"
            ):
                normalised(**{setting: value})
            if value is not None or setting == "eps":
                with pytest.raises(
                    (TypeError, ValueError), match=f"BatchNorm2d: {setting} must be"
                ):
                    nn.BatchNorm2d(3, **{setting: value})


@pytest.mark.parametrize("name", BACKENDS)
def test_momentum_none_averages_over_all_batches(name):
    rng = np.random.default_rng(0)
    batches = rng.standard_normal((5, 4, 3, 3, 16)).astype(np.float32)
    with mr.use(name):
        bn = nn.BatchNorm2d(16, momentum=None)
        for batch in batches:
            bn(Tensor(backend.asarray(batch)))
        mean, var = (backend.to_numpy(a) for a in (bn.running_mean, bn.running_var))
        assert int(bn.state_dict()["num_batches_tracked"]) == 5
        again = nn.BatchNorm2d(16, momentum=None)
        again.load_state_dict(bn.state_dict())
        again(Tensor(backend.asarray(batches[0])))
        assert int(again.num_batches_tracked) == 6
    np.testing.assert_allclose(mean, batches.mean(axis=(0, 1, 2, 3)), atol=1e-6)
    unbiased = [b.reshape(-1, 16).var(axis=0, ddof=1) for b in batches]
    np.testing.assert_allclose(var, np.mean(unbiased, axis=0), rtol=1e-5)


def test_a_block_with_momentum_none_is_not_fused_but_counted():
    with mr.use("numba"):
        block = mr.models.BasicBlock(16, 16, 1, "A")
        block.bn1 = nn.BatchNorm2d(16, momentum=None)
        block(Tensor(np.ones((2, 4, 4, 16), np.float32)))
        assert int(block.bn1.num_batches_tracked) == 1


@pytest.mark.parametrize(
    "wrong", [np.zeros(3, complex), np.zeros(3, bool), np.array(["a"] * 3), np.zeros(3, "M8[s]")],
    ids=["complex", "bool", "text", "time"],
)  # fmt: skip
@pytest.mark.parametrize("which", ["running_mean", "running_var"])
def test_running_statistics_of_a_wrong_kind_are_refused(which, wrong):
    with pytest.raises(TypeError, match=f"batch_norm: {which} must be float32 or float64, but is"):
        normalised(**{which.removeprefix("running_"): wrong}, training=np.True_)


def test_a_read_only_variance_leaves_the_mean_as_it_was():
    mean, var = np.zeros(3, np.float32), np.ones(3, np.float32)
    var.flags.writeable = False
    with pytest.raises(
        ValueError, match="batch_norm: running_var is read-only, but training updates"
    ):
        normalised(mean=mean, var=var, training=np.True_)
    assert (mean == 0).all()
    ones = np.ones(3, np.float32)
    F.batch_norm(np.ones((2, 3), np.float32), ones, ones, mean, var, False)  # evaluation only reads


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("channels", [3, 16])
def test_an_infinity_gives_the_same_statistics_on_every_backend(name, channels):
    x = np.random.default_rng(0).standard_normal((4, 6, 6, channels)).astype(np.float32)
    x[1, 2, 3, 1] = np.inf
    with mr.use(name), np.errstate(invalid="ignore"):
        mean, var = (backend.asarray(np.full(channels, v, np.float32)) for v in (0, 1))
        ones = backend.asarray(np.ones(channels, np.float32))
        y = F.batch_norm(backend.asarray(x), ones, ones, mean, var, True).numpy()
        mean, var = map(backend.to_numpy, (mean, var))
    assert mean[1] == np.inf and np.isnan(var[1]) and np.isnan(y[..., 1]).all()
    others = np.arange(channels) != 1
    assert np.isfinite(mean[others]).all() and np.isfinite(y[..., others]).all()


class TestOptimizers:
    def make(self, **settings):
        p = nn.Parameter(np.ones((2, 3), np.float32))
        p.grad = np.ones((2, 3), np.float32)
        return p, optim.SGD([p], lr=0.1, **settings)

    @pytest.mark.parametrize("value", [-1, np.nan, np.inf, "0.1", None, 1j])
    def test_a_wrong_rate_is_refused_where_it_is_set_and_where_it_is_used(self, value):
        p, sgd = self.make()
        with pytest.raises(
            (TypeError, ValueError), match="SGD: lr must be a finite number, at least"
        ):
            sgd.lr = value
        assert sgd.lr == 0.1
        for name in ("lr", "weight_decay"):
            p, sgd = self.make()
            sgd.groups[0][name] = value
            with pytest.raises(
                (TypeError, ValueError), match=f"SGD: {name} must be a finite number"
            ):
                sgd.step()
            assert (p.data == 1).all()

    @pytest.mark.parametrize(
        "gradient",
        [
            np.ones(3, np.float32),
            np.float32(1),
            np.ones((1, 3), np.float32),
            np.ones((2, 3)),
            np.ones((2, 3), complex),
            [[1.0, 1, 1]] * 2,
        ],
        ids=["a row", "a number", "a broadcast", "float64", "complex", "a list"],
    )
    def test_a_gradient_has_the_shape_and_dtype_of_its_parameter(self, gradient):
        p, sgd = self.make()
        p.grad = gradient
        with pytest.raises(
            ValueError, match=r"SGD: the gradient of params\[0\] must be an array \(2, 3"
        ):
            sgd.step()
        assert (p.data == 1).all()

    def test_a_state_that_fails_half_way_changes_nothing(self):
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        sgd = optim.SGD(model, lr=0.1, momentum=0.9)
        state = {name: array + 1 for name, array in sgd.state().items()}
        state["velocity.3"] = state["velocity.3"].astype(complex)
        with pytest.raises(ValueError, match="SGD: velocity.3 holds complex128 data, not numbers"):
            sgd.load_state(state)
        assert all((array == 0).all() for array in sgd.state().values())


@pytest.mark.parametrize("spoil", ["complex", "shape", "read-only"])
def test_a_state_dict_that_fails_half_way_changes_nothing(spoil):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm2d(2))
    state = {name: array + 1 for name, array in model.state_dict().items()}
    before = model.state_dict()
    if spoil == "complex":
        state["1.running_var"] = state["1.running_var"].astype(complex)
    elif spoil == "shape":
        state["1.running_var"] = np.ones(3, np.float32)
    else:
        model[1].running_var.flags.writeable = False
    with pytest.raises(ValueError, match="load_state_dict of Sequential: 1.running_var "):
        model.load_state_dict(state)
    assert all((before[name] == array).all() for name, array in model.state_dict().items())


@pytest.mark.parametrize("gradient", [np.array([1j]), ["a"], np.ma.masked_array([1.0], [True])])
def test_a_gradient_that_is_no_number_is_refused(gradient):
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match="a Tensor h"):
        (x * 2).backward(gradient)
    assert x.grad is None


class TestSchedules:
    def test_one_step_is_taken_at_the_whole_rate(self):
        from minires.training import Config

        for schedule in ("step", "cosine", "constant"):
            rate = Config(lr=0.1, schedule=schedule).learning_rate(1)
            assert rate(0) == pytest.approx(0.1)

    def test_an_odd_number_of_steps_is_halved_exactly(self):
        from minires.training import Config

        rate = Config(lr=0.1, schedule="step").learning_rate(3)
        assert [rate(i) for i in range(3)] == pytest.approx([0.1, 0.1, 0.01])
        rate = Config(lr=0.1, schedule="step").learning_rate(5)
        assert [rate(i) for i in range(5)] == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.001])

    @pytest.mark.parametrize(
        "make",
        [
            lambda: optim.one_cycle(0.1, 0),
            lambda: optim.one_cycle(0.1, -3),
            lambda: optim.one_cycle(0.1, 10, peak_at=2),
            lambda: optim.one_cycle(-0.1, 10),
            lambda: optim.cosine(0.1, np.nan),
            lambda: optim.cosine("0.1", 10),
            lambda: optim.constant(None),
            lambda: optim.step_decay(0.1, [-1]),
            lambda: optim.step_decay(0.1, [1], gamma=-1),
            lambda: optim.warm_up(optim.constant(0.1), -1, 0.01),
            lambda: optim.warm_up(optim.constant(0.1), 1.5, 0.01),
        ],
    )
    def test_a_wrong_number_is_named(self, make):
        with pytest.raises(
            (TypeError, ValueError), match=r"^\w+: [\w ]+ must be (a finite|an int)"
        ):
            make()


class TestCopies:
    def test_models_and_optimizers_are_copied_and_pickled(self):
        model = mr.models.resnet8()
        model.eval()(Tensor(np.ones((1, 32, 32, 3), np.float32))).sum().backward()
        sgd = optim.SGD(model, lr=0.1, momentum=0.9)
        for clone in (copy.deepcopy((model, sgd)), pickle.loads(pickle.dumps((model, sgd)))):
            other, its = clone
            assert all(p is q for p, q in zip(its.params, other.parameters(), strict=True))
            for p, q in zip(model.parameters(), other.parameters(), strict=True):
                assert p is not q and not np.shares_memory(p.data, q.data)
                np.testing.assert_array_equal(p.data, q.data)
                np.testing.assert_array_equal(p.grad, q.grad)
            its.step()
            assert not np.array_equal(other.parameters()[0].data, model.parameters()[0].data)

    def test_a_leaf_is_copied_and_a_computed_tensor_is_refused(self):
        x = Tensor([1.0, 2.0], requires_grad=True)
        y = copy.deepcopy(x)
        assert y.requires_grad and y is not x and y.numpy().tolist() == [1, 2]
        for take in (copy.deepcopy, pickle.dumps):
            with pytest.raises(
                TypeError, match=r"a tensor that was computed \(by mul\) cannot be copi"
            ):
                take(x * 2)
            assert take((x * 2).detach()) is not None

    def test_a_module_may_hold_its_parent_and_itself(self):
        class Child(nn.Module):
            def __init__(self, parent):
                super().__init__()
                self.parent, self.layer, self.me = parent, nn.Linear(2, 2), self

        class Parent(nn.Module):
            def __init__(self):
                super().__init__()
                self.child = Child(self)

        parent = Parent()
        assert [name for name, _ in parent.named_parameters()] == [
            "child.layer.weight",
            "child.layer.bias",
        ]
        assert len(parent.state_dict()) == 2 and len(optim.SGD(parent, lr=0.1).params) == 2
        parent.eval()
        assert not parent.child.layer.training
        assert "..." in repr(parent) and "Linear" in repr(parent)
        other = copy.deepcopy(parent)
        assert other.child.parent is other
        parent.double()
        parent.load_state_dict(other.state_dict())


@pytest.mark.parametrize("value", [1.5, None, "2", 2.0, np.array([2])], ids=repr)
def test_where_an_integer_belongs_nothing_else_is_taken(value):
    x = Tensor(np.ones((2, 4, 4, 2), np.float32))
    calls = [
        lambda: nn.Conv2d(value, 3, 3),
        lambda: nn.Conv2d(3, value, 3),
        lambda: nn.Conv2d(3, 3, value),
        lambda: nn.Conv2d(3, 3, 3, stride=value),
        lambda: nn.Conv2d(3, 3, 3, padding=value),
        lambda: nn.Linear(value, 3),
        lambda: nn.Linear(3, value),
        lambda: nn.BatchNorm2d(value),
        lambda: nn.MaxPool2d(value),
        lambda: nn.AvgPool2d(2, padding=value),
        lambda: F.conv2d(x, np.ones((3, 3, 2, 1), np.float32), stride=value),
        lambda: F.max_pool2d(x, value),
        lambda: F.avg_pool2d(x, 2, padding=value),
        lambda: F.shortcut(x, value, 4),
        lambda: F.shortcut(x, 1, value),
        lambda: x.flatten(value),
        lambda: x.reshape(value, -1),
        lambda: x.transpose(0, 1, 2, value),
        lambda: x.sum((0, value)),
        lambda: mr.seed(value),
        lambda: mr.zeros(value),
        lambda: x.softmax(value),
        lambda: mr.cat([x, x], value),
        lambda: x.unsqueeze(value),
        lambda: x.split(value),
        lambda: mr.models.CifarResNet(value),
    ]
    for place, call in enumerate(calls):
        with pytest.raises((TypeError, ValueError), match="must be an integer"):
            call()
            pytest.fail(f"call {place} took {value!r}")


@pytest.mark.parametrize("axis", [4, -5, 10**20])
def test_an_axis_out_of_range_is_named(axis):
    x = Tensor(np.ones((2, 4, 4, 2), np.float32))
    for call in (
        lambda: x.sum(axis),
        lambda: x.max((0, axis)),
        lambda: x.flatten(axis),
        lambda: x.transpose(0, 1, 2, axis),
        lambda: x.softmax(axis),
        lambda: x.argmax(axis),
        lambda: mr.cat([x, x], axis),
        lambda: x.split(2, axis),
    ):
        with pytest.raises(
            ValueError, match=rf"axis {axis} is out of range for a tensor with 4 axes"
        ):
            call()
    with pytest.raises(
        ValueError, match="flatten: axis 5 is out of range for a tensor with 2 axes"
    ):
        Tensor(np.ones((2, 3))).flatten(5)
