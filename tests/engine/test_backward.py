"""backward(): what it adds up and where, what it frees, and what it refuses."""

import gc
import weakref

import numpy as np
import pytest

from minires import Tensor, no_grad
from minires.gradcheck import gradcheck


def leaf(*shape, seed=0) -> Tensor:
    """Values between 0.5 and 2, float64."""
    return Tensor(np.random.default_rng(seed).uniform(0.5, 2, shape), requires_grad=True)


def cotangent(*shape) -> np.ndarray:
    return np.random.default_rng(9).standard_normal(shape)


class TestAccumulation:
    @pytest.mark.parametrize(
        "fn",
        [
            lambda x: x + x,
            lambda x: x - x * x,
            lambda x: x * x * x,
            lambda x: x / (x + 1),
            lambda x: x**x,
            lambda x: x @ x,
            lambda x: x.T @ x + x.sum() * x[0],
            lambda x: (x / x.sum(axis=0)).log() * x.exp(),
        ],
    )
    def test_an_input_used_more_than_once_receives_every_gradient(self, fn):
        assert gradcheck(fn, leaf(3, 3))

    def test_a_diamond_is_walked_once_per_operation(self):
        def diamond(x):
            shared = (x * 2).tanh()
            left, right = shared.exp(), shared * shared
            return left * right + shared

        assert gradcheck(diamond, leaf(2, 3))

    def test_branches_that_were_handed_one_gradient_do_not_add_into_it(self):
        def fn(x):
            u, v = x * 2, x.exp()
            return (u + v) + u + (v + u)

        assert gradcheck(fn, leaf(2, 3))

    def test_a_tower_of_diamonds_takes_linear_time(self):
        x = Tensor(np.array([1.0]), requires_grad=True)
        y = x
        for _ in range(60):  # 2**60 paths
            y = y + y
        y.backward()
        assert x.grad == 2.0**60

    def test_a_long_and_a_short_path_meet(self):
        def fn(x):
            y = x
            for _ in range(5):
                y = y * x
            return y + x  # x appears at six depths

        assert gradcheck(fn, leaf(4))

    def test_gradients_add_up_over_backward_calls_until_forgotten(self):
        x, c = leaf(3), cotangent(3)
        (x * 2).backward(c)
        (x * 3).backward(c)
        np.testing.assert_allclose(x.grad, 5 * c)
        x.grad = None
        (x * 4).backward(c)
        np.testing.assert_allclose(x.grad, 4 * c)

    def test_backward_of_a_leaf_is_the_gradient_itself(self):
        x, c = leaf(3), cotangent(3)
        x.backward(c)
        x.backward(c)
        np.testing.assert_allclose(x.grad, 2 * c)

    def test_an_error_on_the_way_leaves_every_gradient_as_it_was(self):
        a, b = leaf(3, seed=1), leaf(3, seed=2)
        y = a * 2 + b.exp() * b
        b.data *= 2
        with pytest.raises(RuntimeError, match="modified in place"):
            y.backward(cotangent(3))
        assert a.grad is None and b.grad is None


class TestOwnership:
    """A leaf owns its gradient: writing into it changes nothing else."""

    @pytest.mark.parametrize(
        "fn",
        [
            lambda a, b: a + b,
            lambda a, b: a - b,
            lambda a, b: (a + b).reshape(6) + (b + a).reshape(6),
            lambda a, b: a.reshape(6) + b.reshape(6),
            lambda a, b: a.T + b.T,
            lambda a, b: a + b + (a + b),
        ],
    )
    def test_no_two_gradients_and_no_passed_gradient_share_memory(self, fn):
        a, b = leaf(2, 3, seed=1), leaf(2, 3, seed=2)
        y = fn(a, b)
        y.retain_grad()
        c = cotangent(*y.shape)
        kept = c.copy()
        y.backward(c)
        before = b.grad.copy()
        arrays = [a.grad, b.grad, y.grad, c, a.data, b.data, y.data]
        for i, one in enumerate(arrays):
            assert not any(np.shares_memory(one, other) for other in arrays[:i])
        a.grad[...] = np.nan
        np.testing.assert_array_equal(b.grad, before)
        np.testing.assert_array_equal(c, kept)

    def test_retained_gradients_share_no_memory_either(self):
        x = leaf(3)
        u, v = x * 2, x * 3
        u.retain_grad()
        v.retain_grad()
        (u + v).backward(cotangent(3))
        assert not np.shares_memory(u.grad, v.grad)

    def test_the_gradient_of_a_leaf_itself_is_a_copy(self):
        x, c = leaf(3), cotangent(3)
        x.backward(c)
        assert not np.shares_memory(x.grad, c)

    def test_a_second_backward_leaves_an_array_taken_from_grad_alone(self):
        x, c = leaf(3), cotangent(3)
        (x + 1).backward(c)
        first = x.grad
        (x + 1).backward(c)
        np.testing.assert_array_equal(first, c)


