"""Where kernels cannot run, a lesson shows what was recorded."""

import numpy as np
import pytest

from minires import cuda
from minires.cuda import host
from minires.tutorials import records

SOURCE = """
__global__ void add(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i] + 1;
}
"""
LAUNCH = {
    "grid": 3,
    "block": 64,
    "args": {"x": np.zeros(150, "f4"), "y": cuda.Empty(150), "n": 150},
}


def test_recorded_reports_and_numbers_are_shown(monkeypatch):
    monkeypatch.setattr(host, "problem", lambda: "there is no compiler")
    report = records.kernel_report("add", SOURCE, **LAUNCH)
    assert [(fault.kind, fault.line) for fault in report.faults] == [("out of bounds", 4)]
    assert "reads x[150]" in str(report) and "reads x[150]" in report._repr_html_()
    titles = [title for title, _, _ in records.numbers("climb", lambda: [])]
    assert titles[0] == "v1 naive" and len(titles) == 5


@pytest.mark.skipif(host.problem() is not None, reason="kernels cannot run here")
def test_what_is_recorded_is_what_comes_out(monkeypatch):
    here = records.kernel_report("add", SOURCE, **LAUNCH)
    monkeypatch.setattr(host, "problem", lambda: "there is no compiler")
    there = records.kernel_report("add", SOURCE, **LAUNCH)
    assert [*map(str, here.faults)] == [*map(str, there.faults)]
    assert here.requests == there.requests
