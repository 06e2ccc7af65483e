"""Nothing cuts the graph in silence: NumPy's functions, lists of Tensors, comparisons."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor
from minires.function import Function

CALLS = {
    "concatenate": lambda t: np.concatenate([t, t]),
    "stack": lambda t: np.stack([t, t]),
    "vstack": lambda t: np.vstack([t, t]),
    "hstack": lambda t: np.hstack([t, t]),
    "pad": lambda t: np.pad(t, 1),
    "where": lambda t: np.where(np.ones((2, 3), bool), t, 0),
    "clip": lambda t: np.clip(t, 0, 1),
    "squeeze": lambda t: np.squeeze(t),
    "transpose": lambda t: np.transpose(t),
    "reshape": lambda t: np.reshape(t, (3, 2)),
    "broadcast_to": lambda t: np.broadcast_to(t, (4, 2, 3)),
    "dot": lambda t: np.dot(t, np.ones((3, 2), np.float32)),
    "einsum": lambda t: np.einsum("ij->j", t),
    "norm": lambda t: np.linalg.norm(t),
    "repeat": lambda t: np.repeat(t, 2),
    "tile": lambda t: np.tile(t, 2),
    "cumsum": lambda t: np.cumsum(t),
    "split": lambda t: np.split(t, 2),
    "sort": lambda t: np.sort(t),
    "var": lambda t: np.var(t),
    "sum": lambda t: np.sum(t),
    "mean": lambda t: np.mean(t),
    "max": lambda t: np.max(t),
    "argmax": lambda t: np.argmax(t),
    "flip": lambda t: np.flip(t, 1),
    "prod": lambda t: np.prod(t),
}


@pytest.mark.parametrize("name", CALLS)
def test_numpys_functions_refuse_a_tensor_that_requires_a_gradient(name):
    x = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3), requires_grad=True)
    for t in (x, x * 2):
        with pytest.raises(
            TypeError, match=rf"np.{name} computes with arrays, .* call detach\(\) first"
        ):
            CALLS[name](t)


@pytest.mark.parametrize("name", CALLS)
def test_numpys_functions_compute_with_the_values_of_other_tensors(name):
    data = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_equal(CALLS[name](Tensor(data)), CALLS[name](data))


def test_the_sentence_names_what_to_write_instead():
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(
        TypeError, match=r"write mr.cat\(\[x, y\], axis\), or call detach\(\) first"
    ):
        np.concatenate([x.detach(), x])
    with pytest.raises(TypeError, match=r"write mr.where\(condition, x, y\)"):
        np.where([True, False], x, 0)


def test_what_it_names_exists():
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    for made in (
        mr.cat([x, x], 0),
        mr.stack([x, x], 1),
        mr.where(x.data > 1, x, 0.0),
        x.clip(0, 1),
    ):
        assert made.requires_grad
    for made in (x.permute(1, 0), x.flatten(), x.expand(4, 2, 3), x.var(0, correction=0), x.norm()):
        assert made.requires_grad


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        np.array,
        lambda t: Tensor([t, t]),
        lambda t: mr.tensor([t, t]),
        lambda t: t + [t],
    ],
    ids=["asarray", "array", "Tensor of a list", "tensor of a list", "a list as operand"],
)
def test_a_tensor_that_requires_a_gradient_becomes_no_array_by_itself(convert):
    for t in (Tensor(2.0, requires_grad=True), Tensor([1.0, 2.0], requires_grad=True) * 2):
        with pytest.raises(
            TypeError, match="this tensor would be cut out of the graph; put tensors"
        ):
            convert(t)
    assert convert(Tensor(2.0)) is not None


def test_an_array_on_the_left_still_computes_with_the_tensor():
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    a = np.arange(3, dtype=np.float32)
    for y in (a + x, a * x, a - x, a / x, a**x, a @ x):
        assert isinstance(y, Tensor) and y.requires_grad


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "None"),
        ((1, 2), "a tuple of 2 values"),
        ([1], "a list of 1 values"),
        ("t", "a Tensor"),
    ],
    ids=["nothing", "tuple", "list", "Tensor"],
)
def test_a_forward_that_returns_no_array_is_refused(result, words):
    class Own(Function):
        def forward(self, x):
            return Tensor(x) if result == "t" else result

    with pytest.raises(
        TypeError, match=f"own: forward must return one array, but returned {words}"
    ):
        Own()(Tensor([1.0], requires_grad=True))


def test_comparisons_are_elementwise():
    x, y = Tensor([1.0, 2.0, 3.0]), Tensor([1.0, 5.0, 2.0], requires_grad=True)
    array = np.array([1.0, 5.0, 2.0], np.float32)
    for other in (y, array, [1.0, 5.0, 2.0]):
        assert (x == other).numpy().tolist() == [True, False, False]
        assert (x != other).numpy().tolist() == [False, True, True]
        assert (x < other).numpy().tolist() == [False, True, False]
        assert (x <= other).numpy().tolist() == [True, True, False]
        assert (x > other).numpy().tolist() == [False, False, True]
        assert (x >= other).numpy().tolist() == [True, False, True]
    assert (array > x).numpy().tolist() == [False, True, False]
    assert (array == x).numpy().tolist() == [True, False, False]
    assert (2 < x).numpy().tolist() == [False, False, True]
    assert not (x == y).requires_grad and (x == y).dtype == bool
    assert bool(Tensor(1.0) == 1.0) and not bool(Tensor(1.0) == 2)


def test_the_accuracy_of_predictions_is_a_comparison():
    logits, labels = Tensor([[1.0, 2], [3, 0], [0, 1]]), np.array([1, 0, 0])
    assert np.mean(logits.argmax(1) == labels) == pytest.approx(2 / 3)
    assert (logits.argmax(1) == labels).mean().item() == pytest.approx(2 / 3)
    assert np.sum(logits.argmax(1) != labels) == 1


def test_a_tensor_is_hashed_by_identity_and_equals_nothing_without_numbers():
    x, y = Tensor([1.0]), Tensor([1.0])
    assert len({x, y}) == 2 and {x: 1}[x] == 1
    assert (x == None) is False and (x != "text") is True  # noqa: E711
    with pytest.raises(TypeError):
        x < None  # noqa: B015


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ValueError, match=r"equal: shapes \(2,\) and \(3,\) do not broadcast"):
        Tensor([1.0, 2.0]) == [1.0, 2.0, 3.0]  # noqa: B015
