"""The command for a machine with a GPU works: in small, on the emulator."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from minires import backend

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu_session.py"


def session(part: str, out: Path, *more: str) -> tuple[dict, str]:
    """The items that a part has noted, and what it printed."""
    command = [sys.executable, str(SCRIPT), "--part", part, "--tiny", "--out", str(out), *more]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    path = out / f"{part}.json"
    return json.loads(path.read_text())["items"] if path.exists() else {}, result.stdout


def test_correctness_is_noted(tmp_path):
    items, _ = session("correctness", tmp_path)
    assert items["tests"]["exit"] == 0 and "passed" in items["tests"]["last"]
    traces = {k: v["largest relative difference"] for k, v in items.items() if k != "tests"}
    assert len(traces) == 2 and max(traces.values()) < 1e-4


def test_the_race_has_ours_and_pytorchs_rows(tmp_path):
    pytest.importorskip("torch")
    items, printed = session("bench", tmp_path)
    rows = items["resnet8, batch 4"]
    assert len(rows) == 10 and not [row for row in rows.values() if "error" in row]
    assert rows["minires bf16, graph"]["launches"] == rows["minires float32"]["launches"]
    assert rows["minires bf16"]["bytes/image"] < 0.95 * rows["minires float32"]["bytes/image"]
    losses = {row["first loss"] for row in rows.values()}
    assert max(losses) - min(losses) < 0.01 * max(losses)  # all start from the same weights
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


NCU = """==PROF== Connected to process 1
"ID","Process ID","Kernel Name","CC","dram__bytes_read.sum","dram__bytes_write.sum","{time}"
"","","","","{unit}","byte","ns"
"0","1","convolve(const float *, int)","9.0","1,024","512","2,000"
"1","1","join(float *)","9.0","100","0","500.5"
"2","1","convolve(const float *, int)","9.0","1,000","512","3,000"
==PROF== Disconnected from process 1
"""


def test_the_table_of_ncu_is_read(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    from gpu_kernels import TIME, read_table, total

    path = tmp_path / "ncu.csv"
    path.write_text(NCU.format(time=TIME, unit="byte"))
    found = total(read_table(path))
    assert (found["launches"], found["bytes"], found["ms"]) == (3, 3148, 0.0055005)
    assert found["kernels"]["convolve"] == {"launches": 2, "bytes": 3048, "ms": 0.005}
    path.write_text(NCU.format(time=TIME, unit="Kbyte"))
    with pytest.raises(ValueError, match="units are Kbyte"):
        read_table(path)
    path.write_text("==ERROR== no permission")
    with pytest.raises(ValueError, match="no table of ncu"):
        read_table(path)


def test_training_is_resumed_by_the_next_call_and_what_is_done_is_not_repeated(tmp_path):
    items, printed = session("train", tmp_path, "--seconds", "0")
    assert items == {} and "no time left" in printed
    items, _ = session("train", tmp_path)
    assert items["resnet8, seed 0"]["last"].startswith("done: test accuracy")
    assert (tmp_path / "runs" / "resnet8-seed0" / "metrics.csv").exists()  # for `reproduce`
    _, printed = session("train", tmp_path)
    assert "done before" in printed
