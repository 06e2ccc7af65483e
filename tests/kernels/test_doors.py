"""What a Function is given is looked at on every backend: nothing wrong reaches compiled code."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor
from minires import functional as F
from minires.backend import problem
from minires.function import Function

BACKENDS = [name for name in ("numpy", "numba", "emulator") if problem(name) is None]


def zeros(*shape, dtype=np.float32):
    return Tensor(np.zeros(shape, dtype))


def statistics(mean=4, var=4, dtype=np.float32):
    return {"running_mean": np.zeros(mean, dtype), "running_var": np.ones(var, dtype)}


def normalization(**given):
    return {**statistics(), "training": True, "momentum": 0.1, "eps": 1e-5, **given}


def fused(**given):
    running = (np.zeros(4, np.float32), np.ones(4, np.float32))
    options = dict(running=running, stride=(1, 1), padding=(1, 1), training=True, momentum=0.1)
    return {**options, "eps": 1e-5, **given}


X, C, W = (2, 6, 6, 4), (4,), (3, 3, 4, 4)
LABELS = np.array([0, 1, 2])
MISUSES = {
    "conv2d, channels of the filter": ("conv2d", [X, (3, 3, 7, 4)], {}),
    "conv2d, fewer channels of the filter": ("conv2d", [X, (3, 3, 2, 4)], {}),
    "conv2d, a filter larger than the image": ("conv2d", [X, (9, 9, 4, 4)], {}),
    "conv2d, stride 0": ("conv2d", [X, W], dict(stride=(0, 1))),
    "conv2d, padding -1": ("conv2d", [X, W], dict(padding=(-1, 0))),
    "conv2d, an image without channels' axis": ("conv2d", [(6, 6, 4), W], {}),
    "max_pool2d, padding 9": (
        "max_pool2d",
        [X],
        dict(kernel=(2, 2), stride=(2, 2), padding=(9, 9)),
    ),
    "max_pool2d, no window": ("max_pool2d", [X], dict(kernel=(0, 2), stride=(1, 1))),
    "max_pool2d, window too large": ("max_pool2d", [X], dict(kernel=(7, 7), stride=(1, 1))),
    "max_pool2d, stride -1": ("max_pool2d", [X], dict(kernel=(2, 2), stride=(-1, 1))),
    "avg_pool2d, padding 9": (
        "avg_pool2d",
        [X],
        dict(kernel=(2, 2), stride=(2, 2), padding=(9, 9)),
    ),
    "avg_pool2d, stride 0": ("avg_pool2d", [X], dict(kernel=(2, 2), stride=(0, 0))),
    "global_avg_pool2d, a matrix": ("global_avg_pool2d", [(2, 4)], {}),
    "global_avg_pool2d, no pixels": ("global_avg_pool2d", [(2, 0, 3, 4)], {}),
    "cross_entropy, a label too large": ("cross_entropy", [(3, 2)], dict(labels=LABELS)),
    "cross_entropy, a negative label": ("cross_entropy", [(3, 3)], dict(labels=LABELS - 1)),
    "cross_entropy, too few labels": ("cross_entropy", [(4, 3)], dict(labels=LABELS)),
    "cross_entropy, labels of floats": ("cross_entropy", [(3, 3)], dict(labels=LABELS * 1.0)),
    "shortcut, fewer channels": ("shortcut", [X], dict(stride=1, channels=2)),
    "shortcut, stride 0": ("shortcut", [X], dict(stride=0, channels=4)),
    "batch_norm, a short running_mean": (
        "batch_norm",
        [X, C, C],
        normalization(**statistics(mean=1)),
    ),
    "batch_norm, a long running_var": ("batch_norm", [X, C, C], normalization(**statistics(var=9))),
    "batch_norm, running statistics of integers": (
        "batch_norm",
        [X, C, C],
        normalization(**statistics(dtype=np.int64)),
    ),
    "batch_norm, a short gamma": ("batch_norm", [X, (2,), C], normalization()),
    "batch_norm, a residual of another shape": (
        "batch_norm",
        [X, C, C, (1, 6, 6, 4)],
        normalization(),
    ),
    "conv_norm_relu, channels of the filter": ("conv_norm_relu", [X, (3, 3, 2, 4), C, C], fused()),
    "conv_norm_relu, a short beta": ("conv_norm_relu", [X, W, C, (1,)], fused()),
    "linear, features": ("linear", [(2, 5), (4, 3)], {}),
    "linear, a short bias": ("linear", [(2, 4), (4, 3), (1,)], {}),
    "dropout, a small mask": ("dropout", [X], dict(keep=np.ones((2, 1), bool), p=0.5)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("misuse", MISUSES)
def test_a_misused_function_is_refused_in_a_sentence_that_names_it(misuse, backend):
    op, shapes, options = MISUSES[misuse]
    with mr.backend.use(backend):
        if op == "max_pool2d" or op == "avg_pool2d":
            options = {"padding": (0, 0), **options}
        with pytest.raises((ValueError, TypeError), match=f"^{op}: .* "):
            Function(op, **options)(*(zeros(*shape) for shape in shapes))


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_written_outside_of_running_mean(backend):
    around = np.full(32, 7, np.float32)
    with mr.backend.use(backend), pytest.raises(ValueError, match="running_mean must be"):
        Function("batch_norm", **normalization(running_mean=around[8:9]))(
            zeros(*X), zeros(*C), zeros(*C)
        )
    assert (around == 7).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("wrong", [2**40, -100])
def test_a_label_changed_between_forward_and_backward_is_harmless(wrong, backend):
    rng = np.random.default_rng(0)
    z, labels = rng.standard_normal((4096, 10)).astype(np.float32), rng.integers(0, 10, 4096)
    gradients = []
    for changed in (False, True):
        with mr.backend.use(backend):
            logits, given = Tensor(z, requires_grad=True), labels.copy()
            loss = F.cross_entropy(logits, given)
            if changed:
                given[1234] = wrong
            loss.backward()
            gradients.append(logits.grad)
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_index_changed_between_forward_and_backward_is_harmless(backend):
    with mr.backend.use(backend):
        x, key = Tensor(np.zeros(8), requires_grad=True), np.arange(4)
        y = x[key].sum() + x[(key[:2],)].sum()
        key[:] = 10**9
        y.backward()
    np.testing.assert_array_equal(x.grad, [2, 2, 1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_a_padding_is_refused_only_where_a_window_would_hold_no_pixel(name, backend):
    pool = getattr(F, name)
    with mr.backend.use(backend):
        x = Tensor(np.ones((1, 4, 4, 1)), requires_grad=True)
        y = pool(x, 3, 1, 2)  # each window of 3 holds a pixel
        y.sum().backward()
        corner = 1 if name == "max_pool2d" else 1 / 9
        assert y.shape == (1, 6, 6, 1) and np.isclose(y.numpy()[0, 0, 0, 0], corner)
        assert np.isclose(x.grad.sum(), y.numpy().sum())
        with pytest.raises(ValueError, match="would hold no pixel"):
            pool(x, 3, 1, 3)
