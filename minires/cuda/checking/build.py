"""A .cu file -> a library whose every access of memory is watched (`include/watch.h`).

The compiler is asked to announce accesses to a sanitizer's functions; these are our own, compiled
once per machine. Between compiling and assembling, empty room is put before each static array, so
that an index beyond one does not land in the next.
"""

import hashlib
import platform
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from minires.cuda import host, textbook
from minires.cuda.checking.job import ROOM
from minires.cuda.signature import Signature

FLAGS: tuple[str, ...] = (
    "-std=c++17",
    "-g",
    "-fPIC",
    "-pthread",
    "-march=native",
    "-ffp-contract=fast",
    "-w",
)
FLAGS += ("-fno-strict-aliasing", "-fvisibility=hidden", "-fno-optimize-sibling-calls")
FLAGS += ("-DEMULATOR_WATCHED", "-DEMULATOR_TEXTBOOK", *host.INCLUDED[:2])
WATCHED: tuple[str, ...] = (
    "-O1",
    "-fsanitize=thread",
    "-fno-zero-initialized-in-bss",
)
WATCHED += ("-fsanitize=alignment,bounds,signed-integer-overflow,integer-divide-by-zero",)

_ERROR = re.compile(
    r"^(?P<file>[^\n:]+):(?P<line>\d+):(?:\d+:)? (?:fatal )?error: (?P<what>.*)$", re.M
)
_OBJECT = re.compile(r"^\t\.type\t(?!\.L|_ZTS|_ZTI|_ZTV|_ZGV)(\S+), [@%]object$", re.M)
_CALL = re.compile(
    r"^(\t(?:call|jmp)q?\t|\tbl?\t)"
    r"(memcpy|memmove|memset|malloc|calloc|free|_Znwm|_Znam|_ZdlPvm?|_ZdaPvm?)(?:@PLT)?$",
    re.M,
)
_SYMBOL = re.compile(
    r"^\s*\d+: (?P<value>[0-9a-f]+)\s+(?P<size>\d+) (?P<type>OBJECT|TLS)"
    r"\s+\S+\s+\S+\s+(?P<section>\d+) (?P<name>.+)$",
    re.M,
)


def _own_flags(compiler: str) -> tuple[str, ...]:
    """What one compiler needs to announce each read, and memset and memcpy as calls."""
    if "clang" in Path(compiler).name:
        return ("-mllvm", "-tsan-instrument-read-before-write=1")
    strings = ("-mstringop-strategy=libcall",) if platform.machine() == "x86_64" else ()
    return ("-fno-ipa-reference", *strings)


class DoesNotCompile(Exception):
    """What the compiler says, and of which line (0 if it is none of the file's)."""

    def __init__(self, what: str, line: int):
        super().__init__(what)
        self.what, self.line = what, line


@dataclass(frozen=True)
class Variable:
    """A static variable of the library: shared memory (`is_shared`), __device__ or __constant__.

    `place` is its distance from the beginning of the thread-local memory, or of the library.
    `is_constant`: it lies in memory that cannot be written.
    """

    name: str
    function: str
    place: int
    size: int
    is_shared: bool
    is_constant: bool = False

    @property
    def kernel(self) -> str:
        """The name of the function that declares it, without types."""
        return (
            self.function.partition("(")[0].partition("<")[0].split()[-1:][0]
            if self.function
            else ""
        )


def compile_watched(file: str, source: str, signatures: dict[str, Signature], folder: Path) -> Path:
    """Compile kernels for the watched emulator; a library on disk, kept under its hash.

    Raises
    ------
    DoesNotCompile
    """
    exports = (host._export(f"minires_kernel_{i}", s) for i, s in enumerate(signatures.values()))
    return _compile(file, source, tuple(exports), folder, ("-shared",), ".so")


def compile_program(file: str, source: str, folder: Path) -> Path:
    """Compile a whole program for the watched emulator; it begins with `__wrap_main`.

    Raises
    ------
    DoesNotCompile
    """
    return _compile(file, source, (), folder, ("-Wl,--wrap=main",), "")


