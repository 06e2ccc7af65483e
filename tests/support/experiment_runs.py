"""What the tests of `minires reproduce` share: its smoke budget in seconds, runs made once."""

from pathlib import Path

import numpy as np

from minires.cli import main
from minires.paper import (
    gradnorm,
    setting,
)
from minires.paper.setting import BUDGETS, Setting
from minires.training.weights import read_arrays

TINY = {"steps": 3, "dataset": "shapes", "batch_size": 16, "train_size": 32, "test_size": 32}
TINY |= {"image_size": 16}
NETS = ("plain8", "resnet8")


def make_tiny(monkeypatch) -> None:
    """The smoke budget, but of seconds."""
    for budgets in (BUDGETS, gradnorm.BUDGETS):
        monkeypatch.setitem(budgets, "smoke", setting.Budget("tiny", TINY))


def make(out, nets=NETS, seeds=(0,), **options) -> Setting:
    return Setting("smoke", nets, seeds, out, options | {"backend": "numba"}, download=False)


def reproduce(capsys, out, *arguments) -> tuple[int, str, str]:
    options = ["--budget", "smoke", "--backend", "numba", "--no-download", "--out", out]
    status = main([str(word) for word in ("reproduce", *arguments, *options)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def copied(out: Path, to: Path, *names: str, run: str = "resnet8-seed0") -> Path:
    """Some files of a run under another --out."""
    path = to / "runs" / run
    path.mkdir(parents=True)
    for name in names:
        (path / name).write_bytes((out / "runs" / run / name).read_bytes())
    return path


def assert_same_weights(one: Path, other: Path) -> None:
    (first, _), (second, _) = (read_arrays(path / "last.safetensors") for path in (one, other))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
