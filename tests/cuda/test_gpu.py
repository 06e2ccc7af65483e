"""On a CUDA GPU: training has the losses of numpy; `test_backends.py` runs there, too."""

import pytest
from traces import assert_replays_are_plain_steps, assert_same_training

from minires import backend, cuda, optim

pytestmark = pytest.mark.gpu
if why := backend.problem("cupy"):
    pytest.skip(f"no GPU to test on: {why}", allow_module_level=True)


@pytest.mark.parametrize(
    ("dtype", "lr", "tolerance"), [("float64", 0.1, 1e-9), ("float32", 0.001, 1e-4)]
)
def test_a_training_run_has_the_losses_of_numpy(dtype, lr, tolerance, monkeypatch):
    cuda.set_precision("float32")
    assert_same_training("cupy", dtype, lr, tolerance)


@pytest.mark.parametrize("fused", [None, False], ids=["fused", "separate"])
def test_replays_of_a_graph_have_the_bits_of_plain_steps(fused):
    assert_replays_are_plain_steps("cupy", fused)


@pytest.mark.parametrize("method", [optim.Adam, optim.AdamW])
def test_replays_of_a_graph_count_the_steps_of_adam(method):
    assert_replays_are_plain_steps("cupy", method=method)
