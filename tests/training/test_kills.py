"""kill -9 at random moments, in short: see `benchmarks/reliability/kills.py`."""

import random

import numpy as np
import pytest

from minires.benchmarks.reliability import kills
from minires.training.weights import read_arrays, write_arrays


@pytest.mark.parametrize(
    ("kind", "count"),
    [("training", 2), ("detection", 2), pytest.param("reproduce", 2, marks=pytest.mark.slow)],
)
def test_what_is_killed_at_random_moments_resumes_to_the_same_bits(kind, count, tmp_path):
    victim, moments = kills.Victim(kind, tmp_path), random.Random(3)
    outcome = victim.outcome
    while outcome.kills < count:
        victim.chain(moments)
    assert outcome.faults == []
    assert outcome.kills >= count and outcome.chains >= 1
    assert outcome.most_lost <= kills.INTERVAL[kind]
    changed = next(path for path in (tmp_path / "chain-0").rglob("checkpoint"))
    arrays, metadata = read_arrays(changed)
    name = next(name for name in arrays if arrays[name].size)
    arrays[name] = np.nextafter(arrays[name], np.float32(9))  # a bit: the comparison sees it
    write_arrays(changed, arrays, metadata)
    found = kills.differences(kind, tmp_path / "chain-0", tmp_path / "whole")
    assert found == [f"{changed.relative_to(tmp_path / 'chain-0')} differs"]
    changed.with_name(".left.part").write_bytes(b"")
    assert len(kills.differences(kind, tmp_path / "chain-0", tmp_path / "whole")) == 2
