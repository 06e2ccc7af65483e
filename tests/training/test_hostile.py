"""Hostile places and flat memory, in short: see `benchmarks/reliability/`."""

import pytest

from minires.benchmarks.reliability import flatness, hostile


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return hostile.whole_run(tmp_path_factory.mktemp("whole"))


SHORT = {
    "the disk is full (RLIMIT_FSIZE)": [3],
    "the directory cannot be written to": [0],
    "the directory is deleted while the run goes on": [0],
    "two runs begin at the same moment": [0],
}
"""What the default run of the tests puts in; the long one puts in everything."""
ALL = [(what, number) for what, tries in hostile.FAULTS.items() for number in range(len(tries))]


@pytest.mark.parametrize(
    ("what", "number"),
    [
        pytest.param(*each, marks=[] if each[1] in SHORT.get(each[0], ()) else pytest.mark.slow)
        for each in ALL
    ],
)
def test_a_hostile_place_is_met_in_a_sentence_and_nothing_is_lost(what, number, whole, tmp_path):
    assert hostile.FAULTS[what][number](tmp_path, whole) == []


def test_every_fault_has_its_short_form_by_its_name():
    assert SHORT.keys() <= hostile.FAULTS.keys()


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_memory_and_objects_stay_flat(name):
    (early, late), _ = flatness.measure(name, (60, 260), batch_size=2)
    assert late.objects - early.objects < 50
    assert late.bytes - early.bytes < 3e6
