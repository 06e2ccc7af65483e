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
    items, _ = session("bench", tmp_path)
    rows = items["resnet8, batch 4"]
    assert len(rows) == 10 and not [row for row in rows.values() if "error" in row]
    assert rows["minires bf16, graph"]["launches"] == rows["minires float32"]["launches"]
    assert rows["minires bf16"]["bytes/image"] < 0.8 * rows["minires float32"]["bytes/image"]
    assert items["copy bandwidth, bytes/s"] > 0


def test_training_is_resumed_by_the_next_call_and_what_is_done_is_not_repeated(tmp_path):
    items, printed = session("train", tmp_path, "--seconds", "0")
    assert items == {} and "no time left" in printed
    items, _ = session("train", tmp_path)
    assert items["resnet8, seed 0"]["last"].startswith("done: test accuracy")
    assert (tmp_path / "runs" / "resnet8-seed0" / "metrics.csv").exists()  # for `reproduce`
    _, printed = session("train", tmp_path)
    assert "done before" in printed
