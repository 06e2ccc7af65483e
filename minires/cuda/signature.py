"""What a .cu file says about its kernels: their names, their parameters, how they may be launched.

Parsed from the source, so that a launch can be checked, in words, before a GPU answers a wrong
argument with garbage.
"""

import contextlib
import re
from dataclasses import dataclass
from math import prod

import numpy as np

DTYPES = {
    "float": np.float32,
    "double": np.float64,
    "int": np.int32,
    "unsigned": np.uint32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "unsigned char": np.uint8,
    "signed char": np.int8,
    "bool": np.bool_,
    "half16": np.float16,
}
"""The C types that a kernel's parameters may have."""

with contextlib.suppress(ImportError):  # NumPy itself has no bfloat16
    import ml_dtypes

    DTYPES["bfloat16"] = ml_dtypes.bfloat16

DTYPES = {name: np.dtype(dtype) for name, dtype in DTYPES.items()}

MOST_BLOCKS = (2**31 - 1, 65535, 65535)
MOST_DYNAMIC_SHARED = 227 << 10
"""Bytes of shared memory that a block can have, of any GPU (compute capability 9.0)."""

_KERNEL = re.compile(
    r"(?:template\s*<(?P<template>[^>]*)>\s*)?"
    r"__global__\s+void\s+(?:__launch_bounds__\((?P<bounds>[^)]*)\)\s*)?"
    r"(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)"
)


class LaunchError(ValueError):
    """A kernel cannot be launched like this; the message says why."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: a pointer to an array of `dtype`, or a number of it."""

    name: str
    dtype: np.dtype
    is_array: bool
    is_written: bool


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

    def check(self, grid, block, arguments, dynamic_shared: int) -> None:
        """Raise a LaunchError if this launch would go wrong."""
        for name, value, most in (("grid", grid, MOST_BLOCKS), ("block", block, (1024, 1024, 64))):
            if not 1 <= len(value) <= 3 or not all(1 <= v <= m for v, m in zip(value, most)):  # noqa: B905
                self._refuse(f"{name} {value} must be 1 to 3 numbers from 1 to {most}")
        if not 0 <= dynamic_shared <= MOST_DYNAMIC_SHARED:
            self._refuse(
                f"{dynamic_shared} bytes of dynamic shared memory are asked for, but a block has "
                f"{MOST_DYNAMIC_SHARED}"
            )
        if len(arguments) != len(self.parameters):
            names = ", ".join(parameter.name for parameter in self.parameters)
            self._refuse(
                f"it takes {len(self.parameters)} arguments ({names}), but got {len(arguments)}"
            )
        for parameter, value in zip(self.parameters, arguments, strict=True):
            self._check_argument(parameter, value)

    def check_threads(self, block, most: int) -> None:
        """Raise a LaunchError if a block has more threads than the compiled kernel allows."""
        if prod(block) > most:
            self._refuse(
                f"a block {tuple(block)} has {prod(block)} threads, but at most {most} are allowed"
            )

    def _check_argument(self, parameter: Parameter, value) -> None:
        dtype = getattr(value, "dtype", None)
        is_array = dtype is not None and not isinstance(value, np.generic)
        if parameter.is_array and not is_array:
            self._refuse(f"{parameter.name} is an array of {parameter.dtype}, but got {value!r}")
        if not parameter.is_array and (is_array or dtype is None):
            got = "an array" if is_array else f"the Python {type(value).__name__} {value!r}"
            self._refuse(f"{parameter.name} is a number: pass np.{parameter.dtype}(...), not {got}")
        if dtype != parameter.dtype:
            self._refuse(f"{parameter.name} must be {parameter.dtype}, but is {dtype}")
        if is_array and not value.flags.c_contiguous:
            self._refuse(f"{parameter.name} must be C-contiguous, but has strides {value.strides}")
        if is_array and parameter.is_written and not getattr(value.flags, "writeable", True):
            self._refuse(f"{parameter.name} is written to, but the array is read-only")

    def _refuse(self, why: str) -> None:
        raise LaunchError(f"kernel {self.expression} of {self.file}: {why}")


def parse(source: str, expression: str, file: str) -> Signature:
    """The signature of the kernel `expression`, such as ``"forward<float>"``, in C++ source.

    Raises
    ------
    LaunchError
        If there is no such kernel, the template's arguments do not match, or a parameter has a type
        that this function does not know.
    """
    name, _, values = expression.partition("<")
    values = [value.strip() for value in values.rstrip(">").split(",")] if values else []
    for match in _KERNEL.finditer(_without_comments(source)):
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
    parameters = tuple(
        _parameter(text, given, f"kernel {expression} of {file}")
        for text in match["parameters"].split(",")
        if text.strip()
    )
    return Signature(expression, file, parameters, match["template"] or "", match["bounds"] or "")


def _parameter(text: str, given: dict[str, str], kernel: str) -> Parameter:
    words = text.replace("*", " * ").split()
    name, is_array = words[-1], "*" in words
    kept = [w for w in words[:-1] if w not in ("*", "const", "__restrict__")]
    kind = given.get(" ".join(kept), " ".join(kept))
    if kind not in DTYPES:
        raise LaunchError(
            f"{kernel}: parameter {name} has type {kind!r}; known are {', '.join(DTYPES)}"
        )
    return Parameter(name, DTYPES[kind], is_array, is_array and "const" not in words)


def _without_comments(source: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", source, flags=re.S)
