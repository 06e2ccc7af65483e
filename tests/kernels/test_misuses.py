"""A Function called past the public functions is refused in words, on every backend."""

import numpy as np
import pytest
from cases import BACKENDS

import minires as mr
from minires import Tensor, backend
from minires import functional as F
from minires.function import Function


def floats(*shape):
    return np.ones(shape, np.float32)


STATISTICS = {"running_mean": floats(16), "running_var": floats(16)}
NORM = {"training": True, "momentum": 0.1, "eps": 1e-5, "relu": False}
STEP = {"stride": (1, 1), "padding": (1, 1)}
MISUSES = {
    "channels of conv2d": ("conv2d", [floats(2, 5, 5, 16), floats(3, 3, 32, 16)], STEP),
    "a filter without axes": ("conv2d", [floats(2, 5, 5, 16), floats(9)], STEP),
    "a filter too large": ("conv2d", [floats(2, 5, 5, 16), floats(9, 9, 16, 16)], STEP),
    "dtypes of conv2d": ("conv2d", [floats(2, 5, 5, 16), np.ones((3, 3, 16, 16))], STEP),
    "stride 0": ("conv2d", [floats(2, 5, 5, 16), floats(3, 3, 16, 16)], STEP | {"stride": (0, 1)}),
    "padding -3": ("conv2d", [floats(2, 5, 5, 16), floats(3, 3, 16, 16)], STEP | {"padding": (-3, 0)}),
    "a stride of floats": ("conv2d", [floats(2, 5, 5, 16), floats(3, 3, 16, 16)], STEP | {"stride": (1.5, 1)}),
    "integers": ("conv2d", [np.ones((2, 5, 5, 16), int), np.ones((3, 3, 16, 16), int)], STEP),
    "padding 9 of a pool": ("max_pool2d", [floats(2, 6, 6, 3)], {"kernel": (2, 2), "stride": (2, 2), "padding": (9, 9)}),
    "a window too large": ("max_pool2d", [floats(2, 6, 6, 3)], {"kernel": (9, 9), "stride": (2, 2), "padding": (0, 0)}),
    "an average of no axes": ("avg_pool2d", [floats(6)], {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
    "a global pool of no pixels": ("global_avg_pool2d", [floats(2, 0, 3, 3)], {}),
    "a label too large": ("cross_entropy", [floats(4, 3)], {"labels": np.array([0, 1, 2**40, 2]), "label_smoothing": 0.0}),
    "a negative label": ("cross_entropy", [floats(4, 3)], {"labels": np.array([0, 1, -100, 2]), "label_smoothing": 0.0}),
    "too few labels": ("cross_entropy", [floats(4, 3)], {"labels": np.array([0, 1]), "label_smoothing": 0.0}),
    "labels of floats": ("cross_entropy", [floats(4, 3)], {"labels": floats(4), "label_smoothing": 0.0}),
    "fewer channels of a shortcut": ("shortcut", [floats(2, 4, 4, 16)], {"stride": 2, "channels": 8}),
    "stride 0 of a shortcut": ("shortcut", [floats(2, 4, 4, 16)], {"stride": 0, "channels": 16}),
    "a short running mean": ("batch_norm", [floats(4, 16), floats(16), floats(16)], NORM | STATISTICS | {"running_mean": floats(8)}),
    "an integer running mean": ("batch_norm", [floats(4, 16), floats(16), floats(16)], NORM | STATISTICS | {"running_mean": np.ones(16, int)}),
    "a short gamma": ("batch_norm", [floats(4, 16), floats(8), floats(16)], NORM | STATISTICS),
    "a short residual": ("batch_norm", [floats(4, 16), floats(16), floats(16), floats(2, 16)], NORM | STATISTICS),
    "no momentum": ("batch_norm", [floats(4, 16), floats(16), floats(16)], NORM | STATISTICS | {"momentum": None}),
    "eps -1": ("batch_norm", [floats(4, 16), floats(16), floats(16)], NORM | STATISTICS | {"eps": -1.0}),
    "one row in training": ("batch_norm", [floats(1, 16), floats(16), floats(16)], NORM | STATISTICS),
    "features of linear": ("linear", [floats(4, 16), floats(8, 3)], {}),
    "a short bias": ("linear", [floats(4, 16), floats(16, 3), floats(2)], {}),
    "a product that does not fit": ("matmul", [floats(4, 16), floats(8, 3)], {}),
    "a mask of another shape": ("dropout", [floats(4, 16)], {"keep": np.ones((4, 8), bool), "p": 0.5}),
    "a sum that does not broadcast": ("add", [floats(4, 16), floats(4, 8)], {}),
    "a block with even filters": ("basic_block", [floats(2, 4, 4, 16), floats(2, 2, 16, 16), floats(16), floats(16), floats(2, 2, 16, 16), floats(16), floats(16)], {"running1": (floats(16), floats(16)), "running2": (floats(16), floats(16)), "training": False, "momentum": 0.1, "eps": 1e-5, "shortcut": True, "stride": 1}),
    "a stem with a short variance": ("conv_norm_relu", [floats(2, 4, 4, 16), floats(3, 3, 16, 16), floats(16), floats(16)], {"running": (floats(16), floats(8)), "training": True, "momentum": 0.1, "eps": 1e-5} | STEP),
}  # fmt: skip
# ruff: noqa: E501  (a table)


def on(value):
    """Arrays on the current backend, everything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(on, value))
    return backend.asarray(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("what", MISUSES)
def test_a_function_called_past_the_public_ones_is_refused_in_words(what, name):
    op, arrays, options = MISUSES[what]
    with mr.use(name):
        options = {key: on(value) for key, value in options.items()}
        before = {k: backend.to_numpy(v).copy() for k, v in options.items() if backend.is_array(v)}
        with pytest.raises((TypeError, ValueError), match=rf"^{op}: "):
            Function(op, **options)(*(Tensor(on(array)) for array in arrays))
        for key, array in before.items():
            np.testing.assert_array_equal(backend.to_numpy(options[key]), array)


def test_the_public_functions_pass_these_doors():
    x = Tensor(floats(2, 6, 6, 16), requires_grad=True)
    y = F.conv2d(x, floats(3, 3, 16, 16), padding=1)
    y = F.max_pool2d(y, 3, 2, 1)
    F.cross_entropy(F.linear(F.global_avg_pool2d(y), floats(16, 3)), np.array([0, 2])).backward()
    assert x.grad.shape == x.shape
