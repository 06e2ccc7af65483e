"""Which dtype comes out, and that no conversion cuts the graph."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor
from minires import functional as F

ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 needs the package ml_dtypes")
HALVES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
OPERATIONS = {
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "sqrt": lambda x: x.sqrt(),
    "abs": lambda x: x.abs(),
    "neg": lambda x: -x,
    "sum": lambda x: x.sum(0),
    "mean": lambda x: x.mean(0),
    "max": lambda x: x.max(0),
    "times a number": lambda x: x * 2.0,
    "number minus it": lambda x: 1.0 - x,
    "number over it": lambda x: 1.0 / x,
    "squared": lambda x: x**2,
    "power of a number": lambda x: 2.0**x,
    "itself": lambda x: x * x + x / x - x,
    "an integer array": lambda x: x * np.array([1, 2, 3]),
    "index": lambda x: x[[2, 0, 2]],
    "matmul": lambda x: x @ x,
    "flatten": lambda x: x.reshape(3, 1).flatten(),
    "transpose": lambda x: x.reshape(1, 3).T,
    "cat": lambda x: mr.cat([x, x]),
    "where": lambda x: mr.where(np.array([True, False, True]), x, 0.0),
    "gelu": F.gelu,
}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_half_tensor_keeps_its_gradient_and_its_dtype(name, dtype, backend):
    values = np.array([0.5, 1.25, 2.0])
    with mr.use(backend):
        x = Tensor(values.astype(dtype), requires_grad=True)
        y = OPERATIONS[name](x)
        assert y.dtype == dtype and y.requires_grad
        y.backward(np.ones(y.shape, dtype))
        exact = Tensor(values, requires_grad=True)
        OPERATIONS[name](exact).backward(np.ones(y.shape))
    assert x.grad.dtype == dtype
    error = np.abs(x.grad.astype(np.float64) - exact.grad)
    assert (
        error <= 2 * float(ml_dtypes.finfo(dtype).eps) * np.maximum(np.abs(exact.grad), 1)
    ).all()


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("combine", [lambda a, b: a * b, lambda a, b: b - a, lambda a, b: a / b])
def test_half_beside_float32_is_float32_and_both_have_gradients(dtype, combine):
    x = Tensor(np.array([1.0, 2, 4]).astype(dtype), requires_grad=True)
    w = Tensor(np.array([0.5, 1, 2], np.float32), requires_grad=True)
    y = combine(x, w)
    y.sum().backward()
    assert y.dtype == np.float32
    assert x.grad.dtype == dtype and np.abs(x.grad.astype(float)).min() > 0
    assert w.grad.dtype == np.float32 and np.abs(w.grad).min() > 0


def test_a_penalty_on_bfloat16_features_reaches_the_weights():
    x = Tensor(np.ones((2, 3), ml_dtypes.bfloat16), requires_grad=True)
    (1000 * (x * x).mean()).backward()
    np.testing.assert_allclose(x.grad.astype(float), 2000 / 6, rtol=0.01)


def test_a_long_half_sum_is_computed_in_float32():
    assert Tensor(np.ones(3000, np.float16) * np.float16(0.1)).sum().item() == pytest.approx(
        300, rel=1e-3
    )


def test_integers_stay_integers():
    nine = Tensor(np.array([9]))
    for power in (nine**9, nine**nine, 9**nine):
        assert power.dtype == np.int64 and power.item() == 9**9
    assert (Tensor(np.array([2], np.int8)) ** 3).dtype == np.int8
    assert (nine * 2 - 3).dtype == np.int64
    assert (nine / 2).dtype == np.float32 and (nine**0.5).item() == 3.0
    with pytest.raises(ValueError, match="pow: an integer to a negative power is no integer"):
        nine**-1


def test_sums_of_short_integers_are_int64_and_can_be_negative():
    x = Tensor(np.full(3, 200, np.uint8))
    assert x.sum().dtype == np.int64 and x.sum().item() == 600
    assert (x.sum() - 700).item() == -100
    assert (x.sum() - Tensor(np.array(700))).dtype == np.int64
    assert Tensor(np.array([True, True])).sum().item() == 2


def test_a_bare_integer_takes_the_dtype_of_a_short_integer_or_is_refused():
    x = Tensor(np.array([1, 2], np.uint8))
    assert (x + 3).dtype == np.uint8
    with pytest.raises(ValueError, match="300 does not fit into uint8, the dtype of the other"):
        x + 300


@pytest.mark.parametrize(
    "number", [np.float64(0.1), np.array(0.1), Tensor(np.array(0.1)), 0.1], ids=repr
)
def test_what_has_no_axes_does_not_promote_float32(number):
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    for y in (x * number, number * x, x + number, x / number, mr.where(x.data > 0, x, number)):
        assert y.dtype == np.float32 and y.requires_grad
    assert (Tensor(np.array([1, 2])) * np.array(0.5)).dtype == np.float64
    assert (Tensor(np.array(1.0, np.float32)) * Tensor(np.array(1.0))).dtype == np.float64


def test_arrays_with_axes_promote_and_the_gradient_comes_back():
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = x * np.array([1.0, 2, 3])
    y.sum().backward()
    assert y.dtype == np.float64 and x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad, [1, 2, 3])


def test_a_matrix_is_an_array_and_a_mask_is_refused():
    square = np.array([[1.0, 2], [3, 4]])
    matrix = np.asmatrix(square)
    np.testing.assert_array_equal((Tensor(matrix) * Tensor(square)).numpy(), square * square)
    assert type(Tensor(matrix).data) is np.ndarray
    masked = np.ma.masked_array([1.0, 2, 3], [False, True, False])
    for give in (Tensor, lambda m: Tensor([1.0, 1, 1]) + m, lambda m: F.relu(m)):
        with pytest.raises(TypeError, match="a Tensor has no mask, but this masked array hides"):
            give(masked)
    assert type(Tensor(np.ma.masked_array([1.0, 2])).data) is np.ndarray


@pytest.mark.parametrize("data", [[1j], ["a"], [object()]], ids=["complex", "text", "object"])
def test_what_is_no_real_number_is_refused(data):
    with pytest.raises(TypeError, match="a Tensor holds numbers, but got"):
        Tensor(data)


def test_astype_records_and_refuses_to_lose_a_gradient():
    x = Tensor([1.0, 2.0], requires_grad=True)
    (x.astype(np.float64) * np.array([3.0, 4.0])).sum().backward()
    assert x.grad.dtype == np.float32 and x.grad.tolist() == [3, 4]
    with pytest.raises(TypeError, match="cannot become int64"):
        x.astype(np.int64)
    assert x.detach().astype(np.int64).dtype == np.int64
