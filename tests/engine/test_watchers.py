"""What a watcher sees of forward and backward, and the watcher that stops at the first NaN."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor, models, watchers
from minires import functional as F
from minires.function import Function


@pytest.fixture(autouse=True)
def _reference():
    with mr.use("numpy"):
        yield


def noting(seen: list, mark=""):
    """A watcher that notes name and direction of every computation."""

    def watcher(function, direction, compute, *arrays):
        seen.append(f"{mark}{function.name} {direction}")
        return compute(*arrays)

    return watcher


def test_a_watcher_sees_every_computation_in_its_order():
    x, seen = Tensor([1.0, 2.0], requires_grad=True), []
    with mr.watch(noting(seen)):
        y = (x.exp() * x).sum()
        y.backward()
    forward = ["exp forward", "mul forward", "sum forward"]
    assert seen == [*forward, "sum backward", "mul backward", "exp backward", "exp sum"]
    np.testing.assert_allclose(x.grad, np.exp(x.data) * (1 + x.data), rtol=1e-6)


def test_nothing_passes_by_the_watchers_of_a_network():
    """Every array operation of a training step is one that watchers have seen."""
    model, seen = models.resnet8(), []
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
    forward, backward = Function.forward, Function.backward
    counts = {"forward": 0, "backward": 0}

    def counting(direction, method):
        def counted(function, *arrays):
            counts[direction] += 1
            return method(function, *arrays)

        return counted

    with pytest.MonkeyPatch.context() as patch, mr.watch(noting(seen)):
        patch.setattr(Function, "forward", counting("forward", forward))
        patch.setattr(Function, "backward", counting("backward", backward))
        F.cross_entropy(model(Tensor(x)), np.array([1, 2])).backward()
    for direction, count in counts.items():
        assert 0 < count == sum(entry.endswith(f" {direction}") for entry in seen)


def test_the_last_watcher_is_called_first_and_each_is_gone_at_its_end():
    seen = []
    with mr.watch(noting(seen, "outer ")):
        with mr.watch(noting(seen, "inner ")):
            F.relu(Tensor([1.0]))
        F.relu(Tensor([1.0]))
    F.relu(Tensor([1.0]))
    assert seen == ["inner relu forward", "outer relu forward", "outer relu forward"]


def test_a_watcher_is_gone_after_an_error():
    with pytest.raises(ZeroDivisionError), mr.watch(lambda *_: 1 / 0):
        F.relu(Tensor([1.0]))
    assert not watchers._watchers.get()
    assert F.relu(Tensor([1.0])).item() == 1


def test_what_a_watcher_returns_takes_the_place_of_the_result():
    with mr.watch(lambda function, direction, compute, *arrays: 2 * compute(*arrays)):
        assert F.relu(Tensor([3.0])).item() == 6


def test_detect_anomaly_names_the_operation_that_made_the_first_nan():
    x = Tensor([[1.0, 2.0], [-1.0, 3.0]], requires_grad=True)
    with np.errstate(invalid="ignore"), mr.detect_anomaly():
        with pytest.raises(FloatingPointError, match=r"log forward: element \(1, 0\).*is nan"):
            (x.log() * 2.0).sum()


def test_detect_anomaly_looks_at_backward_too():
    x = Tensor([4.0, 0.0], requires_grad=True)
    y = x.sqrt().sum()
    with np.errstate(divide="ignore"), mr.detect_anomaly():
        with pytest.raises(FloatingPointError, match=r"sqrt backward: element \(1,\).*is inf"):
            y.backward()
    assert x.grad is None


def test_detect_anomaly_does_not_blame_who_was_given_a_nan():
    with mr.detect_anomaly():
        assert np.isnan(F.relu(Tensor([np.nan]) + 1.0).item())
        assert (Tensor([1, 2]) + 1).numpy().tolist() == [2, 3]


def test_detect_anomaly_looks_at_sums_of_gradients():
    x = Tensor(np.float32([0.0]), requires_grad=True)
    huge = np.float32([3e38])
    with np.errstate(over="ignore"), mr.detect_anomaly():
        (x + x).sum().backward()
        assert x.grad.tolist() == [2.0]
        with pytest.raises(FloatingPointError, match=r"mul sum: element \(0,\).*is inf"):
            (x * huge + x * huge).sum().backward()
