"""What one parameter of a kernel takes: C types and their numbers, arrays, null pointers."""

import contextlib
import math
import reprlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

DTYPES: dict[str, np.dtype] = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "int": np.dtype(np.int32),
    "unsigned": np.dtype(np.uint32),
    "unsigned int": np.dtype(np.uint32),
    "long long": np.dtype(np.int64),
    "unsigned long long": np.dtype(np.uint64),
    "unsigned char": np.dtype(np.uint8),
    "signed char": np.dtype(np.int8),
    "bool": np.dtype(np.bool_),
    "half16": np.dtype(np.float16),
    "half": np.dtype(np.float16),
    "long": np.dtype(np.int64),
    "unsigned long": np.dtype(np.uint64),
    "short": np.dtype(np.int16),
    "unsigned short": np.dtype(np.uint16),
    "char": np.dtype(np.int8),
}
"""The C types that a kernel's parameters may have."""

VECTORS: dict[str, tuple[str, int]] = {
    f"{short}{lanes}": (name, lanes)
    for short, name in (
        *(("float", "float"), ("double", "double"), ("int", "int"), ("uint", "unsigned")),
        *(("char", "char"), ("uchar", "unsigned char"), ("short", "short")),
        *(("ushort", "unsigned short"), ("longlong", "long long"), ("half", "half")),
    )
    for lanes in ((2,) if short == "half" else (1, 2, 3, 4))
}
"""CUDA's vector types, for pointers: the type of their numbers, and how many they have."""

with contextlib.suppress(ImportError):  # NumPy itself has no bfloat16
    import ml_dtypes

    DTYPES["bfloat16"] = DTYPES["__nv_bfloat16"] = np.dtype(ml_dtypes.bfloat16)
    VECTORS["__nv_bfloat162"] = "__nv_bfloat16", 2

LARGEST = {
    "float": float(np.finfo(np.float32).max),
    "double": float(np.finfo(np.float64).max),
    "half16": 65504.0,
    "half": 65504.0,
    "bfloat16": 2.0**128 - 2.0**120,
    "__nv_bfloat16": 2.0**128 - 2.0**120,
}
"""The largest finite number of each C type of fractions."""

RANGES: dict[str, tuple[type, float, float]] = {"bool": (bool, False, True)}
"""C type -> the Python type that stands for it, the lowest and the highest number."""

for _name in DTYPES.keys() - RANGES:
    if _name in LARGEST:
        RANGES[_name] = float, -LARGEST[_name], LARGEST[_name]
    else:
        _limits = np.iinfo(DTYPES[_name])
        RANGES[_name] = int, int(_limits.min), int(_limits.max)

OPTIONAL = "OPTIONAL"
"""The macro of `include/minires.cuh` that marks a pointer that may be null."""

BOOLS, INTS, FRACTIONS = (bool, np.bool_), (int, np.integer), (float, np.floating)


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
    lanes : int
        How many numbers an element has: 4 for float4, whose `kind` is float.
    """

    name: str
    kind: str
    is_array: bool = False
    is_written: bool = False
    is_optional: bool = False
    lanes: int = 1

    @cached_property
    def dtype(self) -> np.dtype:
        """The dtype of the array, or of the number."""
        return DTYPES[self.kind]

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
        return self._array(given) if self.is_array else self._number(given)

    def _number(self, given) -> np.generic:
        python, low, high = RANGES[self.kind]
        number: float | None
        if isinstance(given, BOOLS):
            number = bool(given) if python is bool else None
        elif isinstance(given, INTS):
            number = None if python is bool else int(given)
        else:
            number = float(given) if isinstance(given, FRACTIONS) and python is float else None
        if number is None:
            hint = "; // divides to a whole number" * isinstance(given, FRACTIONS)
            self._refuse(f"is of type {self.kind}, but got {_described(given)}{hint}")
        if (number < low or number > high) and number not in (math.inf, -math.inf):
            self._refuse(
                f"is of type {self.kind}, from {low} to {high}, but got {reprlib.repr(number)}"
            )
        return self.dtype.type(number)

    def _array(self, given):
        if given is None and self.is_optional:
            return None
        flags = getattr(given, "flags", None)
        if flags is None or isinstance(given, np.generic):
            hint = f"; mark it {OPTIONAL} in the .cu file if the kernel can do without"
            hint *= given is None
            self._refuse(f"is an array of {self.dtype}, but got {_described(given)}{hint}")
        if given.dtype != self.dtype:
            hint = f"; pass {self.name}.astype('{self.dtype}')" * (not self.is_written)
            self._refuse(f"must be {self.dtype}, but is {given.dtype}{hint}")
        if not flags.c_contiguous:
            self._refuse(f"must be C-contiguous, but has strides {given.strides}")
        if given.size % self.lanes:
            self._refuse(f"has {given.size} numbers, but the kernel takes {self.lanes} at a time")
        if self.is_written and not getattr(flags, "writeable", True):
            self._refuse("is written to, but the array is read-only")
        return given

    def _refuse(self, why: str) -> NoReturn:
        raise LaunchError(f"{self.name} {why}")


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
