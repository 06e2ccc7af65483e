"""Every operation over the grid: it computes its definition, and its backward is its gradient."""

import numpy as np
import pytest
from cases import BACKENDS, CASES, CONVOLUTIONS
from operation_checks import (
    check_adam,
    check_backward,
    check_forward,
    check_sgd,
    has_backward,
)

import minires as mr
from minires import Tensor, kernels
from minires import functional as F
from minires.testing import check_arrays_are_kept, check_dtypes, check_needs, named


@pytest.mark.parametrize("case", [case for case in CASES if case.definition], ids=str)
def test_forward_computes_the_definition(case):
    check_forward(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_backward_is_the_gradient(case):
    check_backward(case)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("check", [check_needs, check_arrays_are_kept, check_dtypes])
def test_all_that_is_asked_of_a_students_operation_holds_for_ours(check, name):
    with mr.use(name):
        for case in CASES:
            with named(f"{case} on {name}"):
                check(case)


def test_every_operation_with_a_gradient_is_in_the_grid():
    differentiable = filter(has_backward, kernels.operations())
    assert {case.op for case in CASES} == set(differentiable)


@pytest.mark.parametrize("blocks", [1, 1 << 12])
def test_convolution_does_not_depend_on_its_blocking(monkeypatch, blocks):
    from minires.kernels.conv2d import reference

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 9, 8, 3)), rng.standard_normal((3, 3, 3, 4))
    dy = rng.standard_normal((5, 5, 4, 4))
    y, saved = reference.forward(x, w, (2, 2), (1, 1))
    whole = (y, *reference.backward(dy, saved))
    monkeypatch.setattr(reference, "BLOCK_BYTES", blocks)  # one image, or a few, at a time
    y, saved = reference.forward(x, w, (2, 2), (1, 1))
    for a, b in zip(whole, (y, *reference.backward(dy, saved)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(("x", "kernel", "channels", "stride", "padding"), CONVOLUTIONS)
def test_float32_convolution_keeps_its_error_bound(x, kernel, channels, stride, padding):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(x).astype(np.float32)
    w = rng.standard_normal((*kernel, x.shape[3], channels)).astype(np.float32)
    y = F.conv2d(x, w, stride, padding).numpy()
    wide = [array.astype(np.float64) for array in (x, w)]
    exact = F.conv2d(*wide, stride, padding).numpy()
    magnitude = F.conv2d(*map(np.abs, wide), stride, padding).numpy()
    terms = w[..., 0].size
    assert y.dtype == np.float32
    assert (np.abs(y - exact) <= terms * np.finfo(np.float32).eps * magnitude).all()


def test_float32_stays_float32_forward_and_backward():
    for case in CASES:
        inputs = [a.astype(np.float32) for a in case.inputs(np.random.default_rng(0))]
        tensors = [Tensor(array, requires_grad=True) for array in inputs]
        y = case.fn(*tensors)
        y.backward(np.ones(y.shape, np.float32))
        dtypes = {y.dtype, *(t.grad.dtype for t in tensors if t.grad is not None)}
        assert dtypes == {np.dtype(np.float32)}, case.name


def test_nan_and_infinity_are_not_swallowed():
    for value in (np.nan, np.inf):
        x = np.zeros((1, 4, 4, 1))
        x[0, 1, 1, 0] = value
        w = np.ones((3, 3, 1, 1))
        for y in (F.conv2d(x, w, padding=1), F.max_pool2d(x, 2), F.avg_pool2d(x, 2), F.relu(x)):
            assert not np.isfinite(y.numpy()).all()


def test_batch_norm_updates_the_running_statistics_like_pytorch():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3, 3, 2))
    mean, var = np.array([0.5, -1.0]), np.array([2.0, 0.1])
    ones = np.ones(2)
    before = mean.copy(), var.copy()
    F.batch_norm(x, ones, ones, mean, var, training=True, momentum=0.3)
    flat = x.reshape(-1, 2)
    np.testing.assert_allclose(mean, 0.7 * before[0] + 0.3 * flat.mean(0))
    np.testing.assert_allclose(var, 0.7 * before[1] + 0.3 * flat.var(0, ddof=1))
    after = mean.copy(), var.copy()
    F.batch_norm(x, ones, ones, mean, var, training=False)
    assert (mean == after[0]).all() and (var == after[1]).all()


def test_cross_entropy_survives_huge_logits():
    loss = F.cross_entropy(np.array([[1e4, -1e4, 0.0]]), np.array([1]))
    assert loss.item() == pytest.approx(2e4)


def test_dropout_keeps_the_expected_value_and_does_nothing_in_evaluation():
    x = Tensor(np.ones(200_000))
    y = F.dropout(x, 0.3, training=True).numpy()
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert F.dropout(x, 0.3, training=False) is x


def test_max_pooling_gives_the_gradient_of_a_tie_to_the_first():
    x = Tensor(np.ones((1, 2, 2, 1)), requires_grad=True)
    F.max_pool2d(x, 2).backward(np.full((1, 1, 1, 1), 3.0))
    assert x.grad.ravel().tolist() == [3, 0, 0, 0]


@pytest.mark.parametrize("mean", [0, 10])
def test_sums_over_many_rows_stay_accurate(mean):
    """131,072 rows, as in batch norm on 128 images of 32 x 32: no error that grows."""
    from minires.kernels.arrays import column_sum

    x = np.random.default_rng(0).normal(mean, 1, (128, 32, 32, 16)).astype(np.float32)
    exact = x.sum(axis=(0, 1, 2), dtype=np.float64)
    magnitude = np.abs(x).sum(axis=(0, 1, 2), dtype=np.float64)
    assert (np.abs(column_sum(x) - exact) <= 1e-6 * magnitude).all()


def test_kernels_get_contiguous_arrays(monkeypatch):
    from minires.kernels.conv2d import reference

    seen = []
    original = reference.forward, reference.backward
    monkeypatch.setattr(
        reference, "forward", lambda x, w, **o: seen.extend((x, w)) or original[0](x, w, **o)
    )
    monkeypatch.setattr(
        reference, "backward", lambda dy, *rest: seen.append(dy) or original[1](dy, *rest)
    )
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((3, 5, 5, 2)).transpose(0, 2, 1, 3), requires_grad=True)
    w = Tensor(rng.standard_normal((4, 2, 3, 3))).transpose(2, 3, 1, 0)
    y = F.conv2d(x, w)
    y.transpose(0, 2, 1, 3).backward(rng.standard_normal((3, 3, 3, 4)))
    assert len(seen) == 3 and all(array.flags.c_contiguous for array in seen)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("name", BACKENDS)
def test_the_sgd_kernel_is_its_definition(name, nesterov):
    with mr.use(name):
        check_sgd(nesterov)


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", BACKENDS)
def test_the_adam_kernel_is_its_definition(name, dtype, decoupled):
    with mr.use(name):
        check_adam(decoupled, dtype)
