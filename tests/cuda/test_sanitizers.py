"""Sanitizers watch every kernel at work: on the emulator the C++ compiler's, on a GPU NVIDIA's.

AddressSanitizer and compute-sanitizer's memcheck know where arrays end, ThreadSanitizer and
racecheck which accesses a barrier should have kept apart.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minires import backend

SUPPORT = Path(__file__).parents[1] / "support"
on_emulator = pytest.mark.emulator
on_gpu = pytest.mark.gpu
FEW = (
    "conv2d-(2, 6, 6, 3)-(3, 3)-4-stride1-pad1",
    "batch_norm-(2, 3, 5, 3)-train-residual-relu",
    "cross_entropy-4-5-smoothing0.0",
    "ladders",
    "basic_block-(2, 5, 6, 16)-32-2-(3, 3)-train-shortcut",
)
TAIL = {"right": "row + i < rows && column + j < columns", "wrong": "true"}
PROGRAM = """
import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
sys.path.insert(0, {support!r})
sys.modules["torch"] = None  # slow to import under a sanitizer, and not needed
import numpy as np
from cases import CASES
from operation_checks import forward_and_backward
import minires as mr
from minires import cuda, kernels
from minires.kernels import ladders
backend, precision, right, wrong, path, chosen = {arguments!r}
mr.use(backend)
cuda.set_precision(precision)
if backend == "cupy":
    import cupy
    cupy.cuda.set_allocator(None)  # a pool would hide where arrays end
if right:
    conv2d = kernels.load("conv2d", "cuda")
    assert right in conv2d.KERNELS.source
    Path(path).write_text(conv2d.KERNELS.source.replace(right, wrong))
    conv2d.KERNELS = cuda.Module(Path(path), list(conv2d.KERNELS.signatures))
own = set(kernels.own_kernels("cuda"))
cases = [c for c in CASES if c.op in own]
cases = [c for c in cases if not chosen or str(c) in chosen or c.op in chosen]
rungs = [  # those with barriers or four numbers at a time
    (ladders.load(name), rung)
    for name in ladders.OPERATIONS
    for rung in ladders.rungs(name)
    if rung.title >= "v3" and rung.path.suffix == ".cu" and (not chosen or "ladders" in chosen)
]
if backend == "emulator":  # compilers side by side
    modules = [
        module
        for op in sorted({{c.op for c in cases}})
        if (module := getattr(kernels.load(op, "cuda"), "KERNELS", None)) is not None
    ]
    modules = [  # of several variants the first, plain float32
        module if isinstance(module, cuda.Module) else list(module.values())[0]
        for module in modules
    ]
    for ladder, rung in rungs:
        launcher = importlib.import_module(ladder.__name__ + ".cuda")
        modules.append(launcher.KERNELS[rung.path.stem])
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda module: module._host(), modules))
for case in cases:
    inputs = case.inputs(np.random.default_rng(0))
    forward_and_backward(case, [array.astype(np.float32) for array in inputs])
for ladder, rung in rungs:
    for shape in ladder.SHAPES[: 2 if chosen else None]:
        arrays = ladder.inputs(np.random.default_rng(0), shape)
        rung.run(*(mr.backend.asarray(a) if hasattr(a, "dtype") else a for a in arrays))
