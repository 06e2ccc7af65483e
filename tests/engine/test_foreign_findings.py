"""What foreign suites found: each was a wrong number or a lost gradient once."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor
from minires import functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[parity]')")
A = np.random.default_rng(0).standard_normal((2, 3))


def both(ours, theirs, *arrays):
    mine = [Tensor(a.copy(), True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = ours(*mine), theirs(*other)
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-10)
    y.sum().backward()
    z.sum().backward()
    for m, o in zip(mine, other, strict=True):
        np.testing.assert_allclose(m.grad, o.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_logsumexp_of_a_matrix_sums_along_its_axis():
    for axis in (0, 1, -1):
        both(lambda x, a=axis: x.logsumexp(a), lambda x, a=axis: x.logsumexp(a), A)


def test_axes_in_their_own_order_stay():
    x = Tensor(A)
    for same in (x.permute(0, 1), x.movedim(-1, -1), x.transpose((0, 1)), x.movedim(0, 0)):
        np.testing.assert_array_equal(same.data, A)


def test_a_soft_target_gets_its_gradient():
    p = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    both(F.cross_entropy, torch.nn.functional.cross_entropy, A, p)


def test_a_value_that_fills_gets_its_gradient():
    mask = A > 0
    both(
        lambda x, v: x.masked_fill(mask, v),
        lambda x, v: x.masked_fill(torch.tensor(mask), v),
        A,
        np.array(0.5),
    )
    with pytest.raises(ValueError, match="value must be a number"):
        Tensor(A).masked_fill(mask, Tensor(A))


def test_a_mask_is_broadcast():
    mask = np.array([True, False, True])
    both(lambda x: x.masked_select(mask), lambda x: x.masked_select(torch.tensor(mask)), A)
    with pytest.raises(TypeError, match="mask must hold bools, but holds int64"):
        Tensor(A).masked_select(np.array([1, 0, 1]))


def test_cosines_are_taken_along_the_axis_of_the_broadcast():
    similar = torch.nn.functional.cosine_similarity
    both(
        lambda a, b: F.cosine_similarity(a, b, dim=-2),
        lambda a, b: similar(a, b, dim=-2),
        A[None],
        A[:, None] + 0.1,
    )


def test_equal_distances_are_counted_in_float64():
    exact = torch.linspace(4.3, -3, 50, dtype=torch.float64).numpy()
    for start in (4.3, np.float64(4.3), Tensor(np.float64(4.3))):
        ours = mr.linspace(start, -3, 50, dtype=np.float64)
        np.testing.assert_allclose(ours.data, exact, rtol=1e-13, atol=1e-15)
