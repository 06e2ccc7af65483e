"""Compile a kernel with Numba, once per machine: the result is kept on disk, the wait is announced.

Numba's own disk cache knows a function by the path and the time of the file in which it stands.
Kernels here are made of functions from several files, and the same files may stand in several
checkouts. So machine code is kept by content: the cache directory carries a hash of all kernel
sources and of Numba's version. An edited file means a new directory, never stale machine code; an
equal file elsewhere finds what is compiled already. Numba itself adds the processor to the key.

A cache that cannot be written, or not be read, costs time and nothing else.

See docs/decisions/cpu.md, "No fastmath".
See docs/decisions/cpu.md, "LLVM's second level".
"""

import functools
import hashlib
import importlib
import os
import pickle
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

import numba
from numba.core import caching, event

from minires import caches
from minires.kernels import own

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
    """Where machine code is kept: below $NUMBA_CACHE_DIR, or below the user's cache directory."""
    contents = [numba.__version__.encode(), str(int(numba.config.OPT)).encode()]
    contents += [path.read_bytes() for path in sorted(HERE.rglob("*.py")) if _is_compiled(path)]
    return str(_parent().absolute() / _digest(*contents))


def _parent() -> Path:
    try:
        return caches.machine_code()
    except RuntimeError:  # there is no home directory: each process compiles anew
        return Path(tempfile.mkdtemp(prefix="minires-"))


def _digest(*contents: bytes) -> str:
    """A hash of pieces of data and of their lengths."""
    digest = hashlib.sha256()
    for content in contents:
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:16]


def _is_compiled(path: Path) -> bool:
    """Whether machine code for the CPU is made of what stands in this file."""
    of_operation = path.name.startswith("numba_") and path.name not in FOR_GPUS
    return of_operation or (path.parent == HERE and path.name in SHARED)


def jit(function=None, *, parallel: bool = False):
    """`numba.njit` as all kernels use it: cached on disk, no reordering of float operations.

    With `parallel`, loops over `prange` are shared among the threads. No `fastmath`: it would let
    the compiler assume that there is no NaN and no infinity.
    """
    if function is None:
        return lambda f: jit(f, parallel=parallel)
    _announce_compilation()
    kernel = numba.njit(function, parallel=parallel, error_model="numpy", no_cfunc_wrapper=True)
    if Path(function.__code__.co_filename).is_file():  # else it was typed in: nothing to know it by
        kernel._cache = _Cache(function)
    return _one_at_a_time(kernel) if parallel and layer() == "workqueue" else kernel


@cache
def layer() -> str:
    """Which of Numba's threading layers runs `prange`: "tbb", "omp" or "workqueue"."""
    chosen = str(numba.config.THREADING_LAYER)
    if chosen in ("tbb", "omp", "workqueue"):
        return chosen
    for name, module in (("tbb", "tbbpool"), ("omp", "omppool")):
        try:
            importlib.import_module(f"numba.np.ufunc.{module}")
        except ImportError:
            continue
        return name
    return "workqueue"


_turn = threading.RLock()


def _one_at_a_time(kernel):
    """A kernel that waits for its turn: called by two threads, the workqueue ends the process."""

    @functools.wraps(kernel.py_func)
    def waiting(*arguments):
        with _turn:
            return kernel(*arguments)

    waiting.py_func = kernel.py_func
    return waiting


class Forked(RuntimeError):
    """A process that was forked from one whose threads had begun: they are not there."""


_forked = False


def check_process() -> None:
    """Raise `Forked` where the parent's OpenMP threads are missing: the child would end."""
    if _forked:
        raise Forked(
            "this process was forked after the numba backend had started its threads, which a fork "
            'does not copy; start processes with multiprocessing.get_context("spawn"), fork before '
            'the first computation, or use("numpy") here'
        )


def _after_fork() -> None:
    global _forked
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    _forked = bool(getattr(parallel, "_is_initialized", False)) and layer() == "omp"


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class _Locator:
    """Tells Numba's cache the place and the name of a function's machine code: no paths in it."""

    def __init__(self, function, file: str):
        self.function, self.file = function, Path(file)

    from_function = classmethod(lambda cls, function, file: cls(function, file))

    def ensure_cache_path(self) -> None:
        os.makedirs(cache_directory(), exist_ok=True)

    def get_cache_path(self) -> str:
        return cache_directory()

    def get_source_stamp(self) -> str:
        return _digest(*self._contents())

    def _contents(self) -> list[bytes]:
        """The file; if a folder from outside holds it, also what it may import from there."""
        folders = [folder for folder in own.FOLDERS if self.file.is_relative_to(folder)]
        beside = (path for folder in folders for path in sorted(folder.rglob("*.py")))
        return [self.file.read_bytes(), *(path.read_bytes() for path in beside)]

    def get_disambiguator(self) -> str:
        """Distinguishes functions of one name in files of one name, also outside of `kernels/`."""
        stamp = _digest(self.function.__module__.encode(), *self._contents())
        return f"{self.function.__code__.co_firstlineno}-{stamp}"


class _Sealed(caching.IndexDataCacheFile):
    """Numba's files, each with a checksum: a damaged one is as good as none, and is made anew."""

    def _save_index(self, overloads) -> None:
        self._seal(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_index(self) -> dict:
        try:
            version, stamp, overloads = self._unseal(self._index_path)
        except (OSError, ValueError):  # there is none, or half of one
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_data(self, name, data) -> None:
        self._seal(self._data_path(name), data)

    def _load_data(self, name):
        return self._unseal(self._data_path(name))

    def _seal(self, path, data) -> None:
        data = self._dump(data)
        with self._open_for_write(path) as file:
            file.write(data + hashlib.sha256(data).digest())

    def _unseal(self, path):
        sealed = Path(path).read_bytes()
        data, checksum = sealed[:-32], sealed[-32:]
        if hashlib.sha256(data).digest() != checksum:
            raise FileNotFoundError(f"{path} is damaged")
        return pickle.loads(data)


class _Compiled(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]


class _Cache(caching.FunctionCache):
    """Numba's cache of a function's versions, which does without the disk where it must."""

    _impl_class = _Compiled

    def __init__(self, function):
        super().__init__(function)
        own = self._cache_file
        self._cache_file = _Sealed(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=own._source_stamp,
        )

    def load_overload(self, signature, target_context):
        """The machine code for a signature; None where there is none, or none that can be read."""
        try:
            return super().load_overload(signature, target_context)
        except OSError:
            return None

    def save_overload(self, signature, data) -> None:
        """Keep the machine code, if possible; no two processes write at once.

        Numba numbers the files of a function's versions: two processes that save float32 and
        float64 at the same moment could take the same number, and the index of one name the code
        of the other.
        """
        try:
            self._impl.locator.ensure_cache_path()
            with open(Path(cache_directory()) / "lock", "w") as lock:
                if fcntl is not None:
                    fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
                super().save_overload(signature, data)
        except OSError as error:
            _say_it_is_not_kept(error.strerror)


@cache
def _say_it_is_not_kept(reason: str) -> None:
    place = cache_directory()
    print(f"\nminires: machine code cannot be kept in {place}: {reason}", file=sys.stderr)


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
                f"minires: compiling the CPU kernels for this machine, to be kept in "
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