class TestDepth:
    def test_ten_thousand_operations_are_differentiated_without_recursion(self):
        x = Tensor(np.array([1.0, -2.0]), requires_grad=True)
        y = x
        for _ in range(10_000):
            y = y + 0.001 * x
        y.backward(np.array([1.0, 3.0]))
        np.testing.assert_allclose(x.grad, [11, 33])

    @pytest.mark.parametrize("after_backward", [False, True])
    def test_a_hundred_thousand_operations_are_freed_without_recursion(self, after_backward):
        x = Tensor(np.array([1.0]), requires_grad=True)
        y = x
        for _ in range(100_000):
            y = -y
        if after_backward:
            y.backward()
            assert x.grad == 1.0
        del y
        gc.collect()


class TestNoGrad:
    def test_nothing_is_recorded_inside_and_all_again_outside(self):
        x = leaf(3)
        with no_grad():
            y = x * 2
        assert not y.requires_grad and y.grad_fn is None
        assert (x * 2).requires_grad
        with pytest.raises(RuntimeError, match="inside no_grad"):
            y.backward(np.ones(3))

    def test_it_decorates_functions_even_recursive_ones(self):
        @no_grad()
        def power(x, n):
            return x if n == 0 else power(x, n - 1) * x

        x = leaf(3)
        assert not power(x, 3).requires_grad
        assert (x * 2).requires_grad

    def test_an_exception_switches_recording_back_on(self):
        x = leaf(3)
        with pytest.raises(ZeroDivisionError), no_grad():
            raise ZeroDivisionError
        assert (x * 2).requires_grad

    def test_nested_blocks_end_with_the_outermost(self):
        x, block = leaf(3), no_grad()
        with block:
            with block, no_grad():
                pass
            assert not (x * 2).requires_grad
        assert (x * 2).requires_grad


class TestKeeping:
    def test_detach_shares_the_values_but_stops_the_gradient(self):
        x, c = leaf(3), cotangent(3)
        y = x * 2
        assert y.detach().data is y.data and not y.detach().requires_grad
        (y * y.detach()).backward(c)
        np.testing.assert_allclose(x.grad, c * 2 * y.data)

    def test_an_inner_tensor_keeps_its_gradient_only_when_asked(self):
        x, c = leaf(3), cotangent(3)
        y, kept = x * 2, x * 3
        kept.retain_grad()
        (y * kept + kept).backward(c)
        assert y.grad is None
        np.testing.assert_allclose(kept.grad, c * (y.data + 1))

    def test_a_retained_gradient_also_adds_up(self):
        x, c = leaf(3), cotangent(3)
        y = x * x
        y.retain_grad()
        y.backward(c, retain_graph=True)
        y.backward(c)
        np.testing.assert_allclose(y.grad, 2 * c)
        np.testing.assert_allclose(x.grad, 2 * c * 2 * x.data)

    def test_a_second_backward_needs_retain_graph(self):
        x, c = leaf(3), cotangent(3)
        inner = x * x
        y = inner.exp()
        y.backward(c)
        for used_up in (y, inner, inner * 2):
            with pytest.raises(RuntimeError, match="a second time .*retain_graph=True"):
                used_up.backward(c)

    @pytest.mark.parametrize("retain", [False, True])
    def test_saved_arrays_are_freed_by_backward_unless_the_graph_is_retained(self, retain):
        x, c = leaf(3), cotangent(3)
        y = (x * 2).exp() * 3
        saved = weakref.ref(y.grad_fn.parents[0].saved[0])  # exp's output
        y.backward(c, retain_graph=retain)
        assert (saved() is not None) == retain

    def test_without_recording_nothing_is_saved(self):
        x = Tensor(np.ones(3))
        inner = x * 2
        array = weakref.ref(inner.data)
        y = inner.exp()
        del inner
        assert array() is None and y.grad_fn is None


def test_the_gradient_of_a_number_used_twice_is_an_array():
    scale = Tensor(np.array(2.0), requires_grad=True)
    for _ in range(2):
        (scale * scale).backward()
    assert isinstance(scale.grad, np.ndarray) and scale.grad == 8.0


def test_a_leaf_owns_its_gradient_whatever_backward_returns():
    """Views without an array as their base, and what the Function itself has saved."""
    from minires.function import Function

    buffer = np.zeros((2, 3))

    class Odd(Function):
        def forward(self, x, y):
            self.saved = (np.full((2, 3), 7.0),)
            return x + y

        def backward(self, dy):
            strided = np.lib.stride_tricks.as_strided(buffer, (2, 3), buffer.strides)
            return strided, self.saved[0]

    x, y = (Tensor(np.ones((2, 3)), requires_grad=True) for _ in range(2))
    function = Odd()
    function(x, y).backward(np.ones((2, 3)), retain_graph=True)
    x.grad += 1
    y.grad += 1
    assert not buffer.any() and (function.saved[0] == 7).all()
