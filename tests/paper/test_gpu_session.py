"""The command for a machine with a GPU works: in small, on the emulator."""

import json
import subprocess
import sys
from pathlib import Path

import nvrtc
import pytest

from minires import backend

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_session.py"


def session(part: str, out: Path, *more: str) -> tuple[dict, str]:
    """The items that a part has noted, and what it printed."""
    command = [sys.executable, str(SCRIPT), "--part", part, "--tiny", "--out", str(out), *more]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    path = out / f"{part}.json"
    return json.loads(path.read_text())["items"] if path.exists() else {}, result.stdout


def test_correctness_is_noted(tmp_path):
    items, _ = session("correctness", tmp_path)
    (tests,) = (item for name, item in items.items() if name.startswith("tests "))
    assert tests["exit"] == 0 and "passed" in tests["last"]
    traces = [v["largest relative difference"] for k, v in items.items() if "against numpy" in k]
    assert len(traces) == 2 and max(traces) < 1e-4


def test_the_race_has_ours_and_pytorchs_rows(tmp_path):
    pytest.importorskip("torch")
    items, printed = session("bench", tmp_path)
    rows = items["resnet8, batch 4"]
    assert len(rows) == 10 and not [row for row in rows.values() if "error" in row]
    assert rows["minires bf16, graph"]["launches"] == rows["minires float32"]["launches"]
    assert rows["minires bf16"]["bytes/image"] < 0.95 * rows["minires float32"]["bytes/image"]
    assert not [row for row in rows.values() if "warning" in row]  # all start from the same weights
    bandwidth = items["copy bandwidth, bytes/s"]
    assert bandwidth > 0
    kernels = items["resnet8, batch 4, by kernel: minires tf32"]
    assert sum(k["launches"] for k in kernels.values()) == rows["minires tf32"]["launches"]
    assert sum(k["bytes"] for k in kernels.values()) == 4 * rows["minires tf32"]["bytes/image"]
    assert items["resnet8, batch 4, by kernel: torch amp bf16"]["the rest"]["ms"] > 0
    counted = items["resnet8, batch 4, bytes of memory, caches emptied: minires tf32"]
    assert counted["bytes"] == pytest.approx(4 * rows["minires tf32"]["bytes/image"], rel=0.05)
    page = (tmp_path / "bench.md").read_text()
    assert page in printed and f"{bandwidth / 1e12:.2f} TB/s" in page
    speed = {name: row["images/s"] for name, row in rows.items()}
    best = max(speed[f"minires {p}{g}"] for p in ("tf32", "float32") for g in ("", ", graph"))
    assert f"= {best / max(speed['torch eager'], speed['torch channels_last']):.2f}" in page


class Contestant:
    """What a race asks of one: `seconds` for a step, or none if it breaks down."""

    launches, bytes, memory = 1, 100, None

    def __init__(self, seconds: float | None, first_loss: float = 2.3):
        self.its_seconds, self.first_loss = seconds, first_loss

    def seconds(self, steps: int) -> float:
        if self.its_seconds is None:
            raise MemoryError("none left")
        return self.its_seconds


def test_a_race_goes_on_without_one_and_marks_who_computes_something_else(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from gpu_contestants import race
    from gpu_table import table

    racing = {"a": Contestant(0.1), "b": Contestant(None), "c": Contestant(0.2, 2.4)}
    racing["d"] = Contestant(1, 2.31)
    makers = {name: lambda contestant=contestant: contestant for name, contestant in racing.items()}
    rows = race(makers, batch=4, rounds=2, steps=1)
    assert rows["b"]["error"] == "MemoryError: none left"
    assert [name for name, row in rows.items() if "warning" in row] == ["c"]
    assert rows["a"]["images/s"] == 40 and rows["a"]["ms"] == 100
    page = table({"resnet8, batch 4, torch compile": rows})
    assert "| c (first loss 2.4000, the median 2.3100) | 20 |" in page and "none left" in page


def test_the_kernel_that_only_waits_compiles(monkeypatch):
    if nvrtc.wheel() is None:
        pytest.skip("the wheel nvidia-cuda-nvrtc is not installed")
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from gpu_kernels import SPIN

    code, _ = nvrtc.compile_for("sm_90", SPIN, ())
    assert b"spin" in code


NCU = """==PROF== Connected to process 1
"ID","Process ID","Kernel Name","CC","dram__bytes_read.sum","dram__bytes_write.sum","{time}"
"","","","","{unit}","byte","ns"
"0","1","void convolve<float, (int)16>(const float *, int)","9.0","1,024","512","2,000"
"1","1","join(float *)","9.0","100","0","500.5"
"2","1","void convolve<float, (int)16>(const float *, int)","9.0","1,000","512","3,000"
==PROF== Disconnected from process 1
"""


def test_the_table_of_ncu_is_read(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from gpu_kernels import TIME, read_table, total

    path = tmp_path / "ncu.csv"
    path.write_text(NCU.format(time=TIME, unit="byte"))
    found = total(read_table(path))
    assert (found["launches"], found["bytes"], found["ms"]) == (3, 3148, 0.0055005)
    assert found["kernels"]["convolve<float, 16>"] == {"launches": 2, "bytes": 3048, "ms": 0.005}
    path.write_text(NCU.format(time=TIME, unit="Kbyte"))
    with pytest.raises(ValueError, match="units are Kbyte"):
        read_table(path)
    path.write_text("==ERROR== no permission")
    with pytest.raises(ValueError, match="no table of ncu.*no permission"):
        read_table(path)


def test_training_is_resumed_by_the_next_call_and_what_is_done_is_not_repeated(tmp_path):
    items, printed = session("train", tmp_path, "--seconds", "0")
    assert items == {} and "no time left" in printed
    items, _ = session("train", tmp_path)
    assert items["resnet8, seed 0"]["last"].startswith("done: test accuracy")
    assert (tmp_path / "runs" / "resnet8-seed0" / "metrics.csv").exists()  # for `reproduce`
    _, printed = session("train", tmp_path)
    assert "done before" in printed
