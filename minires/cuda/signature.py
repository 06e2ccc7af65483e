"""What a .cu file says about its kernels: their names, their parameters, how they may be launched.

Parsed from the source. So arguments can be given by name, Python numbers become what C++ expects,
and a wrong launch is refused in words before a GPU answers it with garbage.

>>> signature = parse("__global__ void fill(float* y, int n, float value) { ... }", "fill", "my.cu")
>>> signature.bind({"value": 0.5, "n": 100, "y": y})
{'y': array(...), 'n': np.int32(100), 'value': np.float32(0.5)}
"""

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, NoReturn

from minires.cuda.parameter import (
    DTYPES,
    INTS,
    OPTIONAL,
    RANGES,
    VECTORS,
    LaunchError,
    Parameter,
)

MOST_BLOCKS = (2**31 - 1, 65535, 65535)
MOST_THREADS = (1024, 1024, 64)
MOST_DYNAMIC_SHARED = 227 << 10
"""Bytes of shared memory that a block can have, of any GPU (compute capability 9.0)."""

SPELLED = {
    **{"uint": "unsigned", "size_t": "unsigned long", "__half": "half", "__half2": "half2"},
    **{"signed": "int", "uchar": "unsigned char", "ushort": "unsigned short"},
    **{"nv_bfloat16": "__nv_bfloat16", "nv_bfloat162": "__nv_bfloat162"},
    **{"int8_t": "signed char", "uint8_t": "unsigned char", "int16_t": "short"},
    **{"uint16_t": "unsigned short", "int32_t": "int", "uint32_t": "unsigned"},
    **{"int64_t": "long", "uint64_t": "unsigned long", "ptrdiff_t": "long"},
}
"""Other spellings of the C types in `DTYPES` and `VECTORS`."""

_KERNEL = re.compile(
    r"(?:template\s*<(?P<template>[^>]*)>\s*)?"
    r"(?:extern\s+\"C\"\s+|static\s+|inline\s+)*"
    r"__global__\s+(?:static\s+)?(?:__launch_bounds__\((?P<early>[^)]*)\)\s*)?"
    r"void\s+(?:__launch_bounds__\((?P<bounds>[^)]*)\)\s*)?"
    r"(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)"
)


