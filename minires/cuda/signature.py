"""What a .cu file says about its kernels: their names, their parameters, how they may be launched.

Parsed from the source. So arguments can be given by name, Python numbers become what C++ expects,
and a wrong launch is refused in words before a GPU answers it with garbage.

>>> signature = parse("__global__ void fill(float* y, int n, float value) { ... }", "fill", "my.cu")
>>> signature.bind({"value": 0.5, "n": 100, "y": y})
{'y': array(...), 'n': np.int32(100), 'value': np.float32(0.5)}
"""

import contextlib
import difflib
import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, NoReturn

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

LARGEST = {
    "float": float(np.finfo(np.float32).max),
    "double": float(np.finfo(np.float64).max),
    "half16": 65504.0,
    "bfloat16": 2.0**128 - 2.0**120,
}
"""The largest finite number of each C type of fractions."""

MOST_BLOCKS = (2**31 - 1, 65535, 65535)
MOST_THREADS = (1024, 1024, 64)
MOST_DYNAMIC_SHARED = 227 << 10
"""Bytes of shared memory that a block can have, of any GPU (compute capability 9.0)."""

OPTIONAL = "OPTIONAL"
"""The macro of `include/minires.cuh` that marks a pointer that may be null."""

_KERNEL = re.compile(
    r"(?:template\s*<(?P<template>[^>]*)>\s*)?"
    r"__global__\s+void\s+(?:__launch_bounds__\((?P<bounds>[^)]*)\)\s*)?"
    r"(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)"
)
_BOOLS, _INTS, _FRACTIONS = (bool, np.bool_), (int, np.integer), (float, np.floating)


