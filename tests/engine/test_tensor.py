"""What a Tensor is: its dtype, its values, and the sentences it answers mistakes with."""

import operator

import numpy as np
import pytest

import minires as mr
from minires import Tensor, no_grad, optim
from minires import functional as F

FLOATS = [np.float32, np.float64]


def ones(*shape, dtype=np.float32, requires_grad=False) -> Tensor:
    return Tensor(np.ones(shape, dtype), requires_grad)


class TestDtypes:
    @pytest.mark.parametrize(
        ("data", "dtype"),
        [
            (1.5, np.float32),
            ([1.0, 2.0], np.float32),
            ([[1, 2.5]], np.float32),
            ([1, 2], np.int64),
            (True, np.bool_),
            (np.float64(1.5), np.float64),
            (np.array([1.0]), np.float64),
            (np.array([1], np.float32), np.float32),
            (np.array([1], np.uint8), np.uint8),
        ],
        ids=repr,
    )
    def test_python_numbers_become_float32_and_arrays_keep_theirs(self, data, dtype):
        assert Tensor(data).dtype == dtype

    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("number", [2, 2.5, True, np.float64(2.5), np.int64(2), np.array(2.5)])
    @pytest.mark.parametrize("op", ["add", "sub", "mul", "truediv", "pow"])
    def test_a_bare_number_does_not_change_the_dtype(self, op, number, dtype):
        x, compute = ones(3, dtype=dtype), getattr(operator, op)
        assert compute(x, number).dtype == compute(number, x).dtype == dtype

    @pytest.mark.parametrize("number", [0.1, 1 / 3, 1e300, 16777217])
    def test_a_bare_number_has_full_precision_beside_float64(self, number):
        assert (ones(1, dtype=np.float64) * number).item() == number

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_integers_become_the_floating_dtype_beside_them(self, dtype):
        integers = Tensor([1, 2, 3])
        assert (integers * ones(3, dtype=dtype)).dtype == dtype
        assert (ones(3, dtype=dtype) - integers).dtype == dtype

    def test_integers_stay_integers_until_a_fraction_appears(self):
        x = Tensor([1, 2, 3])
        assert (x + 1).dtype == (x * x).dtype == x.sum().dtype == np.int64
        assert (x * 0.5).dtype == (x / 2).dtype == x.mean().dtype == x.exp().dtype == np.float32

    @pytest.mark.parametrize(
        "method", ["exp", "log", "tanh", "sigmoid", "sqrt", "abs", "mean", "max"]
    )
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_functions_and_their_gradients_keep_the_dtype(self, method, dtype):
        x = ones(4, dtype=dtype, requires_grad=True)
        y = getattr(x, method)()
        y.backward(np.ones(y.shape))
        assert y.dtype == x.grad.dtype == dtype

    @pytest.mark.parametrize("op", ["add", "sub", "mul", "truediv"])
    def test_each_gradient_has_the_dtype_of_its_input(self, op):
        a = ones(3, requires_grad=True)
        b = ones(3, dtype=np.float64, requires_grad=True)
        getattr(operator, op)(a, b).backward(np.ones(3))
        assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)

    @pytest.mark.parametrize("op", ["add", "sub", "mul", "truediv", "pow", "matmul"])
    @pytest.mark.parametrize("left", [np.full(3, 2.0, np.float32), [2.0, 2.0, 2.0]], ids=str)
    def test_an_array_on_the_left_meets_the_tensors_operator(self, op, left):
        result = getattr(operator, op)(left, ones(3))
        expected = getattr(operator, op)(np.asarray(left, np.float32), np.ones(3, np.float32))
        assert type(result) is Tensor
        np.testing.assert_array_equal(result.data, expected)


class TestValues:
    def test_an_array_is_held_not_copied_but_tensor_copies(self):
        array = np.ones(2, np.float32)
        assert Tensor(array).data is array and Tensor(array).numpy() is array
        assert not np.shares_memory(mr.tensor(array).data, array)

    def test_a_tensor_knows_its_shape(self):
        x = ones(2, 3, 4)
        assert (x.shape, x.ndim, x.size, len(x)) == ((2, 3, 4), 3, 24, 2)

    def test_iteration_gives_differentiable_rows(self):
        x = ones(2, 3, requires_grad=True)
        first, second = x
        (first * 2 + second * 3).backward(np.float32([1, 2, 3]))
        np.testing.assert_array_equal(x.grad, [[2, 4, 6], [3, 6, 9]])

    @pytest.mark.parametrize("data", [2.5, [2.5], [[2.5]]], ids=str)
    def test_item_and_float_give_the_python_number(self, data):
        assert type(Tensor(data).item()) is float and Tensor(data).item() == 2.5
        assert float(Tensor(data)) == 2.5
        assert type(Tensor([7]).item()) is int

    def test_repr_shows_values_dtype_and_origin(self):
        x = Tensor([1.0, 2.0], requires_grad=True)
        assert repr(x) == "Tensor([1., 2.], float32, requires_grad=True)"
        assert repr(x * 2) == "Tensor([2., 4.], float32, made by mul)"
        assert repr(Tensor(3)) == "Tensor(3, int64)"
        assert len(repr(ones(1000, 1000))) < 500


