"""Numba-CUDA kernels, looked at in the simulator: each fault is found and named, none invented."""

import re

import numpy as np
import pytest

from minires import cli, cuda

pytest.importorskip("numba.cuda.simulator", reason="Numba has no CUDA simulator here")
HEAD = "from numba import cuda, float32\nimport numpy as np\n\n\n@cuda.jit\n"  # 5 lines
X = np.random.default_rng(0).random(64).astype("f4")

RIGHT = {
    "add": (
        "def k(x, y):\n    i = cuda.grid(1)\n    if i < x.size:\n        y[i] = x[i] + 1\n",
        (3, 32),
        {"x": X, "y": cuda.Empty(64)},
        {"y": X + 1},
    ),
    "sum": (
        "def k(x, y):\n"
        "    s = cuda.shared.array(32, float32)\n"
        "    t = cuda.threadIdx.x\n"
        "    s[t] = x[cuda.grid(1)]\n"
        "    cuda.syncthreads()\n"
        "    k = 16\n"
        "    while k > 0:\n"
        "        if t < k:\n"
        "            s[t] += s[t + k]\n"
        "        cuda.syncthreads()\n"
        "        k //= 2\n"
        "    if t == 0:\n"
        "        cuda.atomic.add(y, 0, s[0])\n",
        (2, 32),
        {"x": X, "y": np.zeros(1, "f4")},
        {"y": X.sum()},
    ),
    "transpose": (
        "def k(x, y):\n"
        "    tile = cuda.shared.array((8, 9), float32)\n"
        "    i, j = cuda.threadIdx.x, cuda.threadIdx.y\n"
        "    tile[j, i] = x[j, i]\n"
        "    cuda.syncthreads()\n"
        "    y[i, j] = tile[j, i]\n",
        (1, (8, 8)),
        {"x": X.reshape(8, 8), "y": cuda.Empty((8, 8))},
        {"y": X.reshape(8, 8).T},
    ),
}
FAULTY = {  # the kernel, what is replaced, by what, the kind, the line behind the head, its words
    "no guard": ("add", "    if i < x.size:\n        y", "    if True:\n        y",
                 "out of bounds", 4, r"reads x\[64\], but x has the shape \(64,\)"),
    "no first barrier": ("sum", "    cuda.syncthreads()\n    k = 16", "    k = 16", "race", 8,
                         "there is no cuda.syncthreads\\(\\) between"),
    "no barrier in the loop": ("sum", "        cuda.syncthreads()\n        k //=", "        k //=",
                               "race", 9, "while thread"),
    "no atomic": ("sum", "cuda.atomic.add(y, 0, s[0])", "y[0] += s[0]", "race between blocks", 13,
                  "nothing orders blocks"),
    "half of the tile": ("transpose", "    tile[j, i] = x[j, i]\n",
                         "    if i < 4:\n        tile[j, i] = x[j, i]\n", "uninitialised", 7,
                         r"reads tile\[\d, \d\], which nobody has written"),
    "wrong order": ("transpose", "y[i, j]", "y[j, i]", "wrong result", None, "expected"),
    "half of the result": ("add", "i < x.size", "i < 32", "never written", None, "32 of 64"),
    "a barrier in a branch": ("transpose", "    cuda.syncthreads()", "    if i < 4:\n"
                              "        cuda.syncthreads()", "barrier", 6, "32 of the block's 64"),
    "for ever": ("add", "        y[i] = x[i] + 1\n", "        while True:\n"
                 "            y[i] = x[i]\n", "endless loop", 5, "still runs when"),
    "a division": ("add", "x[i] + 1", "1 // int(0 * x[i])", "division", 4, "ZeroDivisionError"),
}  # fmt: skip


def look(name, code=None, seconds=20, tmp_path=None):
    source, (grid, block), args, expect = RIGHT[name]
    path = tmp_path / "kernel.py"
    path.write_text(HEAD + (code or source))
    return cuda.check(path, "k", grid, block, args, expect, seconds)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_kernel_has_no_fault(name, tmp_path):
    report = look(name, tmp_path=tmp_path)
    assert report.ok, str(report)
    assert any("nothing is seen of registers" in remark for remark in report.remarks)


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_is_found_and_named(fault, tmp_path):
    name, right, wrong, kind, line, words = FAULTY[fault]
    source = RIGHT[name][0]
    assert source.count(right) == 1
    report = look(name, source.replace(right, wrong), 3 if kind == "endless loop" else 20, tmp_path)
    found = [one for one in report.faults if one.kind == kind]
    assert found, str(report)
    places = [place for one in found for place in (one.line, one.other_line)]
    assert (None if line is None else line + 5) in places, str(report)  # who is first is by chance
    assert any(re.search(words, one.message) for one in found), str(report)


def test_a_function_and_the_command_line(tmp_path, capsys):
    def double(x, y):
        i = cuda.grid(1)  # noqa: F821 (Numba's cuda, inside of the simulator)
        y[i] = 2 * x[i]

    report = cuda.check(double, grid=2, block=32, args={"x": X, "y": cuda.Empty(64)})
    assert report.ok and report.kernel == "double", str(report)
    np.testing.assert_array_equal(report.arrays["y"], 2 * X)
    path = tmp_path / "k.py"
    path.write_text(HEAD + RIGHT["add"][0])
    words = ["cuda", str(path), "--grid", "2", "--block", "32", "--arg", "x=random:64"]
    assert cli.main([*words, "--arg", "y=empty:60", "--expect", "y=x[:60]+1"]) == 1
    assert "writes y[60], but y has the shape (60,)" in capsys.readouterr().out
    assert cli.main([*words, "--arg", "y=empty:64", "--expect", "y=x+1"]) == 0


@pytest.mark.parametrize(
    ("args", "kernel", "message"),
    [
        ({"x": X}, "k", "the kernel's argument y is not given"),
        ({"x": X, "y": X, "z": 1}, "k", "the kernel has no argument z; it takes x, y"),
        ({"x": X, "y": X}, "other", "the file has no kernel other; it has k"),
    ],
)
def test_a_wrong_launch_is_told(args, kernel, message, tmp_path):
    path = tmp_path / "k.py"
    path.write_text(HEAD + RIGHT["add"][0])
    (fault,) = cuda.check(path, kernel, 1, 32, args).faults
    assert fault.kind == "launch" and message in fault.message
