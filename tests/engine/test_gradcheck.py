"""gradcheck passes what is right, names what is wrong, and says so where it cannot judge."""

import numpy as np
import pytest

from minires import Tensor, seed
from minires import functional as F
from minires.function import Function
from minires.gradcheck import GradcheckError, gradcheck

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((3, 4))


def wrong(factor=1.0, shift=0.0, entry=None):
    """x^2 with a backward that is off by a factor, or by a shift in one entry."""

    class WrongSquare(Function):
        def forward(self, x):
            self.saved = (x,)
            return x * x

        def backward(self, dy):
            (x,) = self.saved
            dx = 2 * x * dy * factor
            if entry is not None:
                dx[entry] += shift
            return (dx,)

    return lambda x: WrongSquare()(x)


@pytest.mark.parametrize("mode", ["auto", "full", "directional"])
def test_a_right_backward_passes(mode):
    assert gradcheck(wrong(), [MATRIX], mode=mode) is True


@pytest.mark.parametrize("mode", ["full", "directional"])
@pytest.mark.parametrize(
    ("factor", "hint"),
    [
        (2, "2 times too large"),
        (0.25, "4 times too small"),
        (-1, "sign"),
        (0, "zero"),
        (1.1, "ratio"),
    ],
)
def test_a_wrong_factor_is_named(factor, hint, mode):
    with pytest.raises(GradcheckError, match=hint):
        gradcheck(wrong(factor), [MATRIX], mode=mode)


def test_the_worst_entry_is_named_with_both_values():
    with pytest.raises(GradcheckError) as report:
        gradcheck(wrong(shift=0.5, entry=(1, 2)), [MATRIX])
    text = str(report.value)
    assert "input 0, index (1, 2) of (3, 4)" in text
    assert "backward" in text and "numerical" in text


def test_a_single_wrong_entry_does_not_hide_from_random_directions():
    big = RNG.standard_normal((100, 60))
    with pytest.raises(GradcheckError, match="random direction"):
        gradcheck(wrong(shift=0.5, entry=(70, 3)), [big])


def test_small_errors_of_one_in_ten_thousand_are_found():
    with pytest.raises(GradcheckError):
        gradcheck(wrong(1.0001), [MATRIX])


def test_the_plain_sum_of_a_batch_norm_would_have_hidden_its_bugs():
    """Why the cotangent is random: the sum's gradient to x is zero, right or wrong."""
    x = Tensor(RNG.standard_normal((8, 3)), requires_grad=True)
    F.batch_norm(x, np.ones(3), np.zeros(3), np.zeros(3), np.ones(3), True).sum().backward()
    assert np.abs(x.grad).max() < 1e-12


@pytest.mark.parametrize("x", [0.0, 1e-7, -1e-7, 5e-7])
def test_a_kink_is_reported_as_a_kink(x):
    with pytest.raises(GradcheckError, match="kink"):
        gradcheck(F.relu, [np.array([x, 1.0, -1.0])])


def test_a_tie_of_max_pooling_is_reported_as_a_kink():
    with pytest.raises(GradcheckError, match="kink"):
        gradcheck(lambda x: F.max_pool2d(x, 2), [np.ones((1, 2, 2, 1))])


def test_a_wrong_backward_beside_a_strong_curvature_is_no_kink():
    with pytest.raises(GradcheckError, match="disagree"):
        gradcheck(lambda x: wrong(1.5)(x * 100).exp() * 0.01, [np.array([0.01, 0.02])])


def test_only_tensors_that_require_a_gradient_are_checked():
    right = Tensor(MATRIX, requires_grad=True)
    assert gradcheck(lambda a, b: a * wrong(3)(b), [right, Tensor(MATRIX)])


def test_integer_inputs_are_handed_on():
    labels = np.array([0, 3, 1])
    assert gradcheck(F.cross_entropy, [MATRIX, labels])


def test_an_input_used_twice_is_checked_as_one():
    assert gradcheck(lambda x: x * x + F.relu(x) @ x.T @ x, [np.abs(MATRIX) + 0.1])


def test_inputs_are_left_as_they_were():
    array = MATRIX.copy()
    tensor = Tensor(array, requires_grad=True)
    gradcheck(wrong(), tensor)
    assert (array == MATRIX).all() and tensor.grad is None


def test_randomness_is_noticed_and_seeding_cures_it():
    with pytest.raises(GradcheckError, match="deterministic"):
        gradcheck(lambda x: F.dropout(x, 0.5), [MATRIX])

    def seeded(x):
        seed(0)
        return F.dropout(x, 0.5)

    assert gradcheck(seeded, [MATRIX])


def test_what_cannot_be_checked_is_refused_in_words():
    with pytest.raises(TypeError, match="float32.*float64"):
        gradcheck(F.relu, [MATRIX.astype(np.float32)])
    with pytest.raises(ValueError, match="no floating input"):
        gradcheck(lambda x: x, [np.array([1, 2])])
    with pytest.raises(ValueError, match="mode"):
        gradcheck(F.relu, [MATRIX], mode="quick")
    with pytest.raises(GradcheckError, match="does not depend"):
        gradcheck(lambda x: x.detach(), [MATRIX])
    with pytest.raises(TypeError, match="return a Tensor"):
        gradcheck(lambda x: x.numpy(), [MATRIX])


def test_nan_is_never_a_pass():
    with np.errstate(invalid="ignore"), pytest.raises(GradcheckError):
        gradcheck(lambda x: x.log(), [np.array([-1.0, 2.0])])
