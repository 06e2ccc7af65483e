"""Optimizers are PyTorch's to the last digits; schedules and clipping do what they say at every
edge."""

import inspect
from math import inf, sqrt

import numpy as np
import pytest

from minires import Tensor, nn, optim

SHAPES = [(3, 3, 2, 4), (4,), (5, 2), ()]
SETTINGS = [
    {"momentum": momentum, "nesterov": nesterov, "weight_decay": decay}
    for momentum in (0.0, 0.5, 0.9)
    for nesterov in (False, True)
    for decay in (0.0, 1e-4, 0.3)
    if momentum or not nesterov
]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="parity with PyTorch needs PyTorch")


def parameters() -> list[nn.Parameter]:
    rng = np.random.default_rng(0)
    return [nn.Parameter(np.asarray(rng.standard_normal(shape))) for shape in SHAPES]


def twins(torch, params):
    return [torch.tensor(parameter.data, requires_grad=True) for parameter in params]


def set_gradients(torch, ours, theirs, rng):
    for mine, its in zip(ours, theirs, strict=True):
        mine.grad = np.asarray(rng.standard_normal(mine.shape))
        its.grad = torch.tensor(mine.grad)


def assert_close(ours, theirs):
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, its.detach().numpy(), rtol=1e-12, atol=1e-12)


class TestSGD:
    @pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
    def test_five_steps_are_pytorchs(self, torch, settings):
        ours = parameters()
        theirs = twins(torch, ours)
        mine = optim.SGD(ours, lr=0.1, **settings)
        its = torch.optim.SGD(theirs, lr=0.1, **settings)
        rng = np.random.default_rng(1)
        for step in range(5):
            mine.lr = its.param_groups[0]["lr"] = 0.1 / (1 + step)
            set_gradients(torch, ours, theirs, rng)
            mine.step()
            its.step()
            assert_close(ours, theirs)

    def test_vectors_are_spared_from_weight_decay_on_request(self, torch):
        ours = parameters()
        theirs = twins(torch, ours)
        mine = optim.SGD(optim.decay_groups(ours, 0.3), lr=0.1, momentum=0.9)
        matrices = [p for p in theirs if p.ndim > 1]
        vectors = [p for p in theirs if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": 0.3}, {"params": vectors}]
        its = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
        rng = np.random.default_rng(1)
        for _ in range(5):
            set_gradients(torch, ours, theirs, rng)
            mine.step()
            its.step()
        assert_close(ours, theirs)

    def test_a_parameter_without_a_gradient_is_left_alone(self, torch):
        ours = parameters()
        theirs = twins(torch, ours)
        mine = optim.SGD(ours, lr=0.1, momentum=0.9, weight_decay=0.3)
        its = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, weight_decay=0.3)
        rng = np.random.default_rng(1)
        for step in range(5):
            set_gradients(torch, ours, theirs, rng)
            ours[step % 2].grad = theirs[step % 2].grad = None
            mine.step()
            its.step()
        assert_close(ours, theirs)

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            ({"momentum": -1}, "momentum must be a finite number, at least 0"),
            ({"nesterov": True}, "nesterov needs a momentum above 0"),
        ],
    )
    def test_a_wrong_setting_is_answered_with_a_sentence(self, settings, sentence):
        with pytest.raises(ValueError, match=f"SGD: {sentence}"):
            optim.SGD(parameters(), lr=0.1, **settings)