print("cases:", len(cases))
"""
OVERRUN = """
import sys
from pathlib import Path
import numpy as np
from minires import cuda
Path({path!r}).write_text('''#include "minires.cuh"
__global__ void k(float* y, int n) {{
    SHARED(float, tile, 64);
    tile[threadIdx.x] = 1;
    {barrier}
    if (threadIdx.x <= n) y[threadIdx.x] = tile[63 - threadIdx.x];
}}''')
arguments = dict(y=np.zeros({n}, np.float32), n={n})
cuda.Module(Path({path!r}), ["k"]).launch("k", (1,), (64,), arguments)
"""


def grid(backend: str, *chosen: str, right="", wrong="", path="", precision="float32") -> str:
    """A program that runs the grid's cases (or those chosen, by their name or operation).

    In conv2d's kernels, `right` is replaced by `wrong`.
    """
    arguments = (backend, precision, right, wrong, str(path), chosen)
    return PROGRAM.format(support=str(SUPPORT), arguments=arguments)


def sanitized(mode: str, program: str) -> subprocess.CompletedProcess:
    """Run Python under a sanitizer."""
    if why := backend.problem("emulator"):
        pytest.skip(f"the emulator does not work here: {why}")
    library = {"address": "libasan.so", "thread": "libtsan.so"}[mode]
    command = ["g++", f"-print-file-name={library}"]
    try:
        path = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        path = library
    if path == library:
        pytest.skip(f"g++ with {library} is not installed")
    environment = os.environ | {
        "LD_PRELOAD": path,
        "MINIRES_EMULATOR": mode,
        "ASAN_OPTIONS": "detect_leaks=0",
        "TSAN_OPTIONS": "report_signal_unsafe=0 exitcode=66",
        "OPENBLAS_NUM_THREADS": "1",
    }
    program = "import os\ndel os.environ['LD_PRELOAD']  # the compiler is not watched\n" + program
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@on_emulator
@pytest.mark.parametrize(
    ("chosen", "cases"),
    [(FEW[:3], 3), pytest.param((), 100, marks=pytest.mark.slow)],  # minutes of compiling
    ids=["few", "all"],
)
def test_no_kernel_leaves_its_arrays(chosen, cases):
    result = sanitized("address", grid("emulator", *chosen))
    assert result.returncode == 0, result.stderr[-3000:]
    assert int(re.search(r"cases: (\d+)", result.stdout)[1]) >= cases


@on_emulator
def test_a_missing_guard_of_the_tail_is_found(tmp_path):
    result = sanitized("address", grid("emulator", "conv2d", path=tmp_path / "cuda.cu", **TAIL))
    assert result.returncode != 0 and "heap-buffer-overflow" in result.stderr


@on_emulator
def test_no_kernel_lacks_a_barrier():
    result = sanitized("thread", grid("emulator", *FEW))
    assert result.returncode == 0, result.stderr[-3000:]
    assert "cases: 4" in result.stdout


@on_emulator
@pytest.mark.parametrize(
    ("mode", "barrier", "n", "finding"),
    [
        ("address", "__syncthreads();", 40, "heap-buffer-overflow"),
        ("thread", "", 64, "data race"),
    ],
)
def test_the_sanitizers_find_a_planted_bug(tmp_path, mode, barrier, n, finding):
    program = OVERRUN.format(path=str(tmp_path / "cuda.cu"), barrier=barrier, n=n)
    result = sanitized(mode, program)
    assert result.returncode != 0 and finding in result.stderr and "cuda.cu:6" in result.stderr
    program = OVERRUN.format(path=str(tmp_path / "cuda.cu"), barrier="__syncthreads();", n=64)
    assert sanitized(mode, program).returncode == 0


def checked_on_gpu(tool: str, program: str) -> subprocess.CompletedProcess:
    """Run Python under NVIDIA's compute-sanitizer; it exits with 9 for what it finds."""
    if why := backend.problem("cupy"):
        pytest.skip(f"no GPU to test on: {why}")
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/cuda/bin"])
    command = shutil.which("compute-sanitizer", path=path)
    if command is None:
        pytest.skip("compute-sanitizer is not installed (it comes with the CUDA toolkit)")
    words = [command, "--tool", tool, "--error-exitcode", "9"]
    if tool == "memcheck":  # what libraries ask the driver in vain is no fault of a kernel
        words += ["--report-api-errors", "no"]
    words += [sys.executable, "-c", program]
    result = subprocess.run(words, capture_output=True, text=True)
    if "Device not supported" in result.stdout + result.stderr:
        pytest.skip("compute-sanitizer does not support this machine's GPU")
    return result


@on_gpu
@pytest.mark.parametrize("precision", ["float32", "tf32"])
@pytest.mark.parametrize(("tool", "chosen"), [("memcheck", ()), ("racecheck", FEW)])
def test_no_kernel_is_found_fault_with_on_a_gpu(tool, chosen, precision):
    result = checked_on_gpu(tool, grid("cupy", *chosen, precision=precision))
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]


@on_gpu
def test_a_missing_guard_of_the_tail_is_found_on_a_gpu(tmp_path):
    program = grid("cupy", "conv2d", path=tmp_path / "cuda.cu", **TAIL)
    result = checked_on_gpu("memcheck", program)
    assert result.returncode != 0 and "Invalid __global__ write" in result.stdout
