"""Operation x backend x shape x dtype: every backend that works here agrees with the reference."""

import pytest
from cases import BACKENDS, CASES
from operation_checks import check_agreement

from minires import cuda


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """Products of float32 are compared as such; `test_emulator.py` compares those in tf32."""
    cuda.set_precision("float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_the_float64_reference(case, name, dtype):
    check_agreement(case, name, dtype)