METHODS = {
    "sgd": lambda params, **more: optim.SGD(params, **{"lr": 0.1, "momentum": 0.9} | more),
    "adam": optim.Adam,
    "adamw": optim.AdamW,
}


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
class TestEveryOptimizer:
    def test_it_takes_a_module_a_list_or_a_generator(self, make):
        net = nn.Linear(2, 3)
        for given in (net, net.parameters(), (p for p in net.parameters())):
            assert make(given).params == net.parameters()

    def test_a_step_writes_into_the_parameters_and_not_into_the_gradients(self, make):
        ours = parameters()
        arrays = [parameter.data for parameter in ours]
        for parameter in ours:
            parameter.grad = np.ones(parameter.shape)
        make(ours, weight_decay=0.5).step()
        assert all(a is p.data for a, p in zip(arrays, ours, strict=True))
        assert all((parameter.grad == 1).all() for parameter in ours)

    def test_zero_grad_forgets_all_gradients(self, make):
        x = Tensor([1.0], requires_grad=True)
        (x * 2).backward()
        make([x]).zero_grad()
        assert x.grad is None

    def test_a_step_without_any_gradient_changes_nothing(self, make):
        ours = parameters()
        optimizer = make(ours)
        optimizer.step()
        for mine, before in zip(ours, parameters(), strict=True):
            np.testing.assert_array_equal(mine.data, before.data)

    def test_groups_have_their_own_rate_and_decay(self, make, torch):
        def groups(params) -> list[dict]:
            first = {"params": [params[2], params[0]], "lr": 0.3}
            return [first, {"params": params[1:2], "weight_decay": 0.2}, {"params": params[3:]}]

        def their_make(params, **more):
            name = type(mine).__name__
            extra = {"momentum": 0.9} if name == "SGD" else {}
            return getattr(torch.optim, name)(params, **extra | more)

        ours = parameters()
        theirs = twins(torch, ours)
        mine = make(groups(ours), lr=0.1, weight_decay=0.1)
        its = their_make(groups(theirs), lr=0.1, weight_decay=0.1)
        rng = np.random.default_rng(1)
        for step in range(6):
            if step == 3:
                mine.groups[1]["lr"] = its.param_groups[1]["lr"] = 0.02
            set_gradients(torch, ours, theirs, rng)
            mine.step()
            its.step()
        assert_close(ours, theirs)
        with pytest.raises(ValueError, match="different learning rates, 0.3 and 0.02"):
            print(mine.lr)
        mine.lr = 0.5
        assert mine.lr == 0.5 and [group["lr"] for group in mine.groups] == [0.5] * 3

    def test_it_goes_on_from_its_state_to_the_same_bits(self, make):
        def train(optimizer, steps):
            for step in steps:
                rng = np.random.default_rng(step)
                for parameter in optimizer.params:
                    parameter.grad = np.asarray(rng.standard_normal(parameter.shape))
                optimizer.step()

        whole, ours = parameters(), parameters()
        train(make(whole), range(5))
        train(first := make(ours), range(3))
        state, second = first.state(), make(ours)
        second.load_state(state)
        train(second, range(3, 5))
        for one, other in zip(whole, ours, strict=True):
            assert one.data.tobytes() == other.data.tobytes()
        for name, array in first.state().items():  # what was returned were copies
            assert array.tobytes() == state[name].tobytes()

    def test_a_state_that_does_not_fit_is_refused_and_nothing_is_loaded(self, make):
        optimizer = make(parameters())
        state = {name: array + 1 for name, array in optimizer.state().items()}
        first = next(iter(state))
        short = {name: array for name, array in state.items() if name != first}
        with pytest.raises(KeyError, match=f"does not fit this .*: missing {first}; unknown noth"):
            optimizer.load_state(short)
        with pytest.raises(KeyError, match="missing nothing; unknown velocity.9"):
            optimizer.load_state(state | {"velocity.9": np.zeros(1)})
        with pytest.raises(ValueError, match=rf"{first} is \(7,\) in the state but \(3, 3, 2, 4\)"):
            optimizer.load_state(state | {first: np.zeros(7)})
        assert not any(array.any() for array in optimizer.state().values())

    @pytest.mark.parametrize(
        ("params", "settings", "sentence"),
        [
            ([], {}, "there are no parameters"),
            (nn.ReLU(), {}, "there are no parameters"),
            ([{"params": []}], {}, "there are no parameters"),
            (None, {"lr": -0.1}, "lr must be a finite number, at least 0, but is -0.1"),
            (None, {"lr": float("nan")}, "lr must be a finite number, at least 0, but is nan"),
            (None, {"weight_decay": -1e-4}, "weight_decay must be a finite number, at least 0"),
            (2 * [parameters()[0]], {}, "a parameter is listed twice"),
            (
                [{"params": parameters(), "lr": -1}],
                {},
                "lr must be a finite number, at least 0, but is -1",
            ),
            ([{"params": parameters(), "beta": 1}], {}, "a group has params, .* params, beta"),
            ([{"lr": 0.1}], {}, "a group has params, .* but here is one with lr"),
        ],
    )
    def test_a_wrong_setting_is_answered_with_a_sentence(self, make, params, settings, sentence):
        with pytest.raises(ValueError, match=f"(SGD|AdamW?): {sentence}"):
            make(parameters() if params is None else params, **settings)

    def test_a_parameter_in_the_place_of_a_list_is_refused(self, make):
        """Its rows would be taken for the parameters, and nothing would ever be learned."""
        with pytest.raises(TypeError, match="(SGD|AdamW?): .*list"):
            make(nn.Parameter(np.ones((3, 2))))

    def test_what_is_no_parameter_is_refused(self, make):
        net = nn.Linear(2, 3)
        with pytest.raises(TypeError, match=r"params\[0\] must be a Parameter, but is a tuple"):
            make(net.named_parameters())


