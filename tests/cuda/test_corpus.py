"""The corpus of kernels and programs: no false alarm, and each fault is named with its line."""

import re
import shutil
import subprocess

import pytest
from cuda_corpus import CORPUS, FAULTY, RIGHT, SAMPLE

from minires import cuda
from minires.cuda import host

needs_emulator = pytest.mark.skipif(
    host.problem() is not None, reason=f"no emulator: {host.problem()}"
)
pytestmark = pytest.mark.emulator


def entries(table):
    return [
        pytest.param(one, id=str(one), marks=[] if one in SAMPLE else pytest.mark.slow)
        for one in table
    ]


def look(one):
    seconds = 2 if one.fault and one.fault[0] == "endless loop" else 30
    if one.launch:
        return cuda.check(one.path, args=one.args, expect=one.expect, seconds=seconds, **one.launch)
    return cuda.check(one.path, seconds=seconds)


@needs_emulator
@pytest.mark.parametrize("one", entries(RIGHT))
def test_a_right_one_has_no_fault(one):
    report = look(one)
    assert report.ok and not report.status, str(report)
    if not one.launch:
        assert report.printed.endswith("right\n"), str(report)


@needs_emulator
@pytest.mark.parametrize("one", entries(FAULTY))
def test_a_fault_is_found_and_named_with_its_line(one):
    report = look(one)
    kind, words = one.fault
    found = [fault for fault in report.faults if fault.kind == kind]
    assert found, str(report)
    assert any(re.search(words, fault.message) for fault in found), str(report)
    if one.line is not None:
        assert one.line in {n for f in found for n in (f.line, f.other_line)}, str(report)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
@pytest.mark.parametrize("one", CORPUS, ids=str)
def test_nvcc_takes_it_too(one, tmp_path):
    if one.fault and one.fault[0] == "compile":
        pytest.skip("it is not to compile")
    command = ["nvcc", "-std=c++17", "-arch=sm_80", "-w", "-ptx", str(one.path)]
    result = subprocess.run(
        [*command, "-o", str(tmp_path / "k.ptx")], capture_output=True, text=True
    )
    assert not result.returncode, result.stderr


def test_the_corpus_is_as_large_as_the_documents_say():
    assert len(CORPUS) >= 110 and sum(not one.launch for one in CORPUS) >= 10
