"""The ladders: every version is right, and asks less of memory than the one before."""

import shutil
import sys

import numpy as np
import pytest

from minires import backend, cuda
from minires.benchmarks.ladder import error, ladder_table, tolerance
from minires.cli import main
from minires.kernels import ladders

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)

RUNGS = [
    (name, rung)
    for name in ladders.OPERATIONS
    for rung in ladders.rungs(name)
    if rung.language == "CUDA C++"
]


def check(name: str, rung: ladders.Rung) -> None:
    """Right at all shapes of its ladder."""
    ladder = ladders.load(name)
    for shape in ladder.SHAPES:
        arrays = ladder.inputs(np.random.default_rng(0), shape)
        assert error(ladder, rung, arrays) < tolerance(ladder, rung), shape


@pytest.mark.parametrize(("name", "rung"), RUNGS, ids=lambda v: getattr(v, "title", v))
def test_every_version_is_right(name, rung):
    check(name, rung)


@pytest.mark.parametrize("name", ladders.OPERATIONS)
def test_there_are_five_versions_and_three_of_them_in_numba(name):
    titles = {"CUDA C++": [], "Numba-CUDA": []}
    for rung in ladders.rungs(name):
        titles[rung.language].append(rung.title)
    assert [title[:2] for title in titles["CUDA C++"]] == ["v1", "v2", "v3", "v4", "v5"]
    assert titles["Numba-CUDA"] == titles["CUDA C++"][:3]


def counts(name: str, version: str, shape) -> cuda.Counts:
    """What a version in CUDA C++ asks of memory."""
    arrays = ladders.load(name).inputs(np.random.default_rng(0), shape)
    with cuda.count() as counted:
        next(r for n, r in RUNGS if n == name and r.path.stem == version).run(*arrays)
    return counted


@pytest.mark.parametrize(
    ("version", "loads", "sectors"),
    [
        # 32 warps, 32 steps: a column of a is 16 sectors, two numbers of b lie in one
        ("v1_naive", 32 * 32 * 2, 32 * 32 * (16 + 1)),
        # two rows of a: a number each; 16 neighbours of b: two sectors
        ("v2_coalesced", 32 * 32 * 2, 32 * 32 * (2 + 2)),
        # 32 warps, 2 tiles of either: 2 rows of 16 numbers, two sectors each
        ("v3_shared", 32 * 2 * 2, 32 * 2 * 2 * 4),
    ],
)
def test_requests_and_sectors_are_those_that_can_be_counted_by_hand(version, loads, sectors):
    """A product of 32 x 32 by 32 x 32: 4 blocks of 8 warps."""
    counted = counts("matmul", version, (32, 32, 32))
    assert (counted.loads, counted.sectors_loaded) == (loads, sectors)
    assert counted.bytes_loaded == 4 * 32 * loads
    assert counted.bytes_stored == 4 * 32 * 32 and counted.stores == 32
    assert counted.sectors_stored == 32 * (16 if version == "v1_naive" else 4)


def test_four_numbers_at_a_time_are_one_request():
    fours = counts("batch_norm", "v4_registers", (512, 64))
    ones = counts("batch_norm", "v3_shared", (512, 64))
    assert 4 * fours.loads == ones.loads and fours.sectors_loaded == ones.sectors_loaded


def test_nothing_is_counted_outside_and_the_rest_of_the_emulator_goes_on():
    with cuda.count() as outer:
        inner = counts("matmul", "v2_coalesced", (8, 8, 8))
    assert outer.loads == 0 and inner.loads > 0
    plain = ladders.rungs("matmul")[0].run(*np.ones((2, 4, 4), np.float32))
    assert (plain == 4).all() and outer.loads == 0


def test_the_table_shows_that_coalescing_and_tiling_save_sectors(capsys):
    table = ladder_table("batch_norm")
    assert "v1 naive          CUDA C++    yes" in table and " NO" not in table
    assert "?" not in table and "failed" not in table
    shares = [
        float(line.split(" x ")[0].split()[-1]) for line in table.splitlines() if " x " in line
    ]
    assert len(shares) == 5 and shares[0] > 5 and max(shares[1:]) < 1.2
    assert main(["bench", "--ladder", "batch_norm"]) == 0
    assert capsys.readouterr().out.strip() == table.strip()


def test_a_simulator_that_fails_is_reported(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    table = ladder_table("batch_norm")
    assert "Numba's simulator failed: it ended without a word" in table and "?" in table


BUGS = [
    ("matmul", "v1_naive", "k < terms", "k < terms - 1", "last term left out"),
    ("matmul", "v3_shared", "__syncthreads();  // everybody", "//", "overwritten too early"),
    ("matmul", "v4_registers", "down = t / 16 * 4", "down = t / 16", "rows of two threads overlap"),
    ("matmul", "v4_registers", "end % 4 == 0", "false", None),  # slower, but right
    ("matmul", "v4_registers", "end % 4 == 0", "true", "load4 of misaligned rows"),
    ("matmul", "v4_registers", "columns % 4 == 0", "true", "store4 of misaligned rows"),
    (
        "conv2d",
        "v4_registers",
        "&& filters % 4 == 0)\n            store4",
        ")\n            store4",
        "misaligned",
    ),
    ("batch_norm", "v4_registers", "channels % 4 == 0", "c + 3 < channels", "misaligned, too"),
    ("matmul", "v5_tensor_cores", "near + row + 8", "near + row", "half of a fragment"),
    ("conv2d", "v2_coalesced", "v >= width) continue", "false) continue", "halo of the next row"),
    ("conv2d", "v3_shared", "i - pad_h", "i", "window shifted"),
    ("conv2d", "v4_registers", "channels % 4 != 0", "false", "four channels where there are three"),
    ("conv2d", "v5_tensor_cores", "s += 8", "s += 16", "half of the terms"),
    ("batch_norm", "v3_shared", "half >= 16", "half > 16", "last halving left out"),
    ("batch_norm", "v5_tensor_cores", "mma_tf32(sums, ones, low);", "", "low half lost"),
]


@pytest.mark.parametrize(("name", "version", "right", "wrong", "meaning"), BUGS)
def test_a_bug_planted_into_a_ladder_is_caught(
    name, version, right, wrong, meaning, monkeypatch, tmp_path
):
    launcher = pytest.importorskip(f"minires.kernels.{ladders.OPERATIONS[name]}.ladder.cuda")
    original = launcher.KERNELS[version]
    assert right in original.source
    path = tmp_path / "cuda.cu"
    path.write_text(original.source.replace(right, wrong))
    changed = cuda.Module(path, list(original.signatures))
    monkeypatch.setitem(launcher.KERNELS, version, changed)
    rung = next(r for n, r in RUNGS if n == name and r.path.stem == version)
    if meaning is None:
        check(name, rung)
        return
    with pytest.raises((AssertionError, cuda.host.KernelError)):
        check(name, rung)


def test_an_unknown_ladder_is_refused_in_words():
    with pytest.raises(LookupError, match="no ladder is named 'relu'; there are matmul, conv2d"):
        ladders.load("relu")