ADAMS = [
    {"weight_decay": decay, "betas": betas, "eps": eps}
    for decay in (0.0, 0.3)
    for betas in ((0.9, 0.999), (0.0, 0.5), (0.7, 0.9))
    for eps in (1e-8, 0.1)
]


class TestAdam:
    """Adam and AdamW."""

    @pytest.mark.parametrize("name", ["Adam", "AdamW"])
    @pytest.mark.parametrize("settings", ADAMS, ids=lambda s: "-".join(map(str, s.values())))
    def test_fifty_steps_are_pytorchs(self, torch, name, settings):
        self.compare(torch, name, settings, np.float64, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("name", ["Adam", "AdamW"])
    def test_fifty_steps_in_float32_are_pytorchs(self, torch, name):
        self.compare(torch, name, {"weight_decay": 0.1}, np.float32, rtol=1e-5, atol=1e-5)

    @staticmethod
    def compare(torch, name, settings, dtype, **tolerance):
        """With a rate that falls, and gradients of very different sizes."""
        ours = [nn.Parameter(parameter.data.astype(dtype)) for parameter in parameters()]
        theirs = twins(torch, ours)
        mine = getattr(optim, name)(ours, lr=0.01, **settings)
        its = getattr(torch.optim, name)(theirs, lr=0.01, **settings)
        rng = np.random.default_rng(1)
        for step in range(50):
            mine.lr = its.param_groups[0]["lr"] = 0.01 / (1 + 0.1 * step)
            for own, other, scale in zip(ours, theirs, (1, 1e-3, 1e3, 1e-6), strict=True):
                own.grad = np.asarray(scale * rng.standard_normal(own.shape), dtype)
                other.grad = torch.tensor(own.grad)
            mine.step()
            its.step()
            for own, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(own.data, other.detach().numpy(), **tolerance)

    @pytest.mark.parametrize("name", ["Adam", "AdamW"])
    def test_a_parameter_without_a_gradient_is_left_alone_and_does_not_count(self, torch, name):
        ours = parameters()
        theirs = twins(torch, ours)
        mine = getattr(optim, name)(ours, weight_decay=0.3)
        its = getattr(torch.optim, name)(theirs, weight_decay=0.3)
        rng = np.random.default_rng(1)
        for step in range(7):
            set_gradients(torch, ours, theirs, rng)
            ours[step % 2].grad = theirs[step % 2].grad = None
            mine.step()
            its.step()
        assert_close(ours, theirs)
        assert [int(mine.state()[f"step.{i}"]) for i in range(4)] == [3, 4, 7, 7]

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            (
                {"betas": (0.9, 1.0)},
                r"a beta must be a finite number, at least 0 and less than 1, but is 1.0",
            ),
            (
                {"betas": (-0.1, 0.9)},
                "a beta must be a finite number, at least 0 and less than 1, but is -0.1",
            ),
            ({"betas": (0.9,)}, "betas are two numbers"),
            ({"eps": -1e-8}, "eps must be a finite number, at least 0, but is -1e-08"),
        ],
    )
    @pytest.mark.parametrize("make", [optim.Adam, optim.AdamW])
    def test_a_wrong_setting_is_answered_with_a_sentence(self, make, settings, sentence):
        with pytest.raises(ValueError, match=f"{make.__name__}: {sentence}"):
            make(parameters(), **settings)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_defaults_are_pytorchs(torch, name):
    def defaults(of) -> dict:
        parameters = inspect.signature(of).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}

    own = defaults(getattr(optim, name))
    theirs = defaults(getattr(torch.optim, name))
    own.pop("lr", None)  # PyTorch's SGD has one, ours has none
    assert own == {setting: theirs[setting] for setting in own}
    assert optim.Adam(parameters()).lr == optim.AdamW(parameters()).lr == 1e-3


