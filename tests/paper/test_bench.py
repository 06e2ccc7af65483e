"""The benchmark measures what it says: the same work, by turns, told in full."""

import json
import multiprocessing
import sys

import pytest

from minires import backend
from minires.benchmarks.clocks import Clock
from minires.benchmarks.entries import GPU_WAYS, Entry, entries
from minires.benchmarks.memory import resident_bytes
from minires.benchmarks.race import Result, race
from minires.benchmarks.report import as_json, doubt, report, row, table, verdicts
from minires.benchmarks.steps import Step, training_flops
from minires.cli import main

TINY = {"rounds": 2, "steps": 2}


def test_flops_of_resnet20_are_those_of_the_paper_times_three():
    """40.55 million multiply-adds forward (0.0406 x 10^9 in the literature); backward is twice
    that, without the gradient of the images."""
    forward = 2 * 40_551_040
    first_layer = 2 * 32 * 32 * 9 * 3 * 16
    assert training_flops("resnet20") == 3 * forward - first_layer


def test_every_entry_does_the_same_work():
    pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[parity]')")
    all_engines = ("numpy", "numba", "torch eager", "torch channels_last", "torch bf16")
    for model, engines in (("resnet8", all_engines), ("plain8", ("numpy", "torch bf16"))):
        results = race([Entry(model, 4, engine, 1) for engine in engines], **TINY)
        assert [result.problem for result in results] == [""] * len(engines)
        *losses, in_bf16 = [result.first_loss for result in results]
        assert max(losses) - min(losses) < 1e-4 and losses[0] > 1
        assert in_bf16 == pytest.approx(losses[0], rel=0.05)
        assert all(len(result.seconds) == 4 for result in results)


def test_operations_are_timed_one_by_one():
    (result,) = race([Entry("resnet8", 4, "numpy", 1)], per_operation=True, **TINY)
    names = result.per_operation.keys()
    assert {"SGD", "linear 4x64", "linear 4x64, backward"} <= names
    assert "conv2d 3x3, 16 to 32 channels, stride 2, 32x32 pixels, backward" in names
    assert all(seconds > 0 for seconds in result.per_operation.values())


def test_the_peak_of_memory_grows_with_the_batch():
    small, large = race([Entry("resnet8", n, "numpy", 1) for n in (2, 128)], **TINY)
    assert large.memory_bytes > small.memory_bytes + 100 * 32 * 32 * 16 * 4
    now = resident_bytes()
    assert resident_bytes(peak=True) >= now > 1 << 20


def test_an_entry_that_fails_is_told_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(Entry, "check", lambda self: None)
    both = [Entry("resnet8", 2, engine, 1) for engine in ("no such", "numpy")]
    failed, worked = race(both, **TINY)
    assert "no backend is named 'no such'" in failed.problem and not worked.problem
    assert "no backend is named" in table([row(failed), row(worked)], {})
    rows = json.loads(as_json([row(failed), row(worked)], "", {}))["results"]
    assert "problem" in rows[0] and rows[1]["images_per_second"] > 0


def test_what_does_not_exist_is_refused_before_anything_runs(monkeypatch):
    with pytest.raises(backend.BackendUnavailable, match="cupy"):
        race([Entry("resnet8", 2, "numpy", 1), Entry("resnet8", 2, "cupy", 1)])
    with pytest.raises(ValueError, match="no network is named"):
        race([Entry("resnet9", 2, "numpy", 1)])
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match="PyTorch is not installed"):
        race([Entry("resnet8", 2, "torch eager", 1)])


FACTS = {"machine": "a machine", "versions": {}, "sgemm_gflop_per_second": 20.0}


def result(engine: str, seconds: float, first_loss: float = 2.0, **more) -> dict:
    """The row of an entry with these times; `more` are fields of Result, or of Entry."""
    of_result = {name: more.pop(name) for name in ("launches", "bytes") if name in more}
    entry = Entry("resnet20", 100, engine, 1, **more)
    times = [seconds, seconds, 2 * seconds]
    return row(Result(entry, times, flops=10**9, first_loss=first_loss, **of_result))


def test_the_verdict_compares_the_fastest_of_both_in_float32():
    group = [
        result("numpy", 0.4),
        result("numba", 0.1),
        result("torch eager", 0.2),
        result("torch compile", 0.15),
        result("torch bf16", 0.01),
    ]
    (verdict,) = verdicts(group)
    assert "numba trains 1.50 times as many images" in verdict and "(compile)" in verdict
    assert verdicts(group[:2]) == []
    line = table(group, FACTS).splitlines()[3]
    assert line.split()[2:] == "1 numba 100.0 100.0 to 150.0 1000 1.00 10 50 % ? 0.0 s".split()


def test_on_a_gpu_each_class_of_precision_has_its_verdict_and_memory_its_share():
    moved = {"launches": 80, "bytes": 100 * 10**7}
    group = [
        result("cupy", 0.004, precision="tf32", graph=True, **moved),
        result("cupy", 0.002, precision="bf16", **moved),
        result("torch graph", 0.008, device="cuda"),
        result("torch bf16 graph", 0.003, device="cuda"),
    ]
    first, second = verdicts(group)
    assert "cupy tf32, graph trains 2.00 times" in first and "float32 or tf32 (graph)" in first
    assert "cupy bf16 trains 1.50 times" in second and "(bf16 graph)" in second
    lines = table(group, {"copied_gb_per_second": 1000.0}).splitlines()
    assert "of sgemm" not in lines[0] and "of copying" in lines[0]
    assert lines[2].split()[-7:] == "80 10.00 25 % ? 0.0 s".split()
    assert lines[4].split()[-4:] == "125 ? 0.0 s".split() and len(lines[4]) == len(lines[2])


