"""Relative accuracy over the whole range, where an absolute tolerance would hide a loss."""

import math

import numpy as np
import pytest

from minires import Tensor

X = np.concatenate([-np.geomspace(1e-6, 700, 300), np.geomspace(1e-6, 700, 300)])


def of(name, x):
    """y and dy/dx of a function of minires."""
    x = Tensor(x, requires_grad=True)
    y = getattr(x, name)()
    y.backward(np.ones(y.shape, y.dtype))
    return y.numpy(), x.grad


def sigmoid(v):
    z = math.exp(-abs(v))
    return (1 if v >= 0 else z) / (1 + z)


EXACT = {
    "sigmoid": (sigmoid, lambda v: sigmoid(v) * sigmoid(-v)),
    "tanh": (math.tanh, lambda v: math.exp(-2 * abs(v)) * (2 / (1 + math.exp(-2 * abs(v)))) ** 2),
    "expm1": (math.expm1, math.exp),
    "exp": (math.exp, math.exp),
    "erf": (math.erf, lambda v: 2 / math.sqrt(math.pi) * math.exp(-v * v)),
    "sin": (math.sin, math.cos),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXACT)
def test_every_function_has_relative_accuracy_over_its_whole_range(name, dtype):
    tolerance, tiny = {np.float32: (3e-6, 1e-37), np.float64: (1e-11, 1e-300)}[dtype]
    limit = 80 if dtype == np.float32 else 700
    x = X[np.abs(X) < limit].astype(dtype)
    for result, exact in zip(of(name, x), EXACT[name], strict=True):
        expected = np.array([exact(float(v)) for v in x])
        error = np.abs(result - expected) / np.maximum(np.abs(expected), tiny)
        # e^(-x^2) and e^(-2 |x|) multiply the rounding of their exponent.
        slack = np.maximum(1, np.abs(x) ** 2) if name == "erf" else np.maximum(1, np.abs(x))
        assert (
            error <= tolerance * (slack if dtype == np.float64 else np.maximum(1, slack / 8))
        ).all()


def test_log_of_a_small_sigmoid_is_finite_and_so_is_its_gradient():
    x = Tensor(np.array([-20.0, -80.0], np.float32), requires_grad=True)
    y = -x.sigmoid().log()
    y.sum().backward()
    np.testing.assert_allclose(y.numpy(), [20, 80], rtol=1e-6)
    np.testing.assert_allclose(x.grad, [-1, -1], rtol=1e-6)


@pytest.mark.parametrize(
    ("base", "power", "y", "gradients"),
    [
        (np.inf, 0.0, 1, (0, np.inf)),
        (-np.inf, 0.0, 1, (0, np.nan)),
        (np.nan, 0.0, 1, (0, np.nan)),
        (0.0, 0.0, 1, (0, 0)),
        (0.0, 2.0, 0, (0, 0)),
        (0.0, -1.0, np.inf, (-np.inf, -np.inf)),
        (-2.0, 2.0, 4, (-4, np.nan)),
    ],
)
def test_powers_at_the_edges_are_pytorchs(base, power, y, gradients):
    a, b = (
        Tensor(np.array([base]), requires_grad=True),
        Tensor(np.array([power]), requires_grad=True),
    )
    result = a**b
    result.backward(np.ones(1))
    np.testing.assert_array_equal(result.numpy(), [y])
    np.testing.assert_array_equal([a.grad[0], b.grad[0]], gradients)
