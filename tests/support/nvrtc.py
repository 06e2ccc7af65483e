"""NVIDIA's compiler without a GPU, a driver or CuPy: the wheels nvidia-cuda-nvrtc and -nvdisasm.

See docs/decisions/cuda.md, "Ask the compiler".
"""

import ctypes
import importlib.util
import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from minires.cuda.host import INCLUDE


@cache
def wheel() -> Path | None:
    """Where the wheels have put their files, or None."""
    found = importlib.util.find_spec("nvidia")
    for place in found.submodule_search_locations if found else ():
        for library in sorted(Path(place).glob("cu*/lib/libnvrtc.so.*")):
            return library.parents[1]
    return None


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(str(next((wheel() / "lib").glob("libnvrtc.so.*"))))


def _call(name: str, *arguments) -> int:
    return getattr(_library(), name)(*arguments)


def _text(program, size_of: str, get: str) -> bytes:
    size = ctypes.c_size_t()
    _call(size_of, program, ctypes.byref(size))
    text = ctypes.create_string_buffer(max(1, size.value))
    _call(get, program, text)
    return text.raw


def compile_for(architecture: str, source: str, expressions) -> tuple[bytes, str]:
    """Machine code for ``"sm_90"`` or another architecture, and what the assembler says of it."""
    return _compile_for(architecture, source, tuple(expressions))


@cache
def _compile_for(architecture: str, source: str, expressions: tuple[str, ...]):
    program = ctypes.c_void_p()
    _call("nvrtcCreateProgram", ctypes.byref(program), source.encode(), b"cuda.cu", 0, None, None)
    for expression in expressions:
        _call("nvrtcAddNameExpression", program, expression.encode())
    options = [f"-arch={architecture}", "-std=c++17", "--ptxas-options=-v", f"-I{INCLUDE}"]
    array = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = _call("nvrtcCompileProgram", program, len(options), array)
    log = _text(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").decode(errors="replace")
    assert status == 0, log
    return _text(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN"), log


def spills(log: str) -> dict[str, int]:
    """Bytes that each kernel moves from registers to memory, by its mangled name."""
    found = re.findall(
        r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads",
        log,
        re.DOTALL,
    )
    return {name: int(stores) + int(loads) for name, stores, loads in found}


def instructions(cubin: bytes) -> dict[str, str]:
    """The machine instructions of each kernel, by its mangled name."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [wheel() / "bin" / "nvdisasm", "-c", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts = re.split(r"\.section\s+\.text\.(\w+)", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