@dataclass(frozen=True)
class Signature:
    """A kernel, as declared; for a template with its arguments filled in.

    `expression` is its name in C++, such as ``forward<float, 16>``; `file` the file it stands in;
    `template` its template parameters and `bounds` its __launch_bounds__, as they are written.
    """

    expression: str
    file: str
    parameters: tuple[Parameter, ...]
    template: str = ""
    bounds: str = ""

    @cached_property
    def pointers(self) -> list[Parameter]:
        """The parameters that take arrays."""
        return [parameter for parameter in self.parameters if parameter.is_array]

    def bind(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments by name -> the same in the order of declaration, numbers as their C types.

        Raises
        ------
        LaunchError
            If a name is missing or unknown, or the kernel cannot take a value.
        """
        if not isinstance(arguments, dict):
            names = ", ".join(f"{p.name}=..." for p in self.parameters)
            self._refuse(f"its arguments are given by name, dict({names})")
        bound: dict[str, Any] = {}
        try:
            for name, python, low, high, c_type, convert in self._conversions:
                given = arguments[name]
                if type(given) is python and low <= given <= high:  # a number, most of the time
                    bound[name] = c_type(given)
                else:
                    bound[name] = convert(given)
        except KeyError:
            self._refuse(self._names_amiss(arguments))
        except LaunchError as error:
            self._refuse(str(error))
        if len(arguments) > len(bound):
            self._refuse(self._names_amiss(arguments))
        return bound

    def check_shape(self, grid: tuple, block: tuple, dynamic_shared: int) -> None:
        """Raise a LaunchError if no GPU has such a grid, such a block, or so much shared memory."""
        for name, value, most in (("grid", grid, MOST_BLOCKS), ("block", block, MOST_THREADS)):
            if not _is_shape(value, most):
                self._refuse(
                    f"{name} {value} must be a tuple of 1 to 3 whole numbers, from 1 to {most}"
                )
        if not 0 <= dynamic_shared <= MOST_DYNAMIC_SHARED:
            self._refuse(
                f"{dynamic_shared} bytes of dynamic shared memory are asked for, but a block has "
                f"{MOST_DYNAMIC_SHARED}"
            )

    def check_threads(self, block, most: int) -> None:
        """Raise a LaunchError if a block has more threads than the compiled kernel allows."""
        if prod(block) > most:
            self._refuse(
                f"a block {block} has {prod(block)} threads, but at most {most} are allowed"
            )

    @cached_property
    def _conversions(self) -> list[tuple]:
        """For each parameter its name, what `RANGES` says of it, its C type, `convert`."""
        no_number = (None, 0, 0)
        return [
            (p.name, *(no_number if p.is_array else RANGES[p.kind]), p.dtype.type, p.convert)
            for p in self.parameters
        ]

    def _names_amiss(self, arguments: dict[str, Any]) -> str:
        """Which names are missing or unknown, and what the kernel takes."""
        names = [parameter.name for parameter in self.parameters]
        missing = [name for name in names if name not in arguments]
        amiss = [f"there is no value for {', '.join(missing)}"] if missing else []
        for name in arguments:
            if name not in names:
                meant = difflib.get_close_matches(str(name), missing, 1)
                amiss.append(f"{name} is unknown" + "".join(f" (is {m} meant?)" for m in meant))
        return f"{'; '.join(amiss)}; it takes ({', '.join(map(str, self.parameters))})"

    def _refuse(self, why: str) -> NoReturn:
        raise LaunchError(f"kernel {self.expression} of {self.file}: {why}") from None


def parse(source: str, expression: str, file: str) -> Signature:
    """The signature of the kernel `expression`, such as ``"forward<float>"``, in C++ source.

    Raises
    ------
    LaunchError
        If there is no such kernel, the template's arguments do not match, or a parameter has a type
        that this function does not know.
    """
    name, _, listed = expression.partition("<")
    values = [value.strip() for value in listed.rstrip(">").split(",")] if listed else []
    plain = _without_comments(source)
    for match in _KERNEL.finditer(plain):
        if match["name"] == name:
            break
    else:
        raise LaunchError(f"{file} has no kernel named {name}")
    template = [part.split() for part in (match["template"] or "").split(",") if part.strip()]
    if len(template) != len(values):
        raise LaunchError(
            f"kernel {name} of {file} has {len(template)} template parameters, but {expression} "
            f"gives {len(values)}"
        )
    given = {words[-1]: value for words, value in zip(template, values, strict=True)}
    given = {**_aliases(plain), **given}
    parameters = tuple(
        _parameter(text, given, f"kernel {expression} of {file}")
        for text in match["parameters"].split(",")
        if text.strip()
    )
    bounds = match["early"] or match["bounds"] or ""
    return Signature(expression, file, parameters, match["template"] or "", bounds)


def read_source(path: Path) -> str:
    """The text of a CUDA C++ file; a LaunchError where it cannot be read."""
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise LaunchError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise LaunchError(f"{path}: not a text in UTF-8 ({error})") from None


def kernels(source: str) -> list[str]:
    """The names of the kernels in C++ source, in its order."""
    return [match["name"] for match in _KERNEL.finditer(_without_comments(source))]


def _aliases(plain: str) -> dict[str, str]:
    """Names that the source itself gives to types: by typedef, using or #define."""
    typedefs = re.findall(r"\btypedef\s+([\w\s]+?)\s+(\w+)\s*;", plain)
    others = re.findall(r"\busing\s+(\w+)\s*=\s*([\w\s]+?)\s*;", plain)
    others += re.findall(
        r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+([a-z_][\w ]*?)[ \t]*$", plain, re.M
    )
    return {name: kind for kind, name in typedefs} | dict(others)


IGNORED = ("*", "const", "__restrict__", "__restrict", "restrict", "volatile", OPTIONAL)
"""What stands beside a parameter's type."""


def _parameter(text: str, given: dict[str, str], kernel: str) -> Parameter:
    words = re.sub(r"(\w+)\s*(?:\[\s*\w*\s*\])+", r"* \1", text).replace("*", " * ").split()
    name, is_array, is_optional = words[-1], "*" in words, OPTIONAL in words
    kept = [w for w in words[:-1] if w not in IGNORED]
    kind = given.get(" ".join(kept), " ".join(kept))
    kind, lanes = VECTORS.get(spelled := _spelled(kind), (spelled, 1))
    if lanes > 1 and not is_array:
        raise LaunchError(
            f"{kernel}: parameter {name} has type {spelled}; pass its {lanes} numbers one by one"
        )
    if kind not in DTYPES:
        raise LaunchError(
            f"{kernel}: parameter {name} has type {kind!r}; known are {', '.join(DTYPES)}"
        )
    if is_optional and not is_array:
        raise LaunchError(f"{kernel}: parameter {name} is {OPTIONAL}, but only a pointer can be")
    is_written = is_array and "const" not in words[: words.index("*")]
    return Parameter(name, kind, is_array, is_written, is_optional, lanes)


def _spelled(kind: str) -> str:
    """A C type as `DTYPES` spells it: `unsigned long long int` -> `unsigned long long`."""
    kind = kind.removeprefix("std::")
    words = kind.split()
    if "int" in words and len(words) > 1:
        words.remove("int")
    if words[:1] == ["signed"] and words[1:] != ["char"]:
        words = words[1:]
    kind = " ".join(words)
    return SPELLED.get(kind, kind)


def _is_shape(value, most: tuple[int, int, int]) -> bool:
    if not isinstance(value, tuple) or not 1 <= len(value) <= 3:
        return False
    for size, limit in zip(value, most):  # noqa: B905
        if not isinstance(size, INTS) or not 1 <= size <= limit:
            return False
    return True


def _without_comments(source: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", source, flags=re.S)
