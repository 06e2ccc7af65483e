"""Fixtures: the real CIFAR-10 and published weights where they are at hand, a fresh start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# NumPy and PyTorch multiply small matrices here, and another process of tests has the other cores.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import minires as mr  # noqa: E402
from minires import cuda  # noqa: E402

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def fresh_start(monkeypatch):
    """Every test begins on numpy, with seed 0, in the default precision, errors as sentences."""
    cuda.set_precision("auto")
    monkeypatch.delenv("MINIRES_DEBUG", raising=False)
    mr.use("numpy")
    mr.seed(0)


@pytest.fixture(scope="session")
def real_cifar10(tmp_path_factory) -> Path:
    """A directory that holds the real CIFAR-10 in its official binary layout."""
    script = SHARED / "unpack_cifar10.py"
    if not script.exists():
        pytest.skip("the real CIFAR-10 is not at hand (no ../shared/data beside the repository)")
    directory = tmp_path_factory.mktemp("cifar")
    subprocess.run([sys.executable, script, directory], check=True, capture_output=True)
    return directory


@pytest.fixture(scope="session")
def published_weights() -> Path:
    """A directory with resnet20.safetensors and resnet32.safetensors, trained with PyTorch."""
    if not (SHARED / "weights").exists():
        pytest.skip("published weights are not at hand (no ../shared/data beside the repository)")
    return SHARED / "weights"