class LaunchError(ValueError):
    """A kernel cannot be launched like this; the message says why."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: a pointer to an array, or a number.

    Attributes
    ----------
    name : str
    kind : str
        The C type of the number, or of the array's elements: a key of `DTYPES`.
    is_array, is_written, is_optional : bool
        Whether it is a pointer; a pointer to what is not const; a pointer that may be null
        (OPTIONAL in the source, None in Python).
    """

    name: str
    kind: str
    is_array: bool = False
    is_written: bool = False
    is_optional: bool = False
    dtype: np.dtype = field(init=False)
    low: float = field(init=False, default=-math.inf)
    high: float = field(init=False, default=math.inf)

    def __post_init__(self):
        dtype = DTYPES[self.kind]
        limits: tuple[float, ...] = ()
        if self.kind in LARGEST:
            limits = (-LARGEST[self.kind], LARGEST[self.kind])
        elif dtype != np.bool_:
            limits = (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
        for name, value in zip(("dtype", "low", "high"), (dtype, *limits), strict=False):
            object.__setattr__(self, name, value)  # the dataclass is frozen

    def __str__(self) -> str:
        """Its declaration in C++, such as ``const float* x``."""
        const = "const " * (self.is_array and not self.is_written)
        optional = f"{OPTIONAL} " * self.is_optional
        return f"{optional}{const}{self.kind}{'*' * self.is_array} {self.name}"

    def convert(self, given) -> Any:
        """What is handed to the kernel: the array as it is, a number as its C type's scalar.

        Raises
        ------
        LaunchError
            If the kernel cannot take it, or a number would become another one. (Fractions may be
            rounded, an array is never converted.)
        """
        if not self.is_array:
            return self._number(given)
        if given is not None or not self.is_optional:
            self._check_array(given)
        return given

    def _number(self, given) -> np.generic:
        is_bool = isinstance(given, _BOOLS)
        if is_bool or self.kind == "bool":
            taken = is_bool and self.kind == "bool"
        else:
            taken = isinstance(given, _INTS) or (
                isinstance(given, _FRACTIONS) and self.kind in LARGEST
            )
        if not taken:
            hint = "; // divides to a whole number" * isinstance(given, _FRACTIONS)
            self._refuse(f"is of type {self.kind}, but got {_described(given)}{hint}")
        if is_bool:
            return np.bool_(given)
        number = float(given) if isinstance(given, _FRACTIONS) else int(given)
        if not self.low <= number <= self.high and number not in (math.inf, -math.inf):
            if number == number:  # a NaN is none of the three, and may be given
                limits = f"from {self.low} to {self.high}"
                self._refuse(f"is of type {self.kind}, {limits}, but got {reprlib.repr(number)}")
        return self.dtype.type(number)

    def _check_array(self, given) -> None:
        flags = getattr(given, "flags", None)
        if flags is None or isinstance(given, np.generic):
            hint = f"; mark it {OPTIONAL} in the .cu file if the kernel can do without"
            hint *= given is None
            self._refuse(f"is an array of {self.dtype}, but got {_described(given)}{hint}")
        if given.dtype != self.dtype:
            hint = f"; pass {self.name}.astype(np.{self.dtype})" * (not self.is_written)
            self._refuse(f"must be {self.dtype}, but is {given.dtype}{hint}")
        if not flags.c_contiguous:
            self._refuse(f"must be C-contiguous, but has strides {given.strides}")
        if self.is_written and not getattr(flags, "writeable", True):
            self._refuse("is written to, but the array is read-only")

    def _refuse(self, why: str) -> NoReturn:
        raise LaunchError(f"{self.name} {why}")


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

    def bind(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name -> the same in the order of declaration, numbers as their C types.

        Raises
        ------
        LaunchError
            If a name is missing or unknown, or the kernel cannot take a value.
        """
        if not isinstance(arguments, Mapping):
            names = ", ".join(f"{p.name}=..." for p in self.parameters)
            self._refuse(f"its arguments are given by name, dict({names})")
        if arguments.keys() != self._names:
            self._refuse(self._names_amiss(arguments))
        try:
            return {p.name: p.convert(arguments[p.name]) for p in self.parameters}
        except LaunchError as error:
            self._refuse(str(error))

    def check_shape(self, grid: tuple, block: tuple, dynamic_shared: int) -> None:
        """Raise a LaunchError if no GPU has such a grid, such a block, or so much shared memory."""
        for name, value, most in (("grid", grid, MOST_BLOCKS), ("block", block, MOST_THREADS)):
            able = isinstance(value, tuple) and 1 <= len(value) <= 3
            able = able and all(isinstance(v, _INTS) for v in value)
            if not able or not all(1 <= v <= m for v, m in zip(value, most)):  # noqa: B905
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
    def _names(self) -> frozenset[str]:
        return frozenset(parameter.name for parameter in self.parameters)

    def _names_amiss(self, arguments: Mapping[str, Any]) -> str:
        """Which names are missing or unknown, and what the kernel takes."""
        missing = [p.name for p in self.parameters if p.name not in arguments]
        amiss = [f"there is no value for {', '.join(missing)}"] if missing else []
        for name in arguments:
            if name not in self._names:
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
    name, is_array, is_optional = words[-1], "*" in words, OPTIONAL in words
    kept = [w for w in words[:-1] if w not in ("*", "const", "__restrict__", OPTIONAL)]
    kind = given.get(" ".join(kept), " ".join(kept))
    if kind not in DTYPES:
        raise LaunchError(
            f"{kernel}: parameter {name} has type {kind!r}; known are {', '.join(DTYPES)}"
        )
    if is_optional and not is_array:
        raise LaunchError(f"{kernel}: parameter {name} is {OPTIONAL}, but only a pointer can be")
    return Parameter(name, kind, is_array, is_array and "const" not in words, is_optional)


def _described(given) -> str:
    """An argument of the wrong type, in words."""
    if given is None:
        return "None"
    kind, shape = type(given).__name__, getattr(given, "shape", None)
    if shape is None or isinstance(given, np.generic):
        return f"the {kind} {given if isinstance(given, np.generic) else reprlib.repr(given)}"
    if hasattr(given, "flags"):
        return f"an array of shape {tuple(shape)}"
    return f"a {kind} of shape {tuple(shape)}; a kernel takes the array in its .data"


def _without_comments(source: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", source, flags=re.S)
