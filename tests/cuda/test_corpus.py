"""The corpus of small kernels: no false alarm on the right ones, each fault named with its line."""

import re

import pytest
from cuda_corpus import FAULTY, RIGHT, SAMPLE

from minires import cuda
from minires.cuda import host

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(host.problem() is not None, reason=f"no emulator: {host.problem()}"),
]


def entries(table):
    return [
        pytest.param(one, id=str(one), marks=[] if one.name in SAMPLE else pytest.mark.slow)
        for one in table
    ]


def look(one):
    seconds = 2 if one.kind == "endless loop" else 30
    return cuda.check(
        one.source, None, one.grid, one.block, one.args, one.expect, seconds, one.shared
    )


@pytest.mark.parametrize("one", entries(RIGHT))
def test_a_right_kernel_has_no_fault(one):
    report = look(one)
    assert report.ok, str(report)


@pytest.mark.parametrize("one", entries(FAULTY))
def test_a_fault_is_found_and_named_with_its_line(one):
    report = look(one)
    found = [fault for fault in report.faults if fault.kind == one.kind]
    assert found, str(report)
    assert any(re.search(one.words, fault.message) for fault in found), str(report)
    if one.line is not None:
        assert one.line in {n for f in found for n in (f.line, f.other_line)}, str(report)


def test_names_are_distinct_and_the_sample_is_of_the_corpus():
    names = [one.name for one in RIGHT + FAULTY]
    assert len(set(names)) == len(names) and set(SAMPLE) <= set(names)