WRONG = {
    "shapes that do not broadcast": (
        lambda: ones(2, 3) + ones(4),
        ValueError,
        r"add: shapes \(2, 3\) and \(4,\) do not broadcast: from the right",
    ),
    "the same below": (lambda: ones(3, 2) / ones(3), ValueError, r"div: shapes .*do not broadcast"),
    "an axis too many": (
        lambda: ones(2, 3).sum(2),
        ValueError,
        r"sum: axis 2 is out of range for a tensor with 2 axes",
    ),
    "an axis too few": (lambda: ones(2).max(-2), ValueError, "axis -2 is out of range"),
    "an axis twice": (
        lambda: ones(2, 3).mean((1, -1)),
        ValueError,
        r"\(1, -1\) names an axis twice",
    ),
    "matmul lengths": (
        lambda: ones(2, 3) @ ones(2, 3),
        ValueError,
        r"matmul: \(2, 3\) @ \(2, 3\): the last axis of the first operand must be as long as",
    ),
    "matmul batches": (lambda: ones(2, 3, 4) @ ones(3, 4, 5), ValueError, "must broadcast"),
    "matmul vectors": (lambda: ones(3) @ ones(4), ValueError, r"matmul: \(3,\) @ \(4,\)"),
    "matmul numbers": (lambda: ones(2, 2) @ 3.0, ValueError, r"matmul: \(2, 2\) @ \(\)"),
    "matmul dtypes": (
        lambda: ones(2, 2) @ ones(2, 2, dtype=np.float64),
        TypeError,
        "matmul: the operands are float32 and float64; convert one of them",
    ),
    "reshape sizes": (
        lambda: ones(2, 3).reshape(4),
        ValueError,
        r"reshape: the 6 elements of \(2, 3\) do not fit into \(4,\)",
    ),
    "transpose twice": (lambda: ones(2, 3).transpose((0, 0)), ValueError, "names an axis twice"),
    "transpose too few": (lambda: ones(2, 3).transpose(0), ValueError, "each of the 2 axes"),
    "transpose too far": (lambda: ones(2, 3).transpose(0, 3), ValueError, "out of range"),
    "an index too far": (lambda: ones(2)[5], IndexError, "index 5 is out of bounds"),
    "assignment": (lambda: operator.setitem(ones(2), 0, 1), TypeError, "cannot be assigned"),
    "item of many": (
        lambda: ones(2, 3).item(),
        ValueError,
        r"one element, but this one is \(2, 3\)",
    ),
    "a string": (lambda: Tensor("one"), TypeError, "a Tensor holds numbers, but got"),
    "a sum with None": (
        lambda: ones(2) + None,
        TypeError,
        "a Tensor holds numbers, but got object",
    ),
    "complex numbers": (lambda: ones(2) * 1j, TypeError, "holds numbers, but got complex"),
    "an integer leaf": (
        lambda: Tensor([1, 2], requires_grad=True),
        TypeError,
        "only a floating tensor can require a gradient, but this one is int64",
    ),
    "a bool leaf": (lambda: Tensor([True], requires_grad=True), TypeError, "this one is bool"),
    "backward of many": (
        lambda: (ones(2, requires_grad=True) * 2).backward(),
        ValueError,
        r"starts from one number, such as a loss, but this tensor is \(2,\)",
    ),
    "backward of another shape": (
        lambda: (ones(2, requires_grad=True) * 2).backward(np.ones(3)),
        ValueError,
        r"the gradient is \(3,\), the tensor \(2,\)",
    ),
    "backward of a constant": (
        lambda: (ones() * 2).backward(),
        RuntimeError,
        "requires no gradient: none of the tensors it was computed from",
    ),
    "retain_grad of a constant": (lambda: ones().retain_grad(), RuntimeError, "no gradient"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_answered_with_a_sentence(mistake):
    attempt, error, sentence = WRONG[mistake]
    with pytest.raises(error, match=sentence):
        attempt()


class TestLearning:
    """The general operators alone train a model."""

    def test_a_logistic_regression_separates_two_clouds(self):
        rng = np.random.default_rng(0)
        x = np.concatenate([rng.normal(-1, 0.7, (100, 2)), rng.normal(1, 0.7, (100, 2))])
        y = np.repeat([0.0, 1.0], 100)
        w, b = Tensor(np.zeros(2), requires_grad=True), Tensor(np.zeros(()), requires_grad=True)
        optimiser = optim.SGD([w, b], lr=1.0)
        for _ in range(100):
            p = (x @ w + b).sigmoid()
            loss = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert loss.item() < 0.1
        with no_grad():
            assert (((x @ w + b).data > 0) == y).mean() > 0.97

    def test_a_multilayer_perceptron_learns_the_exclusive_or(self):
        rng = np.random.default_rng(1)
        x = Tensor(rng.uniform(-1, 1, (200, 2)).astype(np.float32))
        labels = (x.data.prod(1) > 0).astype(np.int64)
        sizes = [(2, 16), (16,), (16, 2), (2,)]
        parameters = [
            Tensor(rng.normal(0, 0.7, size).astype(np.float32), requires_grad=True)
            for size in sizes
        ]
        w1, b1, w2, b2 = parameters
        optimiser = optim.SGD(parameters, lr=0.5, momentum=0.9)
        for _ in range(150):
            z = (x @ w1 + b1).tanh() @ w2 + b2
            z = z - z.max(axis=1, keepdims=True)
            log_p = z - z.exp().sum(axis=1, keepdims=True).log()
            loss = -log_p[np.arange(200), labels].mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert loss.item() < 0.1
        assert loss.item() == pytest.approx(F.cross_entropy(z, labels).item(), rel=1e-4)
        assert (z.data.argmax(1) == labels).mean() > 0.97
