"""The operators of a Tensor: NumPy's values, PyTorch's dtypes, gradients that numbers confirm."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from minires import Tensor
from minires.gradcheck import gradcheck

ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
SHAPES = [
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((4,), (3, 4)),
    ((3, 1), (1, 4)),
    ((2, 3, 4), (3, 1)),
    ((2, 1, 3), (4, 1)),
    ((), (2, 3)),
    ((5,), ()),
    ((), ()),
    ((1,), (1, 1)),
]
FUNCTIONS = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sqrt": np.sqrt,
    "abs": np.abs,
    "__neg__": np.negative,
}
RESHAPINGS = {  # the same text for a Tensor and for an array
    "reshape(4, 6)": lambda x: x.reshape(4, 6),
    "reshape((-1, 3))": lambda x: x.reshape((-1, 3)),
    "transpose()": lambda x: x.transpose(),
    "transpose(2, 0, 1)": lambda x: x.transpose(2, 0, 1),
    "transpose((0, -1, 1))": lambda x: x.transpose((0, -1, 1)),
    "T": lambda x: x.T,
}
INDEXINGS = {
    "one integer": lambda x: x[1],
    "all integers": lambda x: x[1, -1, 0],
    "slices with a step": lambda x: x[:, ::2, 1:],
    "None and ...": lambda x: x[..., None, 0],
    "a list with repetitions": lambda x: x[[0, 1, 1, 0, 1]],
    "integer arrays with repetitions": lambda x: x[np.array([0, 0, 1]), np.array([2, 2, 1])],
    "a mask": lambda x: x[np.arange(24).reshape(2, 3, 4) % 3 == 0],
    "nothing": lambda x: x[:0],
}
MATRICES = [
    ((3, 4), (4, 2)),
    ((4,), (4,)),
    ((4,), (4, 2)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4, 2)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (2, 4, 5)),
    ((5, 1, 3, 4), (2, 4, 2)),
]


def positive(shape, seed=0) -> Tensor:
    """Between 0.5 and 2: away from the poles and kinks of every operator here."""
    return Tensor(np.random.default_rng(seed).uniform(0.5, 2, shape), requires_grad=True)


def normal(shape, seed=0) -> Tensor:
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def away_from_zero(shape) -> Tensor:
    signs = np.random.default_rng(1).choice([-1.0, 1.0], shape)
    return Tensor(signs * positive(shape).data, requires_grad=True)


def distinct(shape) -> Tensor:
    """No two equal values, so that a maximum is unique and stays so under a small step."""
    values = np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape)
    return Tensor(values / 7, requires_grad=True)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("symbol", ARITHMETIC)
class TestArithmetic:
    def test_the_values_are_numpys(self, symbol, shapes):
        a, b = positive(shapes[0], 1), positive(shapes[1], 2)
        result = ARITHMETIC[symbol](a, b)
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result.data, ARITHMETIC[symbol](a.data, b.data))

    def test_the_gradients_are_the_numerical_ones(self, symbol, shapes):
        assert gradcheck(ARITHMETIC[symbol], [positive(shapes[0], 1), positive(shapes[1], 2)])


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/"])
@settings(deadline=None, max_examples=40)
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3),
    seed=st.integers(0, 9),
)
def test_the_gradient_of_a_broadcast_operand_is_the_adjoint_of_broadcasting(symbol, shapes, seed):
    """<dc, the change of c along v> = <da, v> for every direction v of an operand."""
    a, b = (positive(shape, seed + i) for i, shape in enumerate(shapes.input_shapes))
    rng = np.random.default_rng(seed)
    v, w = rng.standard_normal(a.shape), rng.standard_normal(b.shape)
    cotangent = rng.standard_normal(shapes.result_shape)
    ARITHMETIC[symbol](a, b).backward(cotangent)
    x, y = a.data, b.data
    along_v = {"+": v + 0 * y, "-": v + 0 * y, "*": v * y, "/": v / y}[symbol]
    along_w = {"+": w + 0 * x, "-": 0 * x - w, "*": x * w, "/": -x / y**2 * w}[symbol]
    assert a.grad.shape == a.shape and b.grad.shape == b.shape
    np.testing.assert_allclose((a.grad * v).sum(), (cotangent * along_v).sum(), atol=1e-11)
    np.testing.assert_allclose((b.grad * w).sum(), (cotangent * along_w).sum(), atol=1e-11)


def test_broadcasting_to_an_empty_shape_gives_a_zero_gradient():
    a = normal((1, 3))
    (a * normal((0, 3))).backward(np.zeros((0, 3)))
    np.testing.assert_array_equal(a.grad, np.zeros((1, 3)))


@pytest.mark.parametrize("name", FUNCTIONS)
class TestFunctionsOfOneTensor:
    def make(self, name, shape):
        return positive(shape) if name in ("log", "sqrt") else away_from_zero(shape)

    def test_the_values_are_numpys(self, name):
        x = self.make(name, (2, 3))
        np.testing.assert_allclose(
            getattr(x, name)().data, FUNCTIONS[name](x.data), rtol=1e-14, atol=1e-15
        )

    @pytest.mark.parametrize("shape", [(), (1,), (2, 3, 5)], ids=str)
    def test_the_gradient_is_the_numerical_one(self, name, shape):
        assert gradcheck(lambda x: getattr(x, name)(), self.make(name, shape))


@pytest.mark.parametrize("power", [2, 3, 0.5, -1, -2.5, 1, 0])
def test_powers_with_a_number_above_and_below(power):
    assert gradcheck(lambda x: x**power, positive((2, 3)))
    assert gradcheck(lambda x: (abs(power) + 0.5) ** x, positive((2, 3)))


@pytest.mark.parametrize("power", [0, 1, 2, 3])
def test_powers_of_zero_and_of_negatives_have_their_gradient(power):
    x = Tensor(np.array([0.0, -1.5]), requires_grad=True)
    (x**power).backward(np.array([1.0, -2.0]))
    slope = power * np.array([float(power == 1), (-1.5) ** (power - 1)])
    np.testing.assert_allclose(x.grad, slope * [1.0, -2.0])


def test_the_gradient_of_an_exponent_above_zero_is_zero():
    exponent = Tensor(np.array([1.0, 2.5]), requires_grad=True)
    (0.0**exponent).backward(np.array([1.0, -2.0]))
    np.testing.assert_array_equal(exponent.grad, [0, 0])


def test_the_sigmoid_neither_overflows_nor_warns():
    with np.errstate(all="raise", under="ignore"):
        values = Tensor([-1e4, 0.0, 1e4]).sigmoid().data
    np.testing.assert_array_equal(values, np.float32([0, 0.5, 1]))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (-1, 0), (0, 1, 2), ()], ids=str)
@pytest.mark.parametrize("kind", ["sum", "mean", "max"])
class TestReductions:
    def test_the_values_are_numpys(self, kind, axis, keepdims):
        x = distinct((2, 3, 4))
        result = getattr(x, kind)(axis, keepdims)
        expected = getattr(np, kind)(x.data, axis=axis, keepdims=keepdims)
        assert result.shape == expected.shape
        np.testing.assert_allclose(result.data, expected, rtol=1e-14)

    def test_the_gradient_is_the_numerical_one(self, kind, axis, keepdims):
        assert gradcheck(lambda x: getattr(x, kind)(axis, keepdims), distinct((2, 3, 4)))


def test_equal_maxima_share_the_gradient_equally():
    x = Tensor(np.array([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0]]), requires_grad=True)
    x.max(axis=1).backward(np.array([4.0, -9.0]))
    np.testing.assert_allclose(x.grad, [[2, 0, 2], [-3, -3, -3]])


@pytest.mark.parametrize("change", [*RESHAPINGS, *INDEXINGS])
class TestReshapingAndIndexing:
    def test_the_values_are_numpys(self, change):
        x, function = normal((2, 3, 4)), (RESHAPINGS | INDEXINGS)[change]
        np.testing.assert_array_equal(function(x).data, function(x.data), strict=True)

    def test_the_gradient_is_the_numerical_one(self, change):
        assert gradcheck((RESHAPINGS | INDEXINGS)[change], normal((2, 3, 4)))


def test_an_index_may_be_an_integer_tensor():
    rows = Tensor(np.array([2, 0, 2]))
    assert gradcheck(lambda x: x[rows, 1], normal((3, 2)))


def test_flatten_keeps_the_axes_before_the_start():
    x = normal((2, 3, 4))
    assert [x.flatten(n).shape for n in range(3)] == [(24,), (2, 12), (2, 3, 4)]
    assert gradcheck(lambda x: x.flatten(1), x)


def test_a_length_may_be_a_numpy_integer():
    x = normal((2, 3))
    assert x.reshape(np.prod(x.shape)).shape == (6,)


@pytest.mark.parametrize("shapes", MATRICES, ids=str)
def test_the_matrix_product_is_numpys_with_numerical_gradients(shapes):
    a, b = normal(shapes[0], 1), normal(shapes[1], 2)
    product = a @ b
    assert product.shape == (a.data @ b.data).shape
    np.testing.assert_allclose(product.data, a.data @ b.data, rtol=1e-12, atol=1e-14)
    assert gradcheck(operator.matmul, [a, b])


EXPRESSIONS = {  # the same text for minires and for PyTorch
    "a softmax": lambda x, w: (x @ w).exp() / (x @ w).exp().sum(1).reshape(5, 1),
    "a standardisation": lambda x, w: (x - x.mean(0)) / (x * x).mean(0).sqrt() + w.mean(),
    "a gate": lambda x, w: (x @ w).sigmoid() * (2 ** (x @ w)).tanh() + (x[:, [0, 0]] * w[1]).abs(),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_composite_expression_agrees_with_pytorch(name):
    torch = pytest.importorskip("torch", reason="parity with PyTorch needs PyTorch")
    ours = normal((5, 3), 1), normal((3, 2), 2)
    theirs = [torch.tensor(tensor.data, requires_grad=True) for tensor in ours]
    y, expected = EXPRESSIONS[name](*ours), EXPRESSIONS[name](*theirs)
    cotangent = np.random.default_rng(3).standard_normal(y.shape)
    y.backward(cotangent)
    expected.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-12, atol=1e-13)
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad, its.grad.numpy(), rtol=1e-11, atol=1e-12)
