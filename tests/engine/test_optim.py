"""SGD is PyTorch's to the last digits; schedules and clipping do what they say at every edge."""

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
        mine = optim.SGD(ours, lr=0.1, weight_decay=0.3, decay_norm_bias=False)
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
        mine = optim.SGD(ours, lr=0.1, weight_decay=0.3)
        its = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, weight_decay=0.3)
        rng = np.random.default_rng(1)
        for step in range(5):
            set_gradients(torch, ours, theirs, rng)
            ours[step % 2].grad = theirs[step % 2].grad = None
            mine.step()
            its.step()
        assert_close(ours, theirs)

    def test_a_step_writes_into_the_parameters_and_not_into_the_gradients(self):
        ours = parameters()
        arrays = [parameter.data for parameter in ours]
        for parameter in ours:
            parameter.grad = np.ones(parameter.shape)
        optim.SGD(ours, lr=0.1, weight_decay=0.5, nesterov=True).step()
        assert all(a is p.data for a, p in zip(arrays, ours, strict=True))
        assert all((parameter.grad == 1).all() for parameter in ours)

    def test_the_defaults_are_the_papers(self):
        sgd = optim.SGD(parameters(), lr=0.1)
        assert sgd.momentum == 0.9 and set(sgd.weight_decays) == {1e-4} and not sgd.nesterov

    def test_it_takes_a_module_a_list_or_a_generator(self):
        net = nn.Linear(2, 3)
        for given in (net, net.parameters(), (p for p in net.parameters())):
            assert optim.SGD(given, lr=0.1).params == net.parameters()

    def test_zero_grad_forgets_all_gradients(self):
        x = Tensor([1.0], requires_grad=True)
        (x * 2).backward()
        optim.SGD([x], lr=0.1).zero_grad()
        assert x.grad is None

    @pytest.mark.parametrize(
        ("params", "settings", "sentence"),
        [
            ([], {}, "there are no parameters"),
            (nn.ReLU(), {}, "there are no parameters"),
            (None, {"lr": -0.1}, "lr must not be negative, but is -0.1"),
            (None, {"lr": float("nan")}, "lr must not be negative, but is nan"),
            (None, {"momentum": -1}, "momentum must not be negative"),
            (None, {"weight_decay": -1e-4}, "weight_decay must not be negative"),
            (None, {"momentum": 0, "nesterov": True}, "nesterov needs a momentum above 0"),
        ],
    )
    def test_a_wrong_setting_is_answered_with_a_sentence(self, params, settings, sentence):
        with pytest.raises(ValueError, match=f"SGD: {sentence}"):
            optim.SGD(parameters() if params is None else params, **{"lr": 0.1} | settings)

    def test_a_parameter_in_the_place_of_a_list_is_refused(self):
        """Its rows would be taken for the parameters, and nothing would ever be learned."""
        with pytest.raises(TypeError, match="SGD: .*list"):
            optim.SGD(nn.Parameter(np.ones((3, 2))), lr=0.1)


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