def test_different_first_losses_are_warned_of():
    group = [result("numpy", 0.4), result("numba", 0.1)]
    assert doubt(group) == ""
    assert "WARNING" in doubt([group[0], result("numba", 0.1, 2.1)])
    assert "WARNING" in doubt([group[0], result("numba", 0.1, float("nan"))])
    rounded = result("cupy", 0.1, 2.02, precision="bf16")
    assert doubt([*group, rounded]) == ""
    odd = result("cupy", 0.1, 2.1, precision="bf16")
    assert doubt([*group, odd]).endswith("from the median 2.0000: cupy bf16 2.1")


class Stub(Step):
    """A step that takes no time, and breaks down when it is timed."""

    def _first(self):
        return 2.3

    def _step(self):
        if self.entry.engine == "broken":
            raise MemoryError("none left")


def test_an_entry_that_breaks_down_in_a_shared_process_leaves_the_others(monkeypatch):
    monkeypatch.setattr("minires.benchmarks.race.prepare", lambda entry: Stub(entry, Clock()))
    monkeypatch.setattr("minires.benchmarks.race.WARM_UP", 0)
    monkeypatch.setattr("minires.benchmarks.steps.SETTLING", 0)
    forking = multiprocessing.get_context("fork")  # where the stubs are
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: forking)
    monkeypatch.setattr(Entry, "check", lambda self: None)
    monkeypatch.setattr(Entry, "shares_process", True)
    a, broken, c = race([Entry("resnet8", 4, name) for name in ("a", "broken", "c")], **TINY)
    assert broken.problem == "MemoryError: none left"
    assert not a.problem and not c.problem and len(a.seconds) == len(c.seconds) == 4


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Entry("vgg8", 2, "torch eager"), "the resnets and plain nets for CIFAR, not with vgg8"),
        (Entry("resnet8", 2, "torch sideways"), "PyTorch is timed as eager, .*, not as sideways"),
        (Entry("resnet8", 2, "torch graph"), "CUDA graphs on a GPU only"),
        (Entry("resnet8", 2, "numpy", graph=True), "CUDA graph .* but the backend is numpy"),
        (Entry("resnet8", 2, "numpy", precision="tf32"), "tf32 is for tensor cores"),
        (Entry("vgg8", 2, "numpy", recompute=True), "vgg8 has no blocks"),
        (Entry("resnet8", 2, "torch eager", device="cuda"), "PyTorch sees no GPU"),
    ],
)
def test_what_an_engine_cannot_do_is_said_in_words(entry, message):
    if entry.device == "cuda" and torch_sees_a_gpu():
        pytest.skip("it does")
    with pytest.raises(ValueError, match=message):
        entry.check()


def torch_sees_a_gpu() -> bool:
    return pytest.importorskip("torch").cuda.is_available()


@pytest.mark.gpu
def test_on_a_gpu_every_engine_does_the_same_work():
    if why := backend.problem("cupy"):
        pytest.skip(f"no GPU to test on: {why}")
    if not torch_sees_a_gpu():
        pytest.skip("PyTorch sees no GPU")
    precisions = {"precisions": ("tf32", "float32", "bf16", "fp16"), "graph": (False, True)}
    racing = entries(["resnet8"], [8], ["cupy"], torch_ways=GPU_WAYS, device="cuda", **precisions)
    rows = [row(result) for result in race(racing, **TINY)]
    assert [r["engine"] for r in rows if "problem" in r or not r["memory_mib"]] == []
    assert all(r["launches"] > 0 for r in rows if r["engine"].startswith("cupy"))
    assert doubt(rows) == "" and len(verdicts(rows)) == 2


def test_recomputing_takes_the_same_step_with_less_memory():
    both = entries(["resnet20"], [64], ["numpy"], recompute=(False, True))
    kept, recomputed = race(both, rounds=1, steps=1)
    assert recomputed.entry.name == "numpy, recompute"
    assert recomputed.first_loss == kept.first_loss
    assert recomputed.memory_bytes < 0.8 * kept.memory_bytes


def test_a_single_timed_step_is_enough():
    (one,) = race([Entry("resnet8", 2, "numpy", 1)], rounds=1, steps=1)
    assert one.quartiles == one.seconds * 3


def test_many_entries_take_turns_by_network(monkeypatch):
    monkeypatch.setattr("minires.benchmarks.race.TOGETHER", 1)
    both = [Entry("resnet8", n, "numpy", 1) for n in (2, 3)]
    results = race(both, **TINY)
    assert [result.entry for result in results] == both
    assert all(len(result.seconds) == 4 for result in results)


def test_the_report_is_printed_and_written(tmp_path, capsys):
    rows = [result("numpy", 0.4), result("numba", 0.1)]
    report(rows, "minires bench", tmp_path / "x", FACTS)
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
