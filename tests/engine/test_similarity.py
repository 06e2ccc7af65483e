"""Normalised vectors, attention and resized images are PyTorch's, forward and backward."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor
from minires import functional as F
from minires.gradcheck import gradcheck

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[parity]')")
TF = torch.nn.functional
RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((2, 3, 5)), RNG.standard_normal((2, 3, 5))
IMAGES = RNG.standard_normal((2, 5, 4, 3))


def assert_same(ours, theirs, *arrays):
    mine = [Tensor(array.copy(), True) for array in arrays]
    other = [torch.tensor(array, requires_grad=True) for array in arrays]
    y, expected = ours(*mine), theirs(*other)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    cotangent = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(cotangent)
    expected.backward(torch.tensor(cotangent))
    for m, o in zip(mine, other, strict=True):
        np.testing.assert_allclose(m.grad, o.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("p", "axis"), [(2.0, 1), (1.0, 0), (2.0, -1)])
def test_normalized_vectors(p, axis):
    assert_same(lambda x: F.normalize(x, p, axis), lambda x: TF.normalize(x, p, axis), A)


def test_cosines():
    assert_same(
        lambda a, b: F.cosine_similarity(a, b, dim=-1),
        lambda a, b: TF.cosine_similarity(a, b, dim=-1),
        A,
        B,
    )


@pytest.mark.parametrize("kind", ["all", "causal", "mask", "bias"])
def test_attention(kind):
    q, k, v = A, RNG.standard_normal((2, 4, 5)), RNG.standard_normal((2, 4, 6))
    mask = RNG.random((3, 4)) < 0.7
    mask[:, 0] = True
    given = {"all": {}, "causal": {"is_causal": True}, "mask": {"attn_mask": mask}}
    options = given.get(kind, {"attn_mask": RNG.standard_normal((3, 4))})
    theirs = {
        name: torch.tensor(value) if name == "attn_mask" else value
        for name, value in options.items()
    }
    assert_same(
        lambda *x: F.scaled_dot_product_attention(*x, **options),
        lambda *x: TF.scaled_dot_product_attention(*x, **theirs),
        q,
        k,
        v,
    )


@pytest.mark.parametrize(
    "how",
    [
        {"size": (7, 9)},
        {"size": (2, 3)},
        {"scale_factor": 2},
        {"scale_factor": (0.6, 1.7)},
        {"size": (7, 9), "mode": "bilinear"},
        {"size": (3, 2), "mode": "bilinear"},
        {"scale_factor": (2.5, 0.7), "mode": "bilinear"},
        {"size": (7, 1), "mode": "bilinear", "align_corners": True},
    ],
    ids=str,
)
def test_resized_images(how):
    theirs = lambda x: TF.interpolate(x.permute(0, 3, 1, 2), **how).permute(0, 2, 3, 1)  # noqa: E731
    assert_same(lambda x: F.interpolate(x, **how), theirs, IMAGES)
    assert gradcheck(lambda x: F.interpolate(x, **how), [IMAGES])


def test_what_cannot_be_resized_is_told():
    for how, message in (
        ({}, "give size or scale_factor"),
        ({"size": 2, "scale_factor": 2}, "give size or scale_factor"),
        ({"size": 2, "mode": "cubic"}, "mode must be 'nearest' or 'bilinear'"),
        ({"size": 0}, "size must be an integer or a pair of integers, at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            F.interpolate(Tensor(IMAGES), **how)


def test_moved_and_chosen_parts():
    for ours, theirs in (
        (lambda x: x.roll(2, 1), lambda x: x.roll(2, 1)),
        (lambda x: x.roll((1, -2), (0, 2)), lambda x: x.roll((1, -2), (0, 2))),
        (lambda x: mr.roll(x, 7), lambda x: torch.roll(x, 7)),
        (
            lambda x: x.index_select(2, np.array([4, 0, 4])),
            lambda x: x.index_select(2, torch.tensor([4, 0, 4])),
        ),
        (lambda x: x.unbind(1)[2], lambda x: x.unbind(1)[2]),
        (lambda x: x[0, :, :3].trace(), lambda x: x[0, :, :3].trace()),
        (lambda x: x[0, 0].outer(x[1, 1]), lambda x: x[0, 0].outer(x[1, 1])),
    ):
        assert_same(ours, theirs, A)
    with pytest.raises(ValueError, match="2 shifts for 1 axes"):
        mr.roll(Tensor(A), (1, 2), 0)
    with pytest.raises(ValueError, match=r"index must be integers \(K,\)"):
        mr.index_select(Tensor(A), 0, np.array([0.5]))
