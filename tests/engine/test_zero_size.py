"""Nothing is a shape, too: no images, no channels, no features."""

import numpy as np
import pytest
from cases import BACKENDS

import minires as mr
from minires import Tensor, backend, nn
from minires import functional as F


def zeros(*shape):
    return Tensor(backend.asarray(np.zeros(shape, np.float32)), requires_grad=True)


def running(c):
    return [backend.asarray(np.full(c, v, np.float32)) for v in (0, 1)]


def block(n):
    c = [zeros(16), zeros(16)]
    w = zeros(3, 3, 16, 16)
    return F.basic_block(zeros(n, 4, 4, 16), w, *c, running(16), w * 1, *c, running(16), False)


# ruff: noqa: E501  (a table)
OPERATIONS = {  # name -> (operation, shape of its result)
    "add": (lambda: zeros(0, 3) + zeros(3), (0, 3)),
    "add broadcast": (lambda: zeros(1, 3) + zeros(0, 1), (0, 3)),
    "mul": (lambda: zeros(0, 3) * zeros(1, 3), (0, 3)),
    "pow": (lambda: zeros(0) ** 2, (0,)),
    "exp": (lambda: zeros(0, 2).exp(), (0, 2)),
    "sum of all": (lambda: zeros(0, 3).sum(), ()),
    "sum": (lambda: zeros(0, 3).sum(0), (3,)),
    "mean of rows": (lambda: zeros(0, 3).mean(1), (0,)),
    "max of rows": (lambda: zeros(0, 3).max(1), (0,)),
    "matmul without rows": (lambda: zeros(0, 3) @ zeros(3, 2), (0, 2)),
    "matmul over nothing": (lambda: zeros(2, 0) @ zeros(0, 3), (2, 3)),
    "vectors": (lambda: zeros(0) @ zeros(0), ()),
    "reshape": (lambda: zeros(0, 3).reshape(3, 0), (3, 0)),
    "flatten": (lambda: zeros(0, 3, 4).flatten(1), (0, 12)),
    "an empty list as index": (lambda: zeros(2, 3)[[]], (0, 3)),
    "an empty list beside a slice": (lambda: zeros(2, 3)[:, []], (2, 0)),
    "a mask that picks nothing": (lambda: zeros(2)[np.array([False, False])], (0,)),
    "relu": (lambda: F.relu(zeros(0, 3)), (0, 3)),
    "dropout": (lambda: F.dropout(zeros(0, 3), 0.5, True), (0, 3)),
    "linear without rows": (lambda: F.linear(zeros(0, 3), zeros(3, 2), zeros(2)), (0, 2)),
    "linear from nothing": (lambda: F.linear(zeros(2, 0), zeros(0, 3), zeros(3)), (2, 3)),
    "linear to nothing": (lambda: F.linear(zeros(2, 3), zeros(3, 0), zeros(0)), (2, 0)),
    "Linear(0, 3)": (lambda: nn.Linear(0, 3)(zeros(2, 0)), (2, 3)),
    "conv2d without images": (lambda: F.conv2d(zeros(0, 5, 5, 3), zeros(3, 3, 3, 4), 1, 1), (0, 5, 5, 4)),
    "conv2d without channels": (lambda: F.conv2d(zeros(2, 5, 5, 0), zeros(3, 3, 0, 4), 1, 1), (2, 5, 5, 4)),
    "conv2d to no channels": (lambda: F.conv2d(zeros(2, 5, 5, 3), zeros(3, 3, 3, 0), 2, 1), (2, 3, 3, 0)),
    "Winograd without images": (lambda: F.conv2d(zeros(0, 5, 5, 16), zeros(3, 3, 16, 16), 1, 1), (0, 5, 5, 16)),
    "batch norm without images": (lambda: F.batch_norm(zeros(0, 4, 4, 3), zeros(3), zeros(3), *running(3), False), (0, 4, 4, 3)),
    "batch norm without channels": (lambda: F.batch_norm(zeros(2, 4, 4, 0), zeros(0), zeros(0), *running(0), True), (2, 4, 4, 0)),
    "BatchNorm2d(0)": (lambda: nn.BatchNorm2d(0)(zeros(2, 3, 3, 0), relu=True), (2, 3, 3, 0)),
    "max pool": (lambda: F.max_pool2d(zeros(0, 4, 4, 3), 2), (0, 2, 2, 3)),
    "max pool without channels": (lambda: F.max_pool2d(zeros(2, 4, 4, 0), 3, 2, 1), (2, 2, 2, 0)),
    "average pool": (lambda: F.avg_pool2d(zeros(0, 4, 4, 3), 2), (0, 2, 2, 3)),
    "global pool": (lambda: F.global_avg_pool2d(zeros(0, 4, 4, 3)), (0, 3)),
    "global pool without channels": (lambda: F.global_avg_pool2d(zeros(2, 4, 4, 0)), (2, 0)),
    "shortcut": (lambda: F.shortcut(zeros(0, 4, 4, 3), 2, 6), (0, 2, 2, 6)),
    "shortcut from nothing": (lambda: F.shortcut(zeros(2, 4, 4, 0), 2, 6), (2, 2, 2, 6)),
    "a block": (lambda: block(0), (0, 4, 4, 16)),
    "cat": (lambda: mr.cat([zeros(0, 3), zeros(2, 3)]), (2, 3)),
    "where": (lambda: mr.where(np.zeros((0, 3), bool), zeros(3), zeros(0, 3)), (0, 3)),
    "softmax": (lambda: zeros(0, 3).softmax(1), (0, 3)),
    "logsumexp": (lambda: zeros(0, 3).logsumexp(1), (0,)),
    "einsum": (lambda: mr.einsum("ij,jk->ik", zeros(2, 0), zeros(0, 3)), (2, 3)),
    "norm": (lambda: zeros(0, 3).norm(), ()),
    "repeat": (lambda: zeros(0, 3).repeat(2, 2), (0, 6)),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", BACKENDS)
def test_nothing_has_a_result_and_gradients_of_its_shape(name):
    with mr.use(name):
        for what, (operation, shape) in OPERATIONS.items():
            y = operation()
            assert y.shape == shape and y.dtype == np.float32, what
            y.backward(backend.asarray(np.ones(shape, np.float32)))
            assert not np.isnan(y.numpy()).any(), what


@pytest.mark.filterwarnings("error")
def test_the_mean_of_nothing_is_no_number():
    for y in (zeros(0, 3).mean(0), zeros(0, 3).var(0), F.mse_loss(zeros(0, 3), zeros(0, 3))):
        y.backward(np.ones(y.shape, np.float32))
        assert np.isnan(y.numpy()).all()


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        (lambda: zeros(0, 3).max(0), r"max: there is no largest of no elements \(shape \(0, 3\)"),
        (lambda: zeros(0, 3).argmax(0), "argmax: there is no largest or smallest of no elements"),
        (lambda: zeros(0, 3).reshape(0, -1), r"reshape: the 0 elements of \(0, 3\) do not fit into"),
        (lambda: F.global_avg_pool2d(zeros(2, 0, 4, 3)), "global_avg_pool2d: x .* has no pixels"),
        (lambda: F.max_pool2d(zeros(2, 0, 4, 1), 2), "max_pool2d: a window of 2 does not fit into H"),
        (lambda: F.conv2d(zeros(2, 5, 5, 3), zeros(0, 3, 3, 4)), r"a window of \(0, 3\) has no pixels"),
        (lambda: F.cross_entropy(zeros(0, 3), np.zeros(0, int)), "cross_entropy: the batch is empty"),
        (lambda: F.cross_entropy(zeros(2, 0), np.zeros(2, int)), r"logits \(2, 0\) have no classes"),
        (
            lambda: F.batch_norm(zeros(0, 3), zeros(3), zeros(3), *running(3), True),
            "training needs more than one value per channel, but normalises",
        ),
    ],
)  # fmt: skip
def test_what_nothing_cannot_do_is_said(operation, sentence):
    with pytest.raises(ValueError, match=sentence):
        operation()


def test_a_network_evaluates_no_images():
    model = mr.models.resnet8().eval()
    assert model(zeros(0, 32, 32, 3)).shape == (0, 10)
