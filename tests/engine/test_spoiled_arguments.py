"""Spoiled arguments, in short: see `benchmarks/reliability/arguments.py`."""

import pytest

import minires as mr
from minires import functional as F
from minires import nn
from minires.benchmarks.reliability import arguments, habits


@pytest.mark.parametrize("kind", ["calls", "command lines"])
def test_a_spoiled_call_ends_in_a_result_or_a_sentence(kind):
    with mr.use("numpy"):
        found = arguments.work(kind, seed=11, first=0, count=400 if kind == "calls" else 120)
    assert not found["faults"], "\n".join(found["faults"])


def test_the_injector_sees_every_kind_of_fault(monkeypatch):
    def planted(line, **names):
        return arguments.call(line, habits.names() | names)[1]

    def inside(x):
        return x.nothing_such

    assert planted("x + 1") == ""
    monkeypatch.setattr(mr.Tensor, "relu", lambda x: x.data.nothing_such)
    monkeypatch.setattr(arguments, "OWN", (__file__,))
    assert "AttributeError" in planted("x.relu()")
    assert "has changed" in planted("x.data.fill(0)")


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: x["a"], IndexError, "an index must be an integer, but is 'a'"),
        (lambda x: x[1.5], IndexError, "an index must be an integer, but is 1.5"),
        (lambda x: x[7], IndexError, r"index 7 is out of bounds .*the tensor is \(3, 4\)"),
        (lambda x: x[x], IndexError, "an array of indices holds integers or bools, not float32"),
        (lambda x: F.relu([[1.0], [1.0, 2.0]]), ValueError, "rows of equal lengths"),
        (lambda x: x.sum(dtype=float("nan")), TypeError, "dtype must be a dtype"),
        (lambda x: F.mse_loss(x, x, [1]), TypeError, "reduction must be 'mean', 'sum' or 'none'"),
        (lambda x: x.div(2, rounding_mode="up"), ValueError, "None, 'floor' or 'trunc'"),
        (lambda x: mr.arange(0, 1, 0), ValueError, "never comes to an end"),
        (lambda x: mr.full((2, 2), x), ValueError, "the value is one number"),
        (lambda x: mr.zeros(-1), ValueError, "no tensor has the shape"),
        (lambda x: x @ 3, ValueError, "a single number is no matrix"),
        (lambda x: -(x > 0), TypeError, "bools have no sign"),
        (lambda x: nn.ModuleDict([1]), TypeError, "must come by name"),
        (lambda x: nn.ModuleList(3), TypeError, "parts must be a list"),
        (lambda x: nn.Linear(2, 2).apply(3), TypeError, "apply: a function is needed"),
        (lambda x: mr.optim.SGD(3, lr=1), TypeError, "params must be a list"),
    ],
)
def test_a_kind_of_mistake_that_once_came_from_inside(call, kind, message):
    with pytest.raises(kind, match=message):
        call(mr.ones(3, 4))
