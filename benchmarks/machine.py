"""What a benchmark ran on, and the best that this machine can do."""

import importlib.metadata
import os
import platform
import statistics
from pathlib import Path

import numpy as np

from minires import backend
from minires.benchmarks.clocks import Clock, CupyClock


def facts(on_cpu: bool = True, on_gpu: bool = False) -> dict:
    """What a record says about the machine, and the best it can do where something was timed.

    "machine", "versions"; "sgemm_gflop_per_second": the float32 matrix product of NumPy's BLAS;
    "copied_gb_per_second": what copying an array on the current backend reads and writes.
    """
    found: dict = {"machine": machine(on_gpu), "versions": versions()}
    if on_cpu:
        found["sgemm_gflop_per_second"] = round(sgemm_flops_per_second() / 1e9, 1)
    if on_gpu:
        found["copied_gb_per_second"] = round(copied_bytes_per_second() / 1e9, 1)
    return found


def machine(on_gpu: bool = False) -> str:
    """The processor and its cores; or the GPU's name."""
    if on_gpu:
        import cupy

        return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} logical cores"


def versions() -> dict[str, str]:
    """Python and the libraries that compute, as far as they are installed."""
    found = {"Python": platform.python_version()}
    for package in ("numpy", "numba", "torch", "cupy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def sgemm_flops_per_second(size: int = 1536, repeats: int = 9) -> float:
    """The best that NumPy's BLAS reaches in a float32 matrix product on this machine."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, size, size), dtype=np.float32)
    return 2 * size**3 / min(Clock().seconds_of(lambda: a @ b) for _ in range(repeats))


def copied_bytes_per_second(megabytes: int = 1024, times: int = 20) -> float:
    """Bytes read and written by copying an array on the current backend, the median of nine.

    On a GPU it is first copied 25 times as often, until the clocks have risen.
    """
    xp = backend.xp()
    a = xp.zeros(megabytes << 18, np.float32)
    b, clock = xp.empty_like(a), Clock() if xp is np else CupyClock()

    def copy(times: int = times) -> None:
        for _ in range(times):
            b[...] = a

    copy(times if xp is np else 25 * times)
    return 2 * a.nbytes * times / statistics.median(clock.seconds_of(copy) for _ in range(9))
