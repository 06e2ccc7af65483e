"""A .cu file -> a library whose every access of memory is watched (`include/watch.h`).

The compiler is asked to announce accesses to a sanitizer's functions; these are our own, compiled
once per machine. Between compiling and assembling, empty room is put before each static array, so
that an index beyond one does not land in the next.
"""

import hashlib
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
    "-fno-ipa-reference",
)
WATCHED += ("-fsanitize=alignment,bounds,signed-integer-overflow,integer-divide-by-zero",)

_ERROR = re.compile(
    r"^(?P<file>[^\n:]+):(?P<line>\d+):(?:\d+:)? (?:fatal )?error: (?P<what>.*)$", re.M
)
_OBJECT = re.compile(r"^\t\.type\t(?!\.L|_ZTS|_ZTI|_ZTV|_ZGV)(\S+), [@%]object$", re.M)
_SYMBOL = re.compile(
    r"^\s*\d+: (?P<value>[0-9a-f]+)\s+(?P<size>\d+) (?P<type>OBJECT|TLS)"
    r"\s+\S+\s+\S+\s+\d+ (?P<name>.+)$",
    re.M,
)


class DoesNotCompile(Exception):
    """What the compiler says, and of which line (0 if it is none of the file's)."""

    def __init__(self, what: str, line: int):
        super().__init__(what)
        self.what, self.line = what, line


@dataclass(frozen=True)
class Variable:
    """A static variable of the library: shared memory (`is_shared`), __device__ or __constant__.

    `place` is its distance from the beginning of the thread-local memory, or of the library.
    """

    name: str
    function: str
    place: int
    size: int
    is_shared: bool

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
    textbook.refuse(source)
    exports = (host._export(f"minires_kernel_{i}", s) for i, s in enumerate(signatures.values()))
    text = "\n".join((textbook.translate(source), *exports, ""))
    compiler = host._compiler() or "g++"
    headers = "".join(p.read_text() for p in sorted(host.INCLUDE.rglob("*.*")))
    own = "".join(p.read_text() for p in sorted(folder.glob("*.*h")) if p.is_file())
    parts = (headers, *FLAGS, *WATCHED, compiler, host._processor())
    watch = _kept("watch", parts, ".o")
    library = _kept(Path(file).stem, (*parts, text, own, file), ".so")
    if host._is_whole(library):
        return library
    with tempfile.TemporaryDirectory(dir=library.parent) as place:
        if not host._is_whole(watch):
            made = Path(place) / "watch.o"
            _run(
                compiler,
                *FLAGS,
                "-O2",
                "-c",
                str(host.INCLUDE / "watch.cpp"),
                "-o",
                str(made),
                file=file,
            )
            host._seal(made)  # behind the end of an object file, which the linker does not read
            made.replace(watch)
        cu, assembly, made = (
            Path(place) / Path(file).name,
            Path(place) / "k.s",
            Path(place) / "k.so",
        )
        cu.write_text(text)
        command = (*FLAGS, *WATCHED, f"-I{folder}", *host.INCLUDED[2:], "-x", "c++", str(cu), "-S")
        _run(compiler, *command, "-o", str(assembly), file=cu.name)
        assembly.write_text(_OBJECT.sub(lambda m: f"\t.zero\t{ROOM}\n{m[0]}", assembly.read_text()))
        _run(
            compiler,
            "-shared",
            "-pthread",
            str(watch),
            str(assembly),
            "-o",
            str(made),
            "-ldl",
            file=file,
        )
        host._seal(made)
        made.replace(library)
    return library


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
        ("readelf", "-sW", "--demangle", str(library)), capture_output=True, text=True
    ).stdout
    found = {}
    for match in _SYMBOL.finditer(text):
        name = match["name"].split("@")[0].strip()
        function, _, short = name.rpartition("::")
        if _is_foreign(name) or not int(match["size"]):
            continue
        short = short.split("[abi")[0]
        key = match["type"], int(match["value"], 16)
        found[key] = Variable(short, function, key[1], int(match["size"]), key[0] == "TLS")
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
