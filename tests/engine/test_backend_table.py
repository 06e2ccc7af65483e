"""The table of backends: one entry, asked by all; a backend from outside is as good as the own."""

import sys
from types import ModuleType

import numpy as np
import pytest

import minires as mr
from minires import Tensor, backend, backends, models
from minires import functional as F
from minires.backend import Backend, register
from minires.benchmarks.account import chosen_engine
from minires.cli import main
from minires.training import Config
from minires.training.graphed import is_graphed

DOUBLED = """
def forward(x):
    return 2 * x.clip(0), (x > 0,)


def backward(dy, saved, needs):
    return (2 * dy * saved[0],)
"""


@pytest.fixture(autouse=True)
def own_table():
    """Entries that a test adds are gone after it."""
    before = dict(backends.BACKENDS)
    yield
    backends.BACKENDS.clear()
    backends.BACKENDS.update(before)


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Backend:
    """A backend from outside with a relu of its own, which doubles."""
    folder = tmp_path / "toy_kernels" / "relu"
    folder.mkdir(parents=True)
    (folder / "toy.py").write_text(DOUBLED)
    monkeypatch.syspath_prepend(tmp_path)
    yield register(Backend("toy", kernel_file="toy", package="toy_kernels"))
    for name in [name for name in sys.modules if name.startswith("toy_kernels")]:
        del sys.modules[name]


def test_a_registered_backend_computes_with_its_kernels_and_else_with_the_reference(toy):
    x = Tensor(np.float32([-1, 2, 3]), requires_grad=True)
    with mr.use("toy"):
        y = F.relu(x) + 1
        y.backward(np.ones(3, np.float32))
    np.testing.assert_array_equal(y.data, [1, 5, 7])
    np.testing.assert_array_equal(x.grad, [0, 2, 2])
    assert toy.own_kernels() == ["relu"]
    with mr.use("toy"):
        assert models.resnet8()(Tensor(np.ones((1, 8, 8, 3), np.float32))).shape == (1, 10)


def test_a_registered_backend_is_found_wherever_backends_are_asked_for(toy, capsys, tmp_path):
    assert backend.problem("toy") is None and backend.default() != "toy"
    assert main(["info"]) == 0
    assert "toy         works; kernels of its own for 1 of" in capsys.readouterr().out
    tiny = "train --model resnet8 --dataset shapes --image-size 8 --train-size 16 --test-size 4"
    arguments = [*tiny.split(), "--batch-size", "16", "--steps", "1", "--backend", "toy"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    assert "backend   toy" in capsys.readouterr().out


def test_what_an_entry_cannot_do_is_refused_with_those_that_can(toy):
    with mr.use("toy"):
        for precision, able in (("tf32", "cupy or emulator"), ("fp16", "cupy, numpy, emulator")):
            with pytest.raises(ValueError, match=f"{able}.* but the backend is toy"):
                backend.set_precision(precision)
        with pytest.raises(ValueError, match="backend cupy or emulator.* but the backend is toy"):
            is_graphed(Config(graph=True))
        assert not is_graphed(Config())
    with pytest.raises(ValueError, match="backend cupy or emulator.* but the backend is toy"):
        chosen_engine("toy")


def test_why_a_backend_does_not_work_is_asked_of_its_entry_when_it_is_needed():
    asked = []
    register(Backend("absent", problem=lambda: asked.append(1) or "its stone is missing"))
    assert not asked
    with pytest.raises(mr.BackendUnavailable, match="'absent' does not work here: its stone is"):
        mr.use("absent")


def test_the_fastest_that_may_be_chosen_unasked_is_the_default(monkeypatch):
    works = {"numba_cuda", "numpy"}
    monkeypatch.setattr(backend, "problem", lambda name: None if name in works else "broken")
    assert backend.default() == "numpy"


@pytest.mark.parametrize("name", ["numpy", "auto", "", "two words"])
def test_a_name_that_is_taken_or_none_is_refused(name):
    with pytest.raises(ValueError, match="already a backend named|cannot be a backend's name"):
        register(Backend(name))


def test_what_is_no_backend_is_refused():
    with pytest.raises(TypeError, match="expected a Backend, got a module"):
        register(ModuleType("numpy"))


def test_each_backend_is_one_entry_with_its_name():
    assert list(backends.BACKENDS) == ["cupy", "numba", "numba_cuda", "numpy", "emulator"]
    assert all(name == entry.name for name, entry in backends.BACKENDS.items())
    assert backends.able_to("tf32") == backends.able_to("graphs") == ["cupy", "emulator"]
    assert backends.able_to("half_storage") == ["cupy", "numpy", "emulator"]
    with pytest.raises(ValueError, match="no backend is named 'torch'; there are cupy, numba"):
        backend.get("torch")
