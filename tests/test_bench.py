"""The benchmark measures what it says: the same work, by turns, told in full."""

import json
import sys

import pytest

from minires import backend
from minires.bench import Contestant, measure, report
from minires.bench.contestants import training_flops
from minires.bench.measure import Result, resident_bytes
from minires.bench.report import as_json, table, verdict
from minires.cli import main

TINY = {"rounds": 2, "steps": 2}


def test_flops_of_resnet20_are_those_of_the_paper_times_three():
    """40.55 million multiply-adds forward (0.0406 x 10^9 in the literature); backward is twice
    that, without the gradient of the images."""
    forward = 2 * 40_551_040
    first_layer = 2 * 32 * 32 * 9 * 3 * 16
    assert training_flops("resnet20") == 3 * forward - first_layer


def test_every_contestant_does_the_same_work():
    pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[parity]')")
    engines = ("numpy", "numba", "torch eager", "torch channels_last")
    for model in ("resnet8", "plain8"):
        results = measure([Contestant(model, 4, engine) for engine in engines], **TINY)
        assert [result.problem for result in results] == [""] * len(engines)
        losses = [result.first_loss for result in results]
        assert max(losses) - min(losses) < 1e-4 and losses[0] > 1
        assert all(len(result.seconds) == 4 for result in results)


def test_operations_are_timed_one_by_one():
    (result,) = measure([Contestant("resnet8", 4, "numpy")], per_operation=True, **TINY)
    names = result.per_operation.keys()
    assert {"SGD", "linear 4x64", "linear 4x64, backward"} <= names
    assert "conv2d 3x3, 16 to 32 channels, stride 2, 32x32 pixels, backward" in names
    assert all(seconds > 0 for seconds in result.per_operation.values())


def test_the_peak_of_memory_is_above_what_the_libraries_take():
    (result,) = measure([Contestant("resnet8", 64, "numpy")], **TINY)
    assert result.peak_bytes > result.library_bytes + 64 * 32 * 32 * 16 * 4
    assert resident_bytes(peak=True) >= resident_bytes() > 1 << 20


def test_a_contestant_that_fails_is_told_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(Contestant, "check", lambda self: None)
    contestants = [Contestant("resnet8", 2, engine) for engine in ("no such", "numpy")]
    failed, worked = measure(contestants, **TINY)
    assert "no backend is named 'no such'" in failed.problem and not worked.problem
    assert "no backend is named" in table([failed, worked], 1e9)
    rows = json.loads(as_json([failed, worked], 1e9, ""))["results"]
    assert "problem" in rows[0] and rows[1]["images_per_second"] > 0


def test_what_does_not_exist_is_refused_before_anything_runs(monkeypatch):
    with pytest.raises(backend.BackendUnavailable, match="cupy"):
        measure([Contestant("resnet8", 2, "numpy"), Contestant("resnet8", 2, "cupy")])
    with pytest.raises(ValueError, match="no network is named"):
        measure([Contestant("resnet9", 2, "numpy")])
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match="PyTorch is not installed"):
        measure([Contestant("resnet8", 2, "torch eager")])


def result(engine: str, seconds: float) -> Result:
    contestant = Contestant("resnet20", 100, engine)
    return Result(contestant, [seconds, seconds, 2 * seconds], flops=10**9, first_loss=2.0)


def test_the_verdict_compares_the_fastest_of_both_in_float32():
    group = [
        result("numpy", 0.4),
        result("numba", 0.1),
        result("torch eager", 0.2),
        result("torch compile", 0.15),
        result("torch bf16", 0.01),
    ]
    assert "numba trains 1.50 times as many images" in verdict(group)
    assert "(compile)" in verdict(group)
    assert verdict(group[:2]) == ""
    row = table(group, 20e9).splitlines()[3]
    assert row.split()[2:] == "numba 100.0 100.0 to 200.0 1000 1.00 10 50 % 0 MB 0.0 s".split()


def test_the_report_is_printed_and_written(tmp_path, capsys):
    report([result("numpy", 0.4), result("numba", 0.1)], 20e9, "minires bench", tmp_path / "x")
    printed = capsys.readouterr().out
    assert "numpy" in printed and "GFLOP/s" in printed
    content = json.loads((tmp_path / "x.json").read_text())
    assert content["command"] == "minires bench" and content["machine"]
    assert content["results"][1]["median_ms"] == 100
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["minires", "bench", "--model", "resnet8"])
    options = "--model resnet8 --batch-size 2 3 --backend numpy --rounds 1 --steps 2 --threads 1"
    assert main(["bench", *options.split(), "--per-op", "--out", str(tmp_path / "new" / "b")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("numpy, 1 thread ") == 2 and "seconds per step by operation" in printed
    rows = json.loads((tmp_path / "new" / "b.json").read_text())["results"]
    assert [row["batch_size"] for row in rows] == [2, 3] and rows[0]["threads"] == 1


@pytest.mark.parametrize("option", ["--rounds 0", "--batch-size 0", "--threads -1", "--steps x"])
def test_a_number_below_one_is_refused(option, capsys):
    with pytest.raises(SystemExit):
        main(["bench", *option.split()])
    assert "number of at least 1" in capsys.readouterr().err
