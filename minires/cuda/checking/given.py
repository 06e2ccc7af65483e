"""Arguments of a kernel as the command line gives them: NAME=VALUE.

A number; or an array: ``random:1000``, ``zeros:32x16``, ``ones:8``, ``range:100``, ``empty:1000``,
or a file that ends in .npy. The kernel's signature says which dtype.
"""

from math import prod
from pathlib import Path

import numpy as np

from minires.cuda.checking import Empty
from minires.cuda.parameter import LaunchError, Parameter
from minires.cuda.signature import Signature

WAYS = ("random", "zeros", "ones", "range", "empty")


def arguments(signature: Signature | None, texts: list[str]) -> dict:
    """``["x=random:1000", "n=1000"]`` -> the arguments that they stand for.

    Raises
    ------
    LaunchError
        If a text is none of these.
    """
    known = [] if signature is None else signature.parameters
    parameters = {parameter.name: parameter for parameter in known}
    given = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise LaunchError(f"--arg {text}: an argument is NAME=VALUE")
        given[name] = _value(parameters.get(name), name, value, signature is None)
    return given


def expected(texts: list[str], given: dict) -> dict:
    """``["y=2*x"]`` -> its value: of a .npy file, or of an expression of the arguments."""
    names = {k: v for k, v in given.items() if not isinstance(v, Empty)}
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        if value.endswith(".npy"):
            found[name] = load_array(Path(value))
            continue
        try:
            found[name] = eval(
                value, {"np": np, **names}
            )  # the user's own words, on the own machine
        except Exception as error:
            raise LaunchError(f"--expect {text}: {type(error).__name__}: {error}") from None
    return found


def load_array(path: Path) -> np.ndarray:
    """The array of a .npy file; a LaunchError if there is none, or none of numbers."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            header = {(1, 0): np.lib.format.read_array_header_1_0}.get(
                version, np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = header(file)
            if prod(shape) * dtype.itemsize > path.stat().st_size:
                raise ValueError(f"it is shorter than {shape} of {dtype}")
        array = np.load(path)
    except Exception as error:  # which one a damaged header raises is anyone's guess
        raise LaunchError(f"{path}: not an array of NumPy's format .npy ({error})") from None
    if array.dtype.kind not in "fiub":
        raise LaunchError(f"{path}: holds {array.dtype} data, not numbers")
    return array


def _value(parameter: Parameter | None, name: str, text: str, untyped: bool):
    if text.endswith(".npy"):
        return load_array(Path(text))
    way, colon, size = text.partition(":")
    if colon:
        if way not in WAYS or (parameter is None and not untyped):
            raise LaunchError(
                f"--arg {name}={text}: an array is {', '.join(WAYS)}:SIZE, or FILE.npy"
            )
        lengths = size.split("x")
        if not all(n.isascii() and n.isdigit() and len(n) < 16 for n in lengths):
            raise LaunchError(f"--arg {name}={text}: a size is 1000 or 32x16, not {size!r}")
        dtype = np.dtype(np.float32) if parameter is None else parameter.dtype
        return _array(way, tuple(map(int, lengths)), dtype)
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text, 0)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            raise LaunchError(f"--arg {name}={text}: {text!r} is no number and no array") from None


def _array(way: str, shape: tuple, dtype: np.dtype):
    if way == "empty":
        return Empty(shape, dtype)
    if way == "range":
        return np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    if way == "random":
        random = np.random.default_rng(0)
        if dtype.kind in "iu":
            return random.integers(0, min(100, np.iinfo(dtype).max), shape).astype(dtype)
        return random.random(shape).astype(dtype)
    return np.full(shape, way == "ones", dtype)
