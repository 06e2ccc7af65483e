"""Long sums of float32 numbers keep their digits, and constants have no deviations."""

import numpy as np
import pytest
from cases import BACKENDS

import minires as mr
from minires import Tensor, backend
from minires import functional as F

MANY = 1_000_000


def tenths(*shape):
    return Tensor(backend.asarray(np.full(shape, 0.1, np.float32)), requires_grad=True)


def ones(*shape):
    return backend.asarray(np.ones(shape, np.float32))


@pytest.mark.parametrize("name", BACKENDS)
def test_long_sums_over_leading_axes_are_exact_to_float32(name):
    tenth = float(np.float32(0.1))
    with mr.use(name):
        x = tenths(MANY, 2)
        results = [
            (x.sum(0), tenth * MANY),
            (x.mean(0), tenth),
            (x.reshape(1000, 1000, 2).sum((0, 1)), tenth * MANY),
            (x.sum(), 2 * tenth * MANY),
            (F.global_avg_pool2d(tenths(1, 1000, 1000, 2)), tenth),
            (x.cumsum(0)[-1], tenth * MANY),
            (mr.einsum("ij->j", x), tenth * MANY),
            (F.avg_pool2d(tenths(1, 1000, 1000, 2), 1000), tenth),
        ]
        for y, exact in results:
            np.testing.assert_allclose(y.numpy(), exact, rtol=1e-6)


@pytest.mark.parametrize("name", BACKENDS)
def test_gradients_of_small_operands_are_long_sums_and_exact(name):
    exact = float(np.float32(0.1)) * MANY
    dy = np.full((MANY, 2), 0.1, np.float32)
    with mr.use(name):
        for shape in ((2,), (1, 2), (1, 1, 1, 2), ()):
            whole = dy.reshape((MANY, 1, 1, 2) if len(shape) == 4 else (MANY, 2))
            for combine in (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b):
                small = Tensor(ones(*shape), requires_grad=True)
                y = combine(Tensor(ones(*whole.shape)), small)
                y.backward(backend.asarray(whole))
                gradient = np.abs(backend.to_numpy(small.grad))
                np.testing.assert_allclose(gradient, exact * (1 if shape else 2), rtol=1e-6)
        bias = Tensor(ones(2), requires_grad=True)
        F.linear(ones(MANY, 1), ones(1, 2), bias).backward(backend.asarray(dy))
        np.testing.assert_allclose(backend.to_numpy(bias.grad), exact, rtol=1e-6)


@pytest.mark.parametrize("name", BACKENDS)
def test_the_mean_loss_of_many_rows_is_exact(name):
    with mr.use(name):
        loss = F.cross_entropy(ones(400_000, 3), np.zeros(400_000, np.int64))
        assert loss.item() == pytest.approx(np.log(3), rel=1e-6)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("shape", [(64, 16, 16, 3), (64, 16, 16, 16), (7, 5, 3, 32)])
def test_a_constant_channel_is_normalised_to_zero(name, shape):
    with mr.use(name):
        for constant in (1000.1, -1e5, 1e-3, 12345.678):
            x = np.full(shape, constant, np.float32)
            c = shape[-1]
            mean, var = backend.asarray(np.zeros(c, np.float32)), ones(c)
            beta = backend.asarray(np.zeros(c, np.float32))
            y = F.batch_norm(backend.asarray(x), ones(c), beta, mean, var, True)
            assert np.abs(y.numpy()).max() <= 1e-3
            np.testing.assert_allclose(backend.to_numpy(var), 0.9, atol=1e-5)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("channels", [3, 16])
def test_small_deviations_from_a_large_mean_are_kept(name, channels):
    rng = np.random.default_rng(0)
    x = (1000 + 0.01 * rng.standard_normal((64, 8, 8, channels))).astype(np.float32)
    wide = x.astype(np.float64)
    centred = wide - wide.mean(axis=(0, 1, 2))
    exact = centred / np.sqrt(wide.var(axis=(0, 1, 2)) + 1e-5)
    with mr.use(name):
        mean, var = backend.asarray(np.zeros(channels, np.float32)), ones(channels)
        beta = backend.asarray(np.zeros(channels, np.float32))
        y = F.batch_norm(backend.asarray(x), ones(channels), beta, mean, var, True).numpy()
    assert np.abs(y - exact).max() <= 0.005  # PyTorch: 0.004 to 0.012


@pytest.mark.parametrize("name", BACKENDS)
def test_a_relu_lets_the_gradient_pass_at_a_nan(name):
    x = np.array([[-1.0, 0.0, 2.0, np.nan] * 4] * 2, np.float32)
    expected = np.array([[0, 0, 1, 1] * 4] * 2)
    with mr.use(name):
        t = Tensor(backend.asarray(x), requires_grad=True)
        F.relu(t).backward(ones(2, 16))
        np.testing.assert_array_equal(backend.to_numpy(t.grad), expected)
        for residual in (None, backend.asarray(np.zeros((2, 16), np.float32))):
            t = Tensor(backend.asarray(x), requires_grad=True)
            statistics = [backend.asarray(np.full(16, v, np.float32)) for v in (0, 1)]
            zeros = backend.asarray(np.zeros(16, np.float32))
            y = F.batch_norm(
                t, ones(16), zeros, *statistics, False, eps=0.0, residual=residual, relu=True
            )
            y.backward(ones(2, 16))
            np.testing.assert_array_equal(backend.to_numpy(t.grad), expected)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_window_of_minus_infinity_at_the_border_keeps_its_gradient_in_the_image(name):
    x = np.full((1, 4, 4, 1), -np.inf, np.float32)
    with mr.use(name):
        t = Tensor(backend.asarray(x), requires_grad=True)
        y = F.max_pool2d(t, 3, 2, 1)
        y.backward(ones(*y.shape))
        gradient = backend.to_numpy(t.grad)
        assert gradient.sum() == 4 and (y.numpy() == -np.inf).all()
        t = Tensor(backend.asarray(np.full((1, 5, 5, 1), -np.inf, np.float32)), requires_grad=True)
        y = F.max_pool2d(t, 3, 1, 1)
        y.backward(ones(*y.shape))
        assert backend.to_numpy(t.grad).sum() == 25


@pytest.mark.parametrize("name", BACKENDS)
def test_the_maximum_of_a_window_with_a_nan_is_nan(name):
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    x[0, 0, 0, 0] = np.nan
    with mr.use(name):
        t = Tensor(backend.asarray(x), requires_grad=True)
        y = F.max_pool2d(t, 2)
        y.backward(ones(*y.shape))
        assert np.isnan(y.numpy()).sum() == 1 and np.isnan(y.numpy()[0, 0, 0, 0])
        assert backend.to_numpy(t.grad)[0, 0, 0, 0] == 1 and backend.to_numpy(t.grad).sum() == 4


def test_the_gradient_of_a_maximum_that_is_nan_goes_to_the_nan():
    x = Tensor(np.array([[1.0, np.nan, 2.0], [1.0, 3.0, 3.0]]), requires_grad=True)
    x.max(1).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [[0, 1, 0], [0, 0.5, 0.5]])
