"""An array that backward needs may not change under it: what is noticed, and what is allowed."""

import numpy as np
import pytest

from minires import Tensor, nn, optim
from minires import functional as F
from minires.fingerprint import fingerprint


def leaf(*shape, dtype=np.float64) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(dtype), requires_grad=True)


def assign(array):
    array[...] = 7.0


def add_one(array):
    array += 1


def negate(array):
    array *= -1


def double(array):
    array *= 2


def sixteenfold(array):
    array *= 16


def reverse(array):
    array[...] = array[::-1].copy()


def swap_two(array):
    array[0], array[1] = array[1].copy(), array[0].copy()


def sort(array):
    array.sort(axis=0)


def square(array):
    np.square(array, out=array)


def one_element(array):
    array.flat[array.size // 2] += 1e-3


CHANGES = [assign, add_one, negate, double, sixteenfold, reverse, swap_two, sort, square]
REFUSED = "was modified in place after the forward pass; make a new array instead"


@pytest.mark.parametrize("shape", [(128, 32, 32, 16), (100, 8, 8, 64), (7, 5, 3, 256)], ids=str)
def test_a_change_of_a_single_image_or_channel_is_noticed(shape):
    array = np.ones(shape, np.float32)
    before = fingerprint(array)
    for axis in (0, 3):
        for i in range(shape[axis]):
            place = (slice(None),) * axis + (i,)
            array[place] = 2
            assert fingerprint(array) != before, (axis, i)
            array[place] = 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2,), (5,), (32, 32), (16, 64)], ids=str)
@pytest.mark.parametrize("change", [*CHANGES, one_element])
def test_any_change_of_a_small_saved_array_is_noticed(change, shape, dtype):
    x = leaf(*shape, dtype=dtype)
    if shape == (2,):
        x.data[:] = [3, -1]
    y = (x * x).sum()
    change(x.data)
    with pytest.raises(RuntimeError, match=f"mul: an array of shape .* {REFUSED}"):
        y.backward()
    assert x.grad is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("change", [assign, add_one, negate, double, sixteenfold, reverse])
def test_a_change_of_a_whole_big_array_is_noticed(change, dtype):
    x = leaf(16, 64, 64, 16, dtype=dtype)
    y = F.relu(x).sum() * (x * x).mean()
    change(x.data)
    with pytest.raises(RuntimeError, match=REFUSED):
        y.backward()


@pytest.mark.parametrize("change", [assign, add_one, negate])
@pytest.mark.parametrize("image", [0, 7, 63])
def test_a_change_of_one_image_of_a_big_batch_is_noticed(image, change):
    x = leaf(64, 32, 32, 16, dtype=np.float32)
    y = (x * x).sum()
    change(x.data[image])
    with pytest.raises(RuntimeError, match=REFUSED):
        y.backward()


@pytest.mark.parametrize(
    "part",
    [
        np.s_[..., 5],
        np.s_[..., 8:],
        np.s_[:, :, 1:],
        np.s_[:, 9:23, 9:23],
        np.s_[:, 1::2],
        np.s_[:, :, ::-2, 1],
    ],
    ids=["a channel", "half the channels", "columns", "a square", "odd rows", "a pattern"],
)
def test_a_change_of_the_same_part_of_every_image_is_noticed(part):
    x = leaf(64, 32, 32, 16, dtype=np.float32)
    y = (x * x).sum()
    x.data[part] = 0
    with pytest.raises(RuntimeError, match=REFUSED):
        y.backward()


def test_a_change_through_a_view_is_noticed():
    x = leaf(4, 6)
    y = (x.reshape(6, 4) * x.reshape(6, 4)).sum()
    x.data[0] = 0
    with pytest.raises(RuntimeError, match=REFUSED):
        y.backward()


def test_a_change_of_the_result_is_noticed_where_backward_needs_it():
    x = leaf(4)
    y = x.exp()
    y.data += 1
    with pytest.raises(RuntimeError, match="exp: .*modified in place"):
        y.backward(np.ones(4))


def test_a_change_of_an_index_is_nothing_to_the_copy_that_backward_needs():
    x, index = leaf(3), np.array([0, 1])
    y = x[index]
    index[0] = 2
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 0]


def test_a_change_of_the_labels_is_nothing_to_the_copy_that_backward_needs():
    logits, labels = leaf(4, 3), np.array([0, 1, 2, 0])
    loss = F.cross_entropy(logits, labels)
    labels[:] = 1
    loss.backward()
    other = leaf(4, 3)
    F.cross_entropy(other, np.array([0, 1, 2, 0])).backward()
    np.testing.assert_array_equal(logits.grad, other.grad)


def test_a_weight_updated_between_forward_and_backward_is_noticed():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = Tensor(np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32))
    optimiser = optim.SGD(net, lr=0.1, momentum=0.9, weight_decay=1e-4)
    first, second = net(x).mean(), net(x).mean()
    first.backward()
    optimiser.step()
    with pytest.raises(RuntimeError, match=r"linear: an array of shape \(4, 2\)"):
        second.backward()


def test_weights_loaded_between_forward_and_backward_are_noticed():
    layer = nn.Conv2d(3, 4, 3)
    loss = layer(leaf(2, 5, 5, 3, dtype=np.float32)).mean()
    layer.load_state_dict({name: value + 1 for name, value in layer.state_dict().items()})
    with pytest.raises(RuntimeError, match="conv2d: .*modified in place"):
        loss.backward()


class TestAllowed:
    def test_a_change_of_a_slice_which_is_a_copy(self):
        x = leaf(4)
        part, y = x[1:], x * x
        part.data += 1
        y.backward(np.ones(4))
        assert not np.shares_memory(part.data, x.data)

    def test_giving_data_another_array(self):
        x = leaf(4)
        old, y = x.data, (x * x).sum()
        x.data = x.data + 1
        y.backward()
        np.testing.assert_array_equal(x.grad, 2 * old)

    def test_a_change_after_backward(self):
        x = leaf(4)
        (x * x).sum().backward()
        x.data += 1

    def test_a_change_inside_the_step_of_the_next_iteration(self):
        x = leaf(4)
        for _ in range(3):
            x.grad = None
            (x * x).sum().backward()
            x.data -= 0.1 * x.grad

    @pytest.mark.parametrize(
        "fn",
        [
            lambda x: x + 1,
            lambda x: x - 1,
            lambda x: 1 - x,
            lambda x: -x,
            lambda x: x.exp(),
            lambda x: x.mean(axis=0),
            lambda x: x.T.reshape(-1),
            lambda x: x[[0, 0]],
        ],
    )
    def test_a_change_of_an_array_that_backward_does_not_need(self, fn):
        x = leaf(2, 3)
        y = fn(x)
        x.data[...] = 5
        y.backward(np.ones(y.shape))
        assert x.grad is not None
