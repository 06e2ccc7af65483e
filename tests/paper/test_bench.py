"""The benchmark measures what it says: the same work, by turns, told in full."""

import json
import sys

import pytest

from minires import backend
from minires.benchmarks import Contestant, measure, report
from minires.benchmarks.contestants import training_flops
from minires.benchmarks.reporting import as_json, doubt, table, verdict
from minires.benchmarks.timing import Result, resident_bytes
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
    engines = ("numpy", "numba", "torch eager", "torch channels_last", "torch bf16")
    for model in ("resnet8", "plain8"):
        results = measure([Contestant(model, 4, engine, 1) for engine in engines], **TINY)
        assert [result.problem for result in results] == [""] * len(engines)
        *losses, in_bf16 = [result.first_loss for result in results]
        assert max(losses) - min(losses) < 1e-4 and losses[0] > 1
        assert in_bf16 == pytest.approx(losses[0], rel=0.05)
        assert all(len(result.seconds) == 4 for result in results)


def test_operations_are_timed_one_by_one():
    (result,) = measure([Contestant("resnet8", 4, "numpy", 1)], per_operation=True, **TINY)
    names = result.per_operation.keys()
    assert {"SGD", "linear 4x64", "linear 4x64, backward"} <= names
    assert "conv2d 3x3, 16 to 32 channels, stride 2, 32x32 pixels, backward" in names
    assert all(seconds > 0 for seconds in result.per_operation.values())


def test_the_peak_of_memory_grows_with_the_batch():
    small, large = measure([Contestant("resnet8", n, "numpy", 1) for n in (2, 128)], **TINY)
    assert large.peak_bytes > small.peak_bytes + 100 * 32 * 32 * 16 * 4
    now = resident_bytes()
    assert resident_bytes(peak=True) >= now > 1 << 20


def test_a_contestant_that_fails_is_told_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(Contestant, "check", lambda self: None)
    contestants = [Contestant("resnet8", 2, engine, 1) for engine in ("no such", "numpy")]
    failed, worked = measure(contestants, **TINY)
    assert "no backend is named 'no such'" in failed.problem and not worked.problem
    assert "no backend is named" in table([failed, worked], 1e9)
    rows = json.loads(as_json([failed, worked], 1e9, ""))["results"]
    assert "problem" in rows[0] and rows[1]["images_per_second"] > 0


def test_what_does_not_exist_is_refused_before_anything_runs(monkeypatch):
    with pytest.raises(backend.BackendUnavailable, match="cupy"):
        measure([Contestant("resnet8", 2, "numpy", 1), Contestant("resnet8", 2, "cupy", 1)])
    with pytest.raises(ValueError, match="no network is named"):
        measure([Contestant("resnet9", 2, "numpy", 1)])
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match="PyTorch is not installed"):
        measure([Contestant("resnet8", 2, "torch eager", 1)])


def result(engine: str, seconds: float) -> Result:
    contestant = Contestant("resnet20", 100, engine, 1)
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
    assert row.split()[2:] == "1 numba 100.0 100.0 to 150.0 1000 1.00 10 50 % ? 0.0 s".split()


def test_different_first_losses_are_warned_of():
    group = [result("numpy", 0.4), result("numba", 0.1)]
    assert doubt(group) == ""
    group[1].first_loss = 2.1
    assert "WARNING" in doubt(group)
    group[1].first_loss = float("nan")
    assert "WARNING" in doubt(group)


def test_a_single_timed_step_is_enough():
    (one,) = measure([Contestant("resnet8", 2, "numpy", 1)], rounds=1, steps=1)
    assert one.quartiles == one.seconds * 3


def test_many_contestants_take_turns_by_network(monkeypatch):
    monkeypatch.setattr("minires.benchmarks.timing.TOGETHER", 1)
    contestants = [Contestant("resnet8", n, "numpy", 1) for n in (2, 3)]
    results = measure(contestants, **TINY)
    assert [result.contestant for result in results] == contestants
    assert all(len(result.seconds) == 4 for result in results)


def test_the_report_is_printed_and_written(tmp_path, capsys):
    report([result("numpy", 0.4), result("numba", 0.1)], 20e9, "minires bench", tmp_path / "x")
    printed = capsys.readouterr().out
    assert "numpy" in printed and "GFLOP/s" in printed
    content = json.loads((tmp_path / "x.json").read_text())
    assert content["command"] == "minires bench" and content["machine"]
    assert content["results"][1]["median_ms"] == 100
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_line(tmp_path, capsys):
    options = "--model resnet8 --batch-size 2 3 --backend numpy --rounds 1 --steps 2 --threads 1"
    assert main(["bench", *options.split(), "--per-op", "--out", str(tmp_path / "new" / "b")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("1  numpy ") == 2 and printed.count("time per step by operation") == 2
    content = json.loads((tmp_path / "new" / "b.json").read_text())
    assert content["command"] == f"minires bench {options} --per-op".replace(
        " --rounds 1 --steps 2 --threads 1", " --threads 1 --rounds 1 --steps 2"
    )
    rows = content["results"]
    assert [row["batch_size"] for row in rows] == [2, 3] and rows[0]["threads"] == 1


@pytest.mark.parametrize("option", ["--rounds 0", "--batch-size 0", "--threads -1", "--steps x"])
def test_a_number_below_one_is_refused(option, capsys):
    with pytest.raises(SystemExit):
        main(["bench", *option.split()])
    assert "number of at least 1" in capsys.readouterr().err
