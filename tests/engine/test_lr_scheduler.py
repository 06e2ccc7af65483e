"""Schedulers set the rates that PyTorch's set."""

import warnings

import numpy as np
import pytest

from minires import nn, optim
from minires.optim import lr_scheduler as ours

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[parity]')")
theirs = torch.optim.lr_scheduler

MADE = {
    "StepLR": {"step_size": 3, "gamma": 0.5},
    "MultiStepLR": {"milestones": [2, 5, 5], "gamma": 0.1},
    "ExponentialLR": {"gamma": 0.9},
    "ConstantLR": {"factor": 0.5, "total_iters": 3},
    "LinearLR": {"start_factor": 0.2, "end_factor": 0.8, "total_iters": 4},
    "CosineAnnealingLR": {"T_max": 5, "eta_min": 0.01},
    "LambdaLR": {"lr_lambda": lambda epoch: 0.7**epoch},
}


def optimizers():
    mine = optim.SGD([{"params": nn.Linear(2, 2)}, {"params": nn.Linear(2, 2), "lr": 0.3}], lr=0.1)
    weights = [torch.zeros(2, requires_grad=True) for _ in range(2)]
    other = torch.optim.SGD([{"params": weights[0]}, {"params": weights[1], "lr": 0.3}], lr=0.1)
    return mine, other


@pytest.mark.parametrize("name", MADE)
def test_rates_are_pytorchs(name):
    mine, other = optimizers()
    scheduler, expected = (
        getattr(ours, name)(mine, **MADE[name]),
        getattr(theirs, name)(other, **MADE[name]),
    )
    for _ in range(12):
        np.testing.assert_allclose(scheduler.get_last_lr(), expected.get_last_lr(), rtol=1e-9)
        assert [group["lr"] for group in mine.param_groups] == scheduler.get_last_lr()
        scheduler.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected.step()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_plateau_lowers_the_rate_as_in_pytorch(mode):
    mine, other = optimizers()
    how = {"mode": mode, "factor": 0.5, "patience": 2}
    scheduler = ours.ReduceLROnPlateau(mine, **how)
    expected = theirs.ReduceLROnPlateau(other, **how)
    for metric in (1.0, 0.9, 0.9, 0.91, 0.9, 1.2, 1.3, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 2.0):
        scheduler.step(metric)
        expected.step(metric)
        rates = [group["lr"] for group in other.param_groups]
        np.testing.assert_allclose(scheduler.get_last_lr(), rates, rtol=1e-12)


def test_a_scheduler_goes_on_from_its_state():
    mine, _ = optimizers()
    scheduler = ours.StepLR(mine, 2)
    for _ in range(5):
        scheduler.step()
    fresh, _ = optimizers()
    again = ours.StepLR(fresh, 2)
    again.load_state_dict(scheduler.state_dict())
    assert again.get_last_lr() == scheduler.get_last_lr() and again.last_epoch == 5
    with pytest.raises(ValueError, match="1 rates for 2 groups"):
        again.load_state_dict({"base_lrs": [0.1], "last_epoch": 0})
    assert again.last_epoch == 5


def test_what_is_no_optimizer_is_told():
    with pytest.raises(TypeError, match="StepLR: the first argument is an optimizer"):
        ours.StepLR(0.1, 3)
    with pytest.raises(ValueError, match="LambdaLR: lr_lambda must be a function, or one for each"):
        ours.LambdaLR(optimizers()[0], [abs])


def test_a_step_without_gradients_is_told_once():
    sgd = optim.SGD(nn.Linear(2, 2), lr=0.1)
    with pytest.warns(UserWarning, match=r"SGD.step\(\) without a gradient changes nothing"):
        sgd.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sgd.step()
