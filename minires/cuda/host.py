"""The CPU's end: compile a .cu file as C++ with `include/emulator.h` and run it, block by block.

$MINIRES_EMULATOR selects, separated by commas, how kernels are compiled and run:

    checked     shared memory knows what has been written: unwritten reads and indices beyond its
                end are errors (several times slower)
    address     with AddressSanitizer: accesses outside of arrays are errors. Python itself must
                run with it: LD_PRELOAD=$(g++ -print-file-name=libasan.so)
    thread      with ThreadSanitizer: missing barriers are errors. LD_PRELOAD as above, libtsan.so
    reverse     the threads of a block run in the opposite order, last first
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from minires import caches
from minires.cuda import textbook
from minires.cuda.signature import Signature

INCLUDE = Path(__file__).parent / "include"
MODES = {"checked", "address", "thread", "reverse"}
FLAGS: tuple[str, ...] = (
    "-std=c++17",
    "-O2",
    "-g",
    "-fPIC",
    "-shared",
    "-pthread",
    "-march=native",
)
FLAGS += ("-ffp-contract=fast", "-fno-strict-aliasing", "-w")
FLAGS += ("-fno-optimize-sibling-calls",)  # a call's return address tells the kernel's line
INCLUDED = (f"-I{INCLUDE}", f"-I{INCLUDE / 'cuda'}", "-include", str(INCLUDE / "emulator.h"))
FLAGS += ("-fvisibility=hidden",)  # kernels of the same name in two libraries are strangers


class KernelError(RuntimeError):
    """What went wrong inside a kernel: the kernel, block, thread and line, and why."""


def problem() -> str | None:
    """Why the emulator does not work here, or None if it does."""
    if sys.platform != "linux":
        return f"it runs on Linux, but this is {sys.platform}"
    if platform.machine() not in ("x86_64", "aarch64"):
        return f"it runs on x86-64 and aarch64, but this processor is {platform.machine()}"
    if _compiler() is None:
        return "it needs a C++ compiler, g++ or clang++ (Debian, Ubuntu: apt install g++)"
    return None


def _compiler() -> str | None:
    return next(
        filter(None, map(shutil.which, (os.environ.get("CXX", ""), "g++", "clang++"))), None
    )


def modes() -> set[str]:
    """What $MINIRES_EMULATOR asks for; a ValueError if it names something else."""
    chosen = set(filter(None, os.environ.get("MINIRES_EMULATOR", "").split(",")))
    if chosen - MODES:
        raise ValueError(
            f"$MINIRES_EMULATOR is {', '.join(sorted(MODES))} or several of them, separated by "
            f"commas, but names {', '.join(sorted(chosen - MODES))}"
        )
    return chosen | ({"counted"} if _counts is not None else set())


class Counts(ctypes.Structure):
    """What kernels ask of global memory.

    Attributes
    ----------
    loads, stores : int
        Requests: what the lanes of a warp ask for together, by one instruction.
    bytes_loaded, bytes_stored : int
        Bytes that threads asked for.
    sectors_loaded, sectors_stored : int
        Pieces of 32 bytes that the requests touch: what a GPU moves between its caches.
    distinct_loaded, distinct_stored : int
        The same, each once in a launch: what has to come from memory, and to go there, however
        large the caches are.
    """

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "loads",
            "stores",
            "bytes_loaded",
            "bytes_stored",
            "sectors_loaded",
            "sectors_stored",
            "distinct_loaded",
            "distinct_stored",
        )
    ]

    def add(self, other: "Counts") -> None:
        """Add what another launch asked for."""
        for name, *_ in self._fields_:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_counts: Counts | None = None  # what `count` counts, while it does
_reached: tuple[np.ndarray, ...] = ()  # arrays that belong to it, beside a launch's arguments


@contextmanager
def count(*reached: np.ndarray):
    """Count what the kernels ask of global memory that the emulator runs meanwhile.

    >>> with count() as counts:
    ...     kernels.launch("forward<float>", grid, block, dict(x=x, y=y, n=x.size))
    >>> counts.sectors_loaded

    Parameters
    ----------
    *reached : array
        Arrays that kernels reach by their address, without being given them as arguments.
    """
    global _counts, _reached
    before = _counts, _reached
    _counts, _reached = Counts(), reached
    try:
        yield _counts
    finally:
        _counts, _reached = before


class HostModule:
    """A .cu file compiled for this CPU; the library is kept under a hash of all it is made of."""

    def __init__(self, name: str, source: str, signatures: dict[str, Signature]):
        if why := problem():
            raise RuntimeError(f"{name} cannot be compiled for the emulator: {why}")
        self.name = name
        self.symbols = {instance: f"minires_kernel_{i}" for i, instance in enumerate(signatures)}
        exports = (_export(symbol, signatures[i]) for i, symbol in self.symbols.items())
        self.path = compile_library(name, "\n".join((source, *exports, "")))
        library = ctypes.CDLL(str(self.path))
        self.functions, self.threads = {}, {}
        for instance, symbol in self.symbols.items():
            function = self.functions[instance] = getattr(library, symbol)
            function.restype = ctypes.c_void_p
            self.threads[instance] = ctypes.c_int.in_dll(library, f"{symbol}_threads").value

    def most_threads(self, instance: str) -> int:
        """How many threads a block of this kernel may have."""
        return self.threads[instance]

    def launch(self, instance: str, grid, block, arguments, dynamic_shared: int) -> None:
        """Run all blocks, shared among the processor's cores; the arguments have been checked."""
        places = [_place(argument) for argument in (*arguments, *_reached)]
        ranges = [end for place in places if place for end in place]
        values = ctypes.create_string_buffer(b"".join(map(_value, arguments, places)))
        first = ctypes.addressof(values)
        addresses = (ctypes.c_void_p * len(arguments))(*range(first, first + len(values) - 1, 8))
        message, counts = ctypes.create_string_buffer(1024), Counts()
        chosen = modes()
        where = self.functions[instance](
            (ctypes.c_uint * 3)(*(*grid, 1, 1)[:3]),
            (ctypes.c_uint * 3)(*(*block, 1, 1)[:3]),
            ctypes.c_size_t(dynamic_shared),
            addresses,
            (ctypes.c_size_t * len(ranges))(*ranges),
            ctypes.c_uint(len(ranges) // 2),
            ctypes.c_uint(1 if chosen & {"thread", "counted"} else cores()),
            ctypes.c_bool("reverse" in chosen),
            message,
            ctypes.c_size_t(len(message)),
            ctypes.byref(counts),
        )
        if where:
            raise KernelError(
                f"kernel {instance} of {self.name}{self._line(where)}, {message.value.decode()}"
            )
        if _counts is not None:
            _counts.add(counts)

    def _line(self, offset: int) -> str:
        """ ", line N", the kernel's line at this place of the library, if it can be found out."""
        if offset == 1 or shutil.which("addr2line") is None:
            return ""
        command = ("addr2line", "-i", "-e", str(self.path), hex(offset - 1))  # the call, not after
        places = subprocess.run(command, capture_output=True, text=True).stdout.split("\n")
        lines = [place for place in places if place.split(":")[0].endswith(".cu")]
        return f", line {lines[0].split(':')[1].split()[0]}" if lines else ""


def _place(argument) -> tuple[int, int] | None:
    """Where an array begins and ends in memory; None for what is no array."""
    if not isinstance(argument, np.ndarray):
        return None
    begin = argument.__array_interface__["data"][0]
    return begin, begin + argument.nbytes


def _value(argument, place: tuple[int, int] | None) -> bytes:
    """Eight bytes that begin with what the kernel's parameter holds: an address, or a number."""
    if argument is None or place is not None:
        return (place[0] if place else 0).to_bytes(8, sys.byteorder)
    return argument.tobytes().ljust(8, b"\0")


def _export(symbol: str, signature: Signature) -> str:
    """C++ that makes a kernel, and how many threads it may have, known by `symbol`."""
    _, template, values = signature.expression.partition("<")
    head = f"template <{signature.template}> " if template else ""
    return (
        f"{head}constexpr int {symbol}_bounds = emulator::first({signature.bounds or 1024});\n"
        f'extern "C" __attribute__((visibility("default"))) '
        f"const int {symbol}_threads = {symbol}_bounds{template}{values};\n"
        f"EMULATOR_EXPORT({symbol}, {signature.expression})"
    )


def cores() -> int:
    """How many blocks run at a time: $MINIRES_EMULATOR_THREADS, or one per core."""
    return int(os.environ.get("MINIRES_EMULATOR_THREADS") or len(os.sched_getaffinity(0)))


def compile_library(name: str, source: str) -> Path:
    """Compile C++ source that includes the emulator; announced on stderr, kept on disk."""
    chosen = modes()
    flags = [*FLAGS, *INCLUDED]
    if textbook.is_textbook(source):
        flags.append("-DEMULATOR_TEXTBOOK")
        source = textbook.translate(source)
    flags += ["-DEMULATOR_CHECKED"] * ("checked" in chosen)
    flags += [f"-fsanitize={mode}" for mode in ("address", "thread") if mode in chosen]
    if "counted" in chosen:
        flags += ["-fsanitize=thread", "-DEMULATOR_COUNTED", "-fno-tree-vectorize"]
    headers = [path.read_text() for path in sorted(INCLUDE.rglob("*.*"))]
    compiler = _compiler() or "g++"  # which then is not found, in words of the system
    parts = (source, *headers, *FLAGS, *sorted(chosen), compiler, _processor())
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    library = _cache() / f"{name.replace('/', '-')}-{digest}.so"
    if _is_whole(library):
        return library
    _forget_stopped_compilers(library.parent)
    started = time.perf_counter()
    print(f"minires: compiling {name} for the emulator ...", end="", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as place:
        file = Path(place) / name.replace("/", "-")
        file.write_text(source)
        finished = Path(place) / "library.so"
        commands = [[compiler, *flags, "-x", "c++", str(file), "-o", str(finished), "-ldl"]]
        if "counted" in chosen:  # linked without ThreadSanitizer: its functions are our own
            object_file = str(Path(place) / "kernels.o")
            commands[0][-3:] = ["-c", "-o", object_file]
            commands.append([compiler, *FLAGS, object_file, "-o", str(finished), "-ldl"])
        for command in commands:
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                break
        if result.returncode:
            print(" failed", file=sys.stderr)
            raise RuntimeError(f"{name} does not compile for the emulator:\n{result.stderr}")
        _seal(finished)
        os.replace(finished, library)  # another process may do the same: either is right
    print(f" {time.perf_counter() - started:.1f} s", file=sys.stderr)
    return library


SEAL = 32
"""Bytes behind a library that the loader does not read: the checksum of all before them."""


def _seal(library: Path) -> None:
    with open(library, "ab") as file:
        file.write(hashlib.sha256(library.read_bytes()).digest())


def _is_whole(library: Path) -> bool:
    """Whether there is such a library, without damage; another one is compiled in its place."""
    try:
        content = library.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-SEAL]).digest() == content[-SEAL:]


def _forget_stopped_compilers(directory: Path) -> None:
    """Remove what compilers left that were killed: folders that are an hour old."""
    for folder in directory.glob("tmp*"):
        try:
            if time.time() - folder.stat().st_mtime > 3600:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # another process was quicker
            pass


@cache
def _processor() -> str:
    """What -march=native depends on: the processor's model and abilities."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n")
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


@cache
def _cache() -> Path:
    directory = caches.libraries()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="minires-"))
    return directory