def _compile(
    file: str, source: str, exports: tuple[str, ...], folder: Path, link: tuple[str, ...], end: str
) -> Path:
    textbook.refuse(source)
    text = "\n".join((textbook.translate(source), *exports, ""))
    compiler = host._compiler() or "g++"
    headers = "".join(p.read_text() for p in sorted(host.INCLUDE.rglob("*.*")))
    own = "".join(p.read_text() for p in sorted(folder.glob("*.*h")) if p.is_file())
    flags = (*WATCHED, *_own_flags(compiler))
    parts = (headers, *FLAGS, *flags, compiler, host._processor())
    watch = _kept("watch", parts, ".o")
    made_of = (*parts, text, own, file, *link)
    library = _kept(Path(file).stem, made_of, end)
    if host._is_whole(library):
        return library
    with tempfile.TemporaryDirectory(dir=library.parent) as place:
        made = Path(place) / "made"
        if not host._is_whole(watch):
            command = (*FLAGS, "-O2", "-c", str(host.INCLUDE / "watch.cpp"), "-o", str(made))
            _run(compiler, *command, file=file)
            host._seal(made)  # behind the end of an object file, which the linker does not read
            made.replace(watch)
        included = ("-include", str(_precompiled(compiler, flags, parts)))
        cu, assembly = Path(place) / Path(file).name, Path(place) / "k.s"
        cu.write_text(text)
        command = (*FLAGS, *flags, f"-I{folder}", *included, "-x", "c++", str(cu), "-S")
        _run(compiler, *command, "-o", str(assembly), file=cu.name)
        assembly.write_text(_rewritten(assembly.read_text()))
        command = (*link, "-pthread", str(watch), str(assembly), "-o", str(made), "-ldl")
        _run(compiler, *command, file=file)
        host._seal(made)
        if not end:
            made.chmod(0o700)
        made.replace(library)
    return library


def _rewritten(assembly: str) -> str:
    """With room before each static array; memcpy, malloc, ... are calls of the watch."""
    text = _OBJECT.sub(lambda match: f"\t.zero\t{ROOM}\n{match[0]}", assembly)
    return _CALL.sub(r"\1minires_\2", text)


def _precompiled(compiler: str, flags: tuple[str, ...], parts: tuple[str, ...]) -> Path:
    """A header that includes the emulator, with its precompiled form beside it."""
    folder = _kept("header", parts, "")
    header, made = folder / "emulator.h", folder / "emulator.h.gch"
    if not made.exists():
        folder.mkdir(exist_ok=True)
        if not header.exists():
            header.write_text(f'#include "{host.INCLUDE / "emulator.h"}"\n')
        with tempfile.TemporaryDirectory(dir=folder) as place:
            own = Path(place) / "made"
            command = (*FLAGS, *flags, "-x", "c++-header", str(header))
            _run(compiler, *command, "-o", str(own), file="emulator.h")
            own.replace(made)
    return header


def _kept(name: str, parts: tuple, end: str) -> Path:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    return host._cache() / f"watched-{name}-{digest}{end}"


def _run(*command: str, file: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if not result.returncode:
        return
    for match in _ERROR.finditer(result.stderr):
        what, line = match["what"], int(match["line"])
        if Path(match["file"]).name != Path(file).name:
            line = 0
        unknown = re.match(
            r"['‘]?(\w+)['’]? (?:was not declared|has not been declared|does not name)", what
        )
        if unknown:
            what = f"the emulator does not know {unknown[1]} ({what})"
        raise DoesNotCompile(what, line)
    raise DoesNotCompile(result.stderr.strip() or "the compiler failed", 0)


def variables(library: Path) -> list[Variable]:
    """The kernels' static variables, from the library's table of symbols."""
    text = subprocess.run(
        ("readelf", "-sSW", "--demangle", str(library)), capture_output=True, text=True
    ).stdout
    constant = set(re.findall(r"^\s*\[\s*(\d+)\] \.(?:data\.rel\.ro|rodata)", text, re.M))
    found = {}
    for match in _SYMBOL.finditer(text):
        name = match["name"].split("@")[0].strip()
        function, _, short = name.rpartition("::")
        if _is_foreign(name) or not int(match["size"]):
            continue
        short = short.split("[abi")[0]
        key = match["type"], int(match["value"], 16)
        found[key] = Variable(
            short,
            function,
            key[1],
            int(match["size"]),
            key[0] == "TLS",
            match["section"] in constant,
        )
    return list(found.values())


def _is_foreign(name: str) -> bool:
    starts = (
        "emulator::",
        "minires_",
        "std::",
        "guard variable",
        "typeinfo",
        "vtable",
        "_",
        ".",
        "completed",
        "DW.",
    )
    return name.startswith(starts) or "emulator::" in name.split("(")[0] or "__PRETTY" in name


def lines(library: Path, file: str, places: list[int]) -> dict[int, int]:
    """Places of the library's code -> lines of the file; a call is where it was made."""
    if not places:
        return {}
    command = ("addr2line", "-a", "-i", "-e", str(library), *(hex(place - 1) for place in places))
    output = subprocess.run(command, capture_output=True, text=True).stdout
    found: dict[int, int] = {}
    place = 0
    for line in output.split("\n"):
        if line.startswith("0x"):
            place = int(line, 16) + 1
        elif place not in found and Path(line.rpartition(":")[0]).name == Path(file).name:
            number = line.rpartition(":")[2].split()[0]
            if number.isdigit():
                found[place] = int(number)
    return found
