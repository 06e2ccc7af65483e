"""PyTorch's methods and operators on a Tensor: values, gradients, hooks, changes in place."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor, no_grad

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[parity]')")

A = np.random.default_rng(0).standard_normal((3, 4))
SAME = [  # one expression for both
    "x // 0.3",
    "x % 0.3",
    "7.5 % (x.abs() + 1)",
    "x.floor_divide(0.7)",
    "x.remainder(-0.7)",
    "x.maximum(x * 0 + 0.1)",
    "x.minimum(x.square())",
    "x.maximum(x)",
    "x.masked_fill(x > 0, 2.0)",
    "x.masked_select(x > 0)",
    "x[(x > 0) & (x < 1)]",
    "x[(x < 0) | ~(x < 1)]",
    "x.tril()",
    "x.triu(1)",
    "x.sort()[0]",
    "x.sort(dim=0, descending=True)[0]",
    "x.argsort(dim=1)",
    "x.topk(2)[0]",
    "x.topk(2, dim=0, largest=False)[1]",
    "x.isnan()",
    "(x / 0).isinf().all()",
    "x.isfinite().any(dim=1)",
    "(x > 5).any()",
    "x.add(1).sub(2).mul(3).div(4).pow(2).neg()",
    "x.mm(x.t())",
    "x[0].dot(x[1])",
    "x.mv(x[0])",
    "x.square() + x.abs().rsqrt() + x.reciprocal()",
    "x.eq(x), x.lt(0), x.ge(0)",
    "x.view_as(x.t()), x[:1].expand_as(x)",
    "x.swapaxes(0, 1), x.mT, x.t()",
    "x.flatten(0, 1), x.unsqueeze(0).flatten(1)",
    "x.float().double()",
    "abs(x)",
    "x.relu().contiguous()",
    "x.sum(dim=0, keepdim=True), x.mean(dim=1)",
    "x.nonzero()",
    "x.permute(0, 1), x.permute((0, 1)), x.permute(1, 0)",
    "x.transpose(1, 0), x.transpose(0, 0), x.transpose(-1, -2)",
    "x.movedim(-1, -1), x.movedim(0, 1), x.unsqueeze(0).movedim(0, 0)",
    "x.logsumexp(1), x.logsumexp(0, keepdim=True), x.logsumexp((0, 1))",
]


NOT_DERIVED = ("//", "floor_divide", "7.5 %")
"""PyTorch has no gradient of these."""


def _all(value):
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("expression", SAME)
def test_an_expression_is_pytorchs(expression):
    ours, theirs = Tensor(A.copy(), True), torch.tensor(A, requires_grad=True)
    for mine, other in zip(
        _all(eval(expression, {"x": ours})), _all(eval(expression, {"x": theirs})), strict=True
    ):
        np.testing.assert_allclose(mine.numpy(), other.detach().numpy(), rtol=1e-12, atol=1e-14)
        derived = not any(part in expression for part in NOT_DERIVED)
        if mine.requires_grad and other.requires_grad and derived:
            c = np.random.default_rng(1).standard_normal(mine.shape)
            ours.grad = theirs.grad = None
            mine.backward(c.astype(mine.dtype))
            other.backward(torch.tensor(c, dtype=other.dtype), retain_graph=True)
            np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_whole_numbers_divide_as_in_python():
    x = Tensor(np.array([7, -7, 0]))
    assert (x // 2).tolist() == [3, -4, 0] and (x % 4).tolist() == [3, 1, 0]
    assert (100 // Tensor([7])).tolist() == [14] and (x // 2).dtype == np.int64
    with pytest.raises(ZeroDivisionError, match="an integer cannot be divided by 0"):
        x // 0


@pytest.mark.parametrize("dtype", ["u1", "i1", "i8", "?"])
def test_the_smallest_integer_is_found(dtype):
    array = np.array([[0, 1], [1, 1]], dtype)
    array[1, 0] = np.iinfo(dtype).min if dtype != "?" else 0
    x = Tensor(array)
    assert x.min().item() == array.min() and x.min(0).tolist() == array.min(0).tolist()
    assert x.amin(1, keepdim=True).shape == (2, 1)
    with pytest.raises(ValueError, match="no smallest of no elements"):
        Tensor(array[:0]).min()


def test_a_sequence_of_axes_is_an_order_and_two_numbers_are_exchanged():
    x = Tensor(A)
    assert x.transpose((0, 1)).shape == (3, 4) and x.transpose((1, 0)).shape == (4, 3)
    assert x.transpose(0, 1).shape == x.transpose().shape == x.T.shape == (4, 3)


def test_bits_are_combined_and_floats_refused():
    x = Tensor(np.array([6, 3]))
    assert ((x & 2).tolist(), (x | 1).tolist(), (x ^ 3).tolist()) == ([2, 2], [7, 3], [5, 0])
    with pytest.raises(TypeError, match="compare first"):
        Tensor([1.0]) & Tensor([2.0])


def test_sizes_answer_pytorchs_questions():
    x = mr.zeros(2, 3)
    assert x.size == 6 and x.size() == (2, 3) and x.size(1) == x.size(-1) == 3
    assert x.dim() == x.ndim == 2 and x.numel() == 6 and x.nbytes == 24 and x.itemsize == 4
    assert x.is_leaf and not (Tensor([1.0], True) * 2).is_leaf and x.device == "cpu"


def test_to_converts_and_stays():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert x.to(np.float64).dtype == np.float64 and x.to("double").dtype == np.float64
    assert x.to(x) is x and x.cpu() is x and x.to(mr.backend.current()) is x
    x.double().sum().backward()
    assert x.grad.dtype == np.float32
    assert x.detach().long().dtype == np.int64 and x.detach().bool().all().item() is True
    with pytest.raises(ValueError, match="choose one, such as cupy first"):
        x.to("cuda")


class TestInPlace:
    def test_a_leaf_changes_inside_no_grad(self):
        w = Tensor([1.0, 2.0], requires_grad=True)
        (w * w).sum().backward()
        same, array = w, w.data
        with no_grad():
            w -= 0.5 * w.grad
            w += 1
            w *= 2
            w /= 4
            w **= 2
        assert w is same and w.data is array and w.requires_grad
        np.testing.assert_allclose(w.data, [0.25, 0.25])

    def test_outside_a_leaf_is_refused_and_others_make_a_new_tensor(self):
        w = Tensor([1.0], requires_grad=True)
        with pytest.raises(RuntimeError, match=r"-= on a leaf .* inside `with no_grad\(\):`"):
            w -= 1
        total = 0
        for _ in range(3):
            total += (w * w).sum()
        total.backward()
        assert w.grad.tolist() == [6]

    def test_a_result_that_does_not_fit_changes_nothing(self):
        x = Tensor([1.0, 2.0])
        with no_grad(), pytest.raises(ValueError, match=r"\(2,\) of float32 cannot hold"):
            x += np.ones((3, 2))
        count = Tensor(np.array([1, 2]))
        with no_grad(), pytest.raises(ValueError, match="int64 cannot hold"):
            count /= 2
        assert x.tolist() == [1, 2] and count.tolist() == [1, 2]

    def test_backward_notices_what_changed_before_it(self):
        x = Tensor([1.0, 2.0], requires_grad=True)
        y = x * x
        with no_grad():
            x += 1
        with pytest.raises(RuntimeError, match="modified in place"):
            y.sum().backward()


class TestHooks:
    def test_a_hook_sees_and_changes_the_gradient(self):
        x, seen = Tensor([1.0, 2.0], requires_grad=True), []
        y = x * 3
        y.register_hook(seen.append)
        double = y.register_hook(lambda g: 2 * g)
        y.retain_grad()
        on_leaf = x.register_hook(lambda g: g + 1)
        (y * y).sum().backward()
        assert seen[0].tolist() == [6, 12] and y.grad.tolist() == [12, 24]
        assert x.grad.tolist() == [37, 73]
        double.remove()
        on_leaf.remove()
        x.grad = None
        (x * 3).sum().backward()
        assert x.grad.tolist() == [3, 3]

    def test_a_hook_that_spoils_the_gradient_is_told(self):
        x = Tensor([1.0, 2.0], requires_grad=True)
        x.register_hook(lambda g: g[:1])
        with pytest.raises(ValueError, match=r"a hook must return None or .* \(2,\)"):
            (x * 2).sum().backward()
        with pytest.raises(RuntimeError, match="requires no gradient"):
            Tensor([1.0]).register_hook(print)
        with pytest.raises(TypeError, match="a hook is a function"):
            x.register_hook(3)
