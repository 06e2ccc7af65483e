"""Compile a kernel with Numba, once per machine: the result is kept on disk, the wait is announced.

Numba's own disk cache looks only at the file in which a function stands. Kernels here are made of
functions from several files, so the cache directory carries a hash of all of them: an edited file
means a new directory, never stale machine code.

See docs/decisions/cpu.md, "No fastmath".
See docs/decisions/cpu.md, "LLVM's second level".
"""

import hashlib
import os
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import numba
from numba.core import event

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

HERE = Path(__file__).parent
SHARED = ("jit.py", "register_tile.py", "vectors.py")
FOR_GPUS = ("numba_cuda.py", "numba_grid.py")

if "NUMBA_OPT" not in os.environ:  # LLVM's third level takes a sixth longer, for nothing
    numba.config.OPT = type(numba.config.OPT)(2)


@cache
def cache_directory() -> str:
    """Where machine code is kept: $NUMBA_CACHE_DIR, or the user's cache directory.

    If that cannot be written: a temporary directory, and each process compiles anew.
    """
    sources = [path for path in sorted(HERE.rglob("*.py")) if _is_compiled(path)]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    try:
        parent = Path(os.environ.get("NUMBA_CACHE_DIR") or _users_cache() / "minires")
        directory = parent.absolute() / digest
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except (OSError, RuntimeError):  # RuntimeError: there is no home directory
        return tempfile.mkdtemp(prefix="minires-")
    return str(directory)


def _is_compiled(path: Path) -> bool:
    """Whether machine code for the CPU is made of what stands in this file."""
    of_operation = path.name.startswith("numba_") and path.name not in FOR_GPUS
    return of_operation or (path.parent == HERE and path.name in SHARED)


def _users_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def jit(function=None, *, parallel: bool = False):
    """`numba.njit` as all kernels use it: cached on disk, no reordering of float operations.

    With `parallel`, loops over `prange` are shared among the threads. No `fastmath`: it would let
    the compiler assume that there is no NaN and no infinity.
    """
    if function is None:
        return lambda f: jit(f, parallel=parallel)
    _announce_compilation()
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, cache_directory()
    try:
        kernel = numba.njit(
            function, cache=True, parallel=parallel, error_model="numpy", no_cfunc_wrapper=True
        )
    finally:
        numba.config.CACHE_DIR = before
    _save_one_at_a_time(kernel)
    return kernel


def _save_one_at_a_time(kernel) -> None:
    """Let no two processes write a kernel's cache at once.

    Numba numbers the files of a function's versions: two processes that save float32 and float64
    at the same moment could take the same number, and the index of one name the code of the other.
    """
    save = kernel._cache.save_overload

    def locked_save(signature, data):
        with open(Path(cache_directory()) / "lock", "w") as lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
            save(signature, data)

    kernel._cache.save_overload = locked_save


class _Announcer(event.Listener):
    """Says on stderr that a kernel is being compiled, and how long it took."""

    def __init__(self):
        self.outermost, self.started, self.announced = None, 0.0, False

    def on_start(self, e):
        function = e.data["dispatcher"].py_func
        module = function.__module__ or ""  # None where the source was exec'ed
        if self.outermost is not None or not module.startswith("minires.kernels."):
            return
        self.outermost, self.started = function, time.perf_counter()
        if not self.announced:
            self.announced = True
            print(
                "minires: compiling the CPU kernels for this machine; they are kept in "
                f"{cache_directory()}",
                file=sys.stderr,
            )
        print(f"  {_name(function)} ...", end="", file=sys.stderr, flush=True)

    def on_end(self, e):
        if self.outermost is e.data["dispatcher"].py_func:
            print(f" {time.perf_counter() - self.started:.1f} s", file=sys.stderr, flush=True)
            self.outermost = None


@cache
def _announce_compilation() -> None:
    event.register("numba:compile", _Announcer())


def _name(function) -> str:
    operation = function.__module__.removeprefix("minires.kernels.").split(".")[0]
    return f"{operation}: {function.__name__.strip('_').replace('_', ' ')}"
