"""The command for a machine with a GPU works: in small, on the emulator."""

import json
import subprocess
import sys
from pathlib import Path

import nvrtc
import pytest

from minires import backend
from minires.benchmarks.entries import Entry
from minires.benchmarks.gpu_kernels import SPIN, TIME, read_table, total
from minires.benchmarks.gpu_page import page
from minires.benchmarks.race import Result
from minires.benchmarks.report import row

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


@pytest.mark.slow  # two minutes: ten entries compile, each in a way of its own
def test_the_race_has_ours_and_pytorchs_rows(tmp_path):
    pytest.importorskip("torch")
    items, printed = session("bench", tmp_path, "--seconds", "3000")
    rows = {row["engine"]: row for row in items["resnet8, batch 4"]}
    assert len(rows) == 10 and not [row for row in rows.values() if "problem" in row]
    tf32, float32, bf16 = (rows[f"emulator {p}"] for p in ("tf32", "float32", "bf16"))
    assert rows["emulator bf16, graph"]["launches"] == float32["launches"]
    assert bf16["bytes_per_image"] < 0.95 * float32["bytes_per_image"]
    bandwidth = items["copied, bytes/s"]
    assert bandwidth > 0
    kernels = items["resnet8, batch 4, by kernel: emulator tf32"]
    assert sum(k["launches"] for k in kernels.values()) == tf32["launches"]
    assert sum(k["bytes"] for k in kernels.values()) == 4 * tf32["bytes_per_image"]
    assert items["resnet8, batch 4, by kernel: torch bf16"]["the rest"]["ms"] > 0
    counted = items["resnet8, batch 4, bytes of memory, caches emptied: emulator tf32"]
    assert counted["bytes"] == pytest.approx(4 * tf32["bytes_per_image"], rel=0.05)
    page = (tmp_path / "bench.md").read_text()
    assert page in printed and f"{bandwidth / 1e12:.2f} TB/s" in page
    assert "WARNING" not in page  # all start from the same weights
    speed = {name: row["images_per_second"] for name, row in rows.items()}
    best = max(speed[f"emulator {p}{g}"] for p in ("tf32", "float32") for g in ("", ", graph"))
    ratio = best / max(speed["torch eager"], speed["torch channels_last"])
    assert f"trains {ratio:.2f} times as many" in page
    assert (tmp_path / "resnet8-batch-4.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_tells_who_computes_something_else_and_who_failed():
    rows = [row(Result(Entry("resnet8", 4, "a"), [0.1], first_loss=2.3))]
    rows += [row(Result(Entry("resnet8", 4, "b"), problem="MemoryError: none left"))]
    rows += [row(Result(Entry("resnet8", 4, "c"), [0.2], first_loss=2.4))]
    rows += [row(Result(Entry("resnet8", 4, "d"), [1.0], first_loss=2.3))]
    text = page({"resnet8, batch 4, torch compile": rows, "x": {"error": "nothing there"}})
    assert "the median 2.3000: c 2.4" in text and "none left" in text
    assert "- x: nothing there" in text


def test_the_kernel_that_only_waits_compiles():
    if nvrtc.wheel() is None:
        pytest.skip("the wheel nvidia-cuda-nvrtc is not installed")
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


def test_the_table_of_ncu_is_read(tmp_path):
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
