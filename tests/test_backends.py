"""Operation x backend x shape x dtype: every backend that works here agrees with the reference."""

import numpy as np
import pytest
from cases import BACKENDS, CASES

import minires as mr
from minires import Tensor, backend, cuda


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """Products of float32 are compared as such; `test_emulator.py` compares those in tf32."""
    monkeypatch.setattr(cuda, "_precision", "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_the_float64_reference(case, name, dtype):
    check_agreement(case, name, dtype)


def check_agreement(case, name: str, dtype: str) -> None:
    """float32 within 1e-5 of the largest value: a few dozen round-offs."""
    arrays = case.inputs(np.random.default_rng(0))
    expected = forward_and_backward(case, arrays)
    with mr.use(name):
        results = forward_and_backward(case, [array.astype(dtype) for array in arrays])
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for result, exact in zip(results, expected, strict=True):
        assert result.dtype == dtype and result.shape == exact.shape
        scale = max(np.abs(exact).max(initial=0), 1.0)
        np.testing.assert_allclose(result, exact, rtol=0, atol=tolerance * scale)


def forward_and_backward(case, arrays) -> list[np.ndarray]:
    """y and all gradients for a random cotangent, on the current backend."""
    tensors = [Tensor(backend.asarray(array), requires_grad=True) for array in arrays]
    y = case.fn(*tensors)
    cotangent = np.random.default_rng(1).standard_normal(y.shape).astype(arrays[0].dtype)
    y.backward(backend.asarray(cotangent))
    return [y.numpy(), *(backend.to_numpy(tensor.grad) for tensor in tensors)]