class TestSchedules:
    @pytest.mark.parametrize(
        ("iteration", "lr"),
        [(0, 0.1), (31_999, 0.1), (32_000, 0.01), (47_999, 0.01), (48_000, 0.001), (64_000, 0.001)],
    )
    def test_the_papers_steps_fall_at_32000_and_48000(self, iteration, lr):
        assert optim.step_decay(0.1, [32_000, 48_000])(iteration) == pytest.approx(lr, rel=1e-12)
        assert optim.step_decay(0.1, (48_000, 32_000))(iteration) == pytest.approx(lr, rel=1e-12)

    def test_constant_is_constant(self):
        assert {optim.constant(0.3)(i) for i in (0, 1, 10**6)} == {0.3}

    def test_cosine_falls_from_lr_to_final_and_stays(self):
        schedule = optim.cosine(0.4, 100, final=0.1)
        values = [schedule(i) for i in range(101)]
        assert values[0] == 0.4 and values[50] == pytest.approx(0.25)
        assert values[100] == schedule(101) == schedule(10**6) == pytest.approx(0.1)
        assert all(a > b for a, b in zip(values, values[1:], strict=False))

    def test_one_cycle_climbs_to_lr_then_falls_to_zero(self):
        schedule = optim.one_cycle(0.4, 100, peak_at=0.3, start=0.1)
        values = [schedule(i) for i in range(101)]
        assert values[0] == pytest.approx(0.04) and values[15] == pytest.approx(0.22)
        assert values[30] == pytest.approx(0.4) == max(values)
        assert values[65] == pytest.approx(0.2) and values[100] == pytest.approx(0, abs=1e-12)
        assert values[:31] == sorted(values[:31])
        assert values[30:] == sorted(values[30:], reverse=True)

    def test_one_cycle_may_peak_at_an_end(self):
        assert optim.one_cycle(0.4, 10, peak_at=0.0)(0) == 0.4
        assert optim.one_cycle(0.4, 10, peak_at=1.0, start=0.0)(9) == pytest.approx(0.36)

    def test_warm_up_only_replaces_the_beginning(self):
        schedule = optim.warm_up(optim.step_decay(0.1, [500]), 400, lr=0.01)
        assert [schedule(i) for i in (0, 399)] == [0.01, 0.01]
        assert [schedule(i) for i in (400, 499, 500)] == pytest.approx([0.1, 0.1, 0.01])


class TestClipping:
    @pytest.mark.parametrize("max_norm", [0.0, 0.1, 1.0, 5.0, 100.0, inf])
    def test_the_joint_norm_and_the_gradients_are_pytorchs(self, torch, max_norm):
        ours = parameters()
        theirs = twins(torch, ours)
        set_gradients(torch, ours, theirs, np.random.default_rng(1))
        ours[1].grad = theirs[1].grad = None
        norm = optim.clip_grad_norm(ours, max_norm)
        assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, max_norm).item())
        assert ours[1].grad is None
        for i in (0, 2, 3):  # PyTorch divides by norm + 1e-6
            np.testing.assert_allclose(ours[i].grad, theirs[i].grad.numpy(), rtol=1e-6)

    def test_afterwards_the_norm_is_the_limit(self):
        ours = parameters()
        for parameter in ours:
            parameter.grad = np.ones(parameter.shape)
        before = sqrt(sum(parameter.size for parameter in ours))
        assert optim.clip_grad_norm(ours, 0.5) == pytest.approx(before)
        assert optim.clip_grad_norm(ours, 0.5) == pytest.approx(0.5)

    def test_no_gradients_have_norm_zero(self):
        assert optim.clip_grad_norm(nn.Linear(2, 2), 1.0) == 0
