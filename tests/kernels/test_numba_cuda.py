"""The Numba-CUDA kernels without a GPU: executed in Numba's simulator, compiled for a real one.

On a GPU `test_backends.py` and `test_gpu.py` run them.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cases import CASES
from operation_checks import forward_and_backward

from minires import backend, kernels
from minires.kernels import ladders

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
HERE = Path(__file__).parent
OPERATIONS = kernels.own_kernels("numba_cuda")


def simulate(*words: str) -> str:
    """Run Python with Numba's simulator; what it prints."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    result = subprocess.run(
        [sys.executable, "-m", *words],
        env=environment,
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-3000:]
    return result.stdout


def test_in_the_simulator():
    """Over the grid's small shapes, a training step, the ladders, planted bugs."""
    path = HERE / "test_numba_cuda_simulated.py"
    printed = simulate("pytest", "-q", "-p", "no:cacheprovider", str(path))
    assert "passed" in printed and "skipped" not in printed


def test_the_command_line_knows_the_simulator():
    assert "numba_cuda  works, in Numba's simulator" in simulate("minires", "info")


def test_the_simulator_is_never_chosen_by_auto():
    program = "from minires import backend; print(backend.default(), backend.problem('numba_cuda'))"
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True).stdout
    assert printed.split()[0] != "numba_cuda" and printed.split()[1] == "None"


@pytest.fixture
def compiled(monkeypatch, capability):
    """Launches compile for a compute capability instead; the PTX by kernel and types."""
    import numba
    from numba import cuda
    from numba.cuda import dispatcher

    ptx = {}

    def launch(kernel, configuration):
        def compile_it(*arguments):
            types = tuple(map(numba.typeof, arguments))
            if (kernel, types) not in ptx:
                code, _ = cuda.compile_ptx(kernel.py_func, types, cc=capability)
                ptx[kernel, types] = code

        return compile_it

    try:
        cuda.compile_ptx(lambda x: None, (numba.float32[::1],), cc=capability)
    except Exception as error:  # in many ways, if the libraries are not there
        pytest.skip(f"CUDA's compiler is not there (pip install 'numba-cuda[cu13]'): {error}")
    device = SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)
    monkeypatch.setattr(dispatcher.CUDADispatcher, "__getitem__", launch)
    monkeypatch.setattr(backend._current, "process", "numba_cuda")
    monkeypatch.setattr(backend, "xp", lambda: np)
    return ptx


@pytest.mark.parametrize(
    ("dtype", "capability"),
    [
        ("float32", (7, 5)),
        pytest.param("float32", (8, 0), marks=pytest.mark.slow),  # between the two others
        ("float32", (9, 0)),
        ("float64", (9, 0)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # nothing has been computed
def test_all_kernels_compile_for_a_gpu(compiled, dtype):
    for case in CASES:
        if case.op in OPERATIONS:
            inputs = case.inputs(np.random.default_rng(0))
            forward_and_backward(case, [array.astype(dtype) for array in inputs])
    arrays = [np.ones(3, dtype) for _ in range(3)]
    kernels.load("sgd", "numba_cuda").update(*([a] for a in arrays), 0.1, 0.9, [1e-4], True)
    states = [[np.ones(3, dtype)] for _ in range(4)] + [[np.zeros((), np.int64)]]
    adam = kernels.load("adam", "numba_cuda")
    adam.update(*states, 0.1, (0.9, 0.999), 1e-8, [1e-4], True)
    assert len(compiled) >= 27
    modules = {kernel.py_func.__module__.split(".")[2] for kernel, _ in compiled}
    assert modules == set(OPERATIONS)
    if dtype == "float32":
        for (kernel, _), code in compiled.items():
            assert ".f64" not in code, f"{kernel.py_func.__qualname__} computes in double precision"


@pytest.mark.parametrize("capability", [(7, 5), (9, 0)])
def test_the_ladders_compile_for_a_gpu(compiled):
    for name in ladders.OPERATIONS:
        ladder = ladders.load(name)
        for rung in ladders.rungs(name):
            if rung.language == "Numba-CUDA":
                rung.run(*ladder.inputs(np.random.default_rng(0), ladder.SHAPES[0]))
    assert len(compiled) == 9
