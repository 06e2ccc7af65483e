"""The same numbers as PyTorch: every operation, and a whole training run (extra `parity`)."""

import numpy as np
import pytest
from cases import CASES

from minires import Tensor, models, optim
from minires import functional as F
from minires.interop import to_torch_state_dict

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[parity]')")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=str)
def test_operation_agrees_forward_and_backward(case, dtype):
    rng = np.random.default_rng(0)
    arrays = [array.astype(dtype) for array in case.inputs(rng)]
    ours = [Tensor(array.copy(), requires_grad=True) for array in arrays]
    y = case.fn(*ours)
    cotangent = rng.standard_normal(y.shape).astype(dtype)
    y.backward(cotangent)

    torch.set_default_dtype(getattr(torch, dtype))
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    expected = case.torch(*theirs)
    expected.backward(torch.tensor(cotangent))

    tolerance = 1e-12 if dtype == "float64" else 1e-5
    _assert_close(y.numpy(), expected.detach().numpy(), tolerance)
    for mine, other in zip(ours, theirs, strict=True):
        _assert_close(mine.grad, other.grad.numpy(), tolerance)


def _assert_close(ours, theirs, tolerance):
    scale = max(np.abs(theirs).max(initial=0), 1.0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(
    ("dtype", "lr", "tolerance"),
    [("float64", 0.1, 1e-9), ("float32", 0.001, 1e-4)],
)
def test_resnet20_training_trace(dtype, lr, tolerance):
    """The same initial weights and batches give the same losses for 20 steps of SGD.

    In float32 with the smaller learning rate: at 0.1 the first steps amplify any round-off so much
    that PyTorch's float32 run does not stay within 1e-4 of its own float64 run either.
    """
    ours = models.resnet20()
    ours = ours.double() if dtype == "float64" else ours
    from minires.benchmarks.torch_resnet import TorchResNet

    theirs = TorchResNet(3).to(getattr(torch, dtype))
    state = to_torch_state_dict(ours.state_dict())
    missing = theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing.missing_keys)
    assert not missing.unexpected_keys
    settings = {"lr": lr, "momentum": 0.9, "weight_decay": 1e-4}
    our_sgd = optim.SGD(ours, **settings)
    their_sgd = torch.optim.SGD(theirs.parameters(), **settings)

    rng = np.random.default_rng(0)
    for step in range(20):
        x = rng.standard_normal((16, 16, 16, 3)).astype(dtype)
        labels = rng.integers(0, 10, 16)
        loss = F.cross_entropy(ours(x), labels)
        our_sgd.zero_grad()
        loss.backward()
        our_sgd.step()
        logits = theirs(torch.tensor(x).permute(0, 3, 1, 2))
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
        their_sgd.zero_grad()
        expected.backward()
        their_sgd.step()
        assert loss.item() == pytest.approx(expected.item(), rel=tolerance), f"step {step}"

    state = to_torch_state_dict(ours.state_dict())
    for name, value in theirs.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_allclose(
                state[name], value.numpy(), rtol=0, atol=10 * tolerance, err_msg=name
            )
