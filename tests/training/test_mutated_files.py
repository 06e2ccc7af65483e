"""Mutated files, in short: see `benchmarks/reliability/readers.py`."""

import os
import time

import pytest

from minires import nn
from minires.benchmarks.reliability.readers import READERS, Reader, work
from minires.training import load_weights, save_weights
from minires.training.weights import WeightsError

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", READERS)
def test_a_mutated_file_gives_what_it_may_or_a_sentence(name):
    if name == "PyTorch files":
        pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[parity]')")
    found = work(READERS[name], seed=1, first=0, count=150)
    assert not found.faults, "\n".join(found.faults)
    assert found.counts.total() == 150


def _made(folder):
    path = folder / "subject.bin"
    path.write_bytes(b"0123456789abcdef")
    return [path]


def _planted(read, **others) -> list[str]:
    calls = iter(range(100))
    whole = lambda path: "whole" if next(calls) == 0 else read(path)  # noqa: E731
    return work(Reader("planted", _made, whole, (ValueError,), **others), 0, 0, 4).faults


def test_the_injector_sees_every_kind_of_fault(monkeypatch):
    def refuses(text):
        def read(path):
            raise ValueError(text.format(path.name))

        return read

    assert _planted(refuses("{}: it is not such a file")) == []
    assert "its sentence is 'bad'" in _planted(refuses("bad"))[0]
    assert "its sentence is" in _planted(refuses("some file is not such a file"))[0]
    assert "ZeroDivisionError" in _planted(lambda path: 1 // 0)[0]
    assert "other" in _planted(lambda path: 1, differs=lambda path, value, whole: "other")[0]
    assert "it starts something" in _planted(lambda path: os.system("true"))[0]
    monkeypatch.setattr("minires.benchmarks.reliability.readers.SECONDS", 0.05)
    assert "it takes more than" in _planted(lambda path: time.sleep(1))[0]


def test_weights_of_another_network_are_refused_with_the_name_of_their_file(tmp_path):
    path = tmp_path / "some.safetensors"
    save_weights(path, nn.Linear(2, 3))
    with pytest.raises(WeightsError, match=r"some.safetensors: .* missing 0.bias, 0.weight"):
        load_weights(path, nn.Sequential(nn.Linear(2, 3)))
    with pytest.raises(WeightsError, match=r"some.safetensors: .*weight is \(2, 3\)"):
        load_weights(path, nn.Linear(2, 4))
