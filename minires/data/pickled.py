"""Reading a pickled dict of arrays and lists, and nothing else that a pickle might do.

A pickle is a program: it names functions and calls them, and one from a stranger can do anything.
All names pass `Unpickler.find_class`, so allowing few of them makes a pickle harmless
(https://docs.python.org/3/library/pickle.html#restricting-globals). Five are needed to pickle an
array. They lead not to NumPy, which would believe any size and flag that a pickle claims, but to
stand-ins that keep what they are given until `integers` checks it.
"""

import contextlib
import io
import pickle
import pickletools
from collections.abc import Callable

import numpy as np


class _Kept:
    """Stands in for a NumPy object: keeps what it is made from and filled with."""

    state = ()

    def __init__(self, *arguments):
        self.arguments = arguments

    def __setstate__(self, state):
        self.state = state


class _Array(_Kept): ...


class _Buffer(_Kept): ...


class _Dtype(_Kept): ...


_ALLOWED = {
    "numpy.core.multiarray._reconstruct": _Array,  # protocols 0 to 4
    "numpy._core.multiarray._reconstruct": _Array,
    "numpy.core.numeric._frombuffer": _Buffer,  # protocol 5
    "numpy._core.numeric._frombuffer": _Buffer,
    "numpy.dtype": _Dtype,
    "numpy.ndarray": None,  # only an argument of _reconstruct
    "_codecs.encode": None,  # an `_Encoder`: how Python 3 writes bytes in the protocols of Python 2
}


class _Encoder:
    """`str.encode` that makes no more bytes than a pickle of this length can need."""

    def __init__(self, length: int):
        self.left = 8 * length + (1 << 20)

    def __call__(self, text: str, encoding: str = "utf-8") -> bytes:
        self.left -= len(text)
        if self.left < 0:
            raise pickle.UnpicklingError("it makes far more bytes than it holds; delete it")
        return str.encode(text, encoding)


MOST_STEPS, MOST_ODD, LARGE = 4_000_000, 1_000, 1 << 40
"""The most steps of a pickle, and the most of them that make tuples or integers beyond LARGE.
CIFAR's files have up to 300,000 steps, with a few tuples."""


def _check_steps(pickled: bytes) -> None:
    """Refuse, before anything is made, what costs more memory or time than the pickle's length.

    A number for what it remembers asks for memory. Tuples within tuples exhaust the stack when
    their hash is asked for. Large integers can all be made to have the same hash.
    """
    most, odd = len(pickled) + 256, 0
    for step, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if opcode.name in ("LONG_BINPUT", "PUT") and int(argument or 0) > most:
            raise pickle.UnpicklingError(f"it numbers a value {argument}, beyond its own length")
        large = isinstance(argument, int) and abs(argument) > LARGE
        odd += large or opcode.name.startswith("TUPLE")
        if step >= MOST_STEPS or odd > MOST_ODD:
            raise pickle.UnpicklingError(
                "it has far more steps, tuples or large integers than a CIFAR file"
            )


class _Unpickler(pickle.Unpickler):
    def __init__(self, pickled: bytes):
        super().__init__(io.BytesIO(pickled), encoding="bytes")
        self.encode = _Encoder(len(pickled))

    def find_class(self, module: str, name: str) -> object:
        if (function := f"{module}.{name}") not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"it asks for {function[:100]}, which was not run; it may be malicious, delete it"
            )
        return self.encode if function == "_codecs.encode" else _ALLOWED[function]

    def persistent_load(self, pid: object) -> None:
        raise pickle.UnpicklingError("it asks for an object outside of it")


def load(pickled: bytes, keys: list[str], convert: Callable) -> list:
    """``convert(value)`` for the values of `keys` in a pickled dict.

    Parameters
    ----------
    pickled : bytes
        A pickle of any protocol, by Python 2 or 3. Its strings of Python 2 are read as bytes.
    keys : list of str
        The keys to read; in the pickle they are bytes.
    convert : `integers` or `names`
        What each value must be.

    Raises
    ------
    pickle.UnpicklingError
        For whatever is wrong with the pickle.
    """
    try:
        with contextlib.suppress(ValueError):  # what is no pickle, the unpickler says in its words
            _check_steps(pickled)
        loaded = _Unpickler(pickled).load()
        if not isinstance(loaded, dict):
            raise ValueError(f"it holds a {type(loaded).__name__}, not a dict")
        if missing := [key for key in keys if key.encode() not in loaded]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return [convert(loaded[key.encode()]) for key in keys]
    except Exception as error:  # which one a damaged pickle raises is anyone's guess
        raise pickle.UnpicklingError(str(error) or type(error).__name__) from error


def integers(value: object) -> np.ndarray:
    """A pickled array of integers, or a list of integers as an int64 array."""
    match value:
        case list() if all(type(item) is int for item in value):
            return np.array(value, np.int64)
        case _Array(state=(_, shape, dtype, fortran_order, raw)):
            order = "F" if fortran_order else "C"
        case _Buffer(arguments=(raw, dtype, shape, order)):
            pass
        case _:
            raise ValueError("it holds something other than integers")
    match dtype:
        case _Dtype(arguments=(str() | bytes() as code, *_), state=(_, byte_order, *_)):
            array = np.frombuffer(raw, np.dtype(code).newbyteorder(byte_order))
        case _:
            raise ValueError("it holds an array without a dtype")
    if array.dtype.kind not in "iu":
        raise ValueError(f"it holds an array of {array.dtype}, not of integers")
    return array.reshape(shape, order=order)


def names(value: object) -> list[str]:
    """A pickled list of strings of Python 2."""
    if not isinstance(value, list) or not all(isinstance(item, bytes) for item in value):
        raise ValueError("it holds something other than names")
    return [item.decode("latin1") for item in value]
