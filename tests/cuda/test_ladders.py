"""The ladders: every version is right, and asks less of memory than the one before."""

import shutil
import sys

import numpy as np
import pytest

from minires import backend, cuda, kernels
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


MATMUL_CU = """
extern "C" __global__ void matmul(const float* a, const float* b, float* c, int rows, int columns,
                                  int terms) {
    int row = blockIdx.x * 16 + threadIdx.y, column = blockIdx.y * 16 + threadIdx.x;
    if (row >= rows || column >= columns) return;
    float sum = 0;
    for (int k = 0; k < terms; ++k) sum += a[row * terms + k] * b[k * columns + column];
    c[row * columns + column] = sum;
}
"""


class TestOwnRungs:
    """A rung from outside is shown and judged like ours, or refused in a sentence."""

    @pytest.fixture(autouse=True)
    def nothing_stays(self):
        yield
        for name, paths in ladders.REGISTERED.items():
            for path in list(paths):
                ladders.unregister(name, path)

    @pytest.mark.parametrize(("text", "judged"), [("a @ b", "yes"), ("a @ b + 0.1", "NO")])
    def test_a_python_rung_is_in_the_table(self, text, judged, tmp_path, capsys):
        path = tmp_path / "v6_student.py"
        path.write_text(f"def run(a, b):\n    return {text}\n")
        module = tmp_path / "my_rungs.py"
        module.write_text(
            f"from minires.kernels import ladders\nladders.register('matmul', {str(path)!r})\n"
        )
        assert main(["bench", "--ladder", "matmul", "--import", str(module)]) == 0
        row = next(r for r in capsys.readouterr().out.splitlines() if r.startswith("v6 student"))
        assert row.split()[2:4] == ["Numba-CUDA", f"{judged},"]

    def test_a_rung_in_cuda_is_launched_with_its_tile(self, tmp_path):
        path = tmp_path / "v10_student.cu"
        path.write_text(MATMUL_CU)
        with pytest.raises(
            kernels.KernelFileError, match=r"tile must say .*\(16, 16, \(16, 16\)\)"
        ):
            ladders.register("matmul", path)
        check("matmul", ladders.register("matmul", path, tile=(16, 16, (16, 16))))
        assert ladders.rungs("matmul")[-1].title == "v10 student"
        wrong = ladders.register("matmul", path, tile=(32, 32, (16, 16)))
        with pytest.raises(AssertionError):
            check("matmul", wrong)

    def test_rungs_of_an_added_folder_are_found(self, tmp_path):
        path = tmp_path / "linear" / "ladder" / "v6_student.py"
        path.parent.mkdir(parents=True)
        path.write_text("def run(a, b):\n    return a @ b\n")
        with kernels.add_folder(tmp_path):
            rung = ladders.rungs("matmul")[-1]
            assert rung.path == path
            check("matmul", rung)
        assert ladders.rungs("matmul")[-1].path != path

    def test_a_cuda_file_without_a_launch_is_told_what_to_add(self, tmp_path, capsys):
        path = tmp_path / "linear" / "ladder" / "v6_student.cu"
        path.parent.mkdir(parents=True)
        path.write_text(MATMUL_CU)
        with kernels.add_folder(tmp_path):
            assert main(["bench", "--ladder", "matmul"]) == 1
        error = capsys.readouterr().err
        assert "cuda.py does not say how v6_student.cu is launched" in error
        assert 'add a line "v6_student": (16, 16, (16, 16)) to its TILES' in error

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("student.py", "", "is no rung: it must be .* such as v6_student"),
            ("v6_student.txt", "", "is no rung"),
            ("v6_student.py", "def go(a, b): pass", r"defines no run; expected is run\(\*arrays\)"),
            ("v6_student.py", "def run(:", "v6_student.py, line 1: SyntaxError"),
            ("v1_naive.py", "def run(a, b): pass", "has a rung v1_naive.py already"),
        ],
    )
    def test_what_is_no_rung_is_refused(self, name, text, message, tmp_path):
        (tmp_path / name).write_text(text)
        with pytest.raises(kernels.KernelFileError, match=message):
            ladders.register("matmul", tmp_path / name)

    def test_a_file_or_a_ladder_that_is_not_there_is_refused(self, tmp_path):
        with pytest.raises(kernels.KernelFileError, match="there is no file"):
            ladders.register("matmul", tmp_path / "v6_absent.py")
        with pytest.raises(LookupError, match="no ladder is named"):
            ladders.register("relu", tmp_path / "v6_absent.py")

    def test_a_result_of_another_shape_is_named(self, tmp_path):
        path = tmp_path / "v6_student.py"
        path.write_text("def run(a, b):\n    return a\n")
        with pytest.raises(kernels.KernelFileError, match="v6_student.py: run must return"):
            check("matmul", ladders.register("matmul", path))
