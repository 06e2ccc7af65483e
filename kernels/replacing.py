"""Operations replaced for a block: every use of one, on any backend, computes with yours.

>>> with replaced("conv2d", my_module), replaced("batch_norm", "my_batch_norm.py"):
...     loss = F.cross_entropy(model(x), labels)
...     loss.backward()

A Function keeps the kernel that it was made with, so its backward is yours, too, even after the
block. Whatever computes several operations at once would go around yours: networks then call the
parts one by one, and a fused operation called by name is refused.

See docs/decisions/autodiff.md, "Replaced, not patched".
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import cache
from inspect import Parameter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from minires.kernels import own

VAR_POSITIONAL, VAR_KEYWORD = Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD

PARTS = {
    "basic_block": ("conv2d", "batch_norm", "relu", "add", "shortcut"),
    "conv_norm_relu": ("conv2d", "batch_norm", "relu"),
}
"""Fused operation -> the operations that it computes by itself."""

_replaced: ContextVar[Mapping[str, "Entry"]] = ContextVar("replaced", default=MappingProxyType({}))


class Entry:
    """What stands for an operation: its kernel, where that is from, and what it must return."""

    def __init__(self, op: str, kernel: Any, place: str, reference: Any):
        self.op, self.kernel, self.place, self.reference = op, kernel, place, reference
        self.expected: dict = {}  # shapes and options -> shape and dtype of y
        try:
            self.signature = inspect.signature(kernel.forward)
        except (AttributeError, TypeError, ValueError):  # compiled code has none
            self.signature = inspect.Signature(
                [
                    Parameter(name, kind)
                    for name, kind in (("a", VAR_POSITIONAL), ("o", VAR_KEYWORD))
                ]
            )

    def new(self) -> Any:
        """A kernel for one call, looked at if it can be differentiated."""
        return Call(self) if hasattr(self.reference, "backward") else self.kernel

    def options(self, arrays: tuple, given: dict) -> dict:
        """The options that forward gets: those that are off it need not name."""
        parameters = self.signature.parameters
        if not any(p.kind is VAR_KEYWORD for p in parameters.values()):
            given = {name: v for name, v in given.items() if v is not False or name in parameters}
        try:
            self.signature.bind(*arrays, **given)
        except TypeError as error:
            raise TypeError(
                f"{self.op} of {self.place}: forward must take {len(arrays)} arrays and "
                f"{', '.join(given) or 'nothing else'}, but is forward{self.signature}: {error}"
            ) from None
        return given


class replaced(ContextDecorator):
    """Inside, this thread computes operation `op` with the kernel `by`, on every backend.

    Blocks can be nested; other threads and the time after the block are not touched.

    Parameters
    ----------
    op : str
        The name of an operation, such as "conv2d".
    by : module, object or path
        It has ``forward(x, ..., **options) -> (y, saved)`` and ``backward(dy, saved, needs)``, as
        the contract in the operation's folder says; or it is the path of a .py file that has them.
        An option that is False, such as `relu`, is left out if `forward` does not name it.

    Raises
    ------
    LookupError
        If there is no such operation.
    KernelFileError
        If there is no such file, its code fails, or a function is missing.
    TypeError, ValueError
        Inside the block, if a result is None, no array, or has another shape or dtype than the
        contract says: the message names the operation and the file.
    """

    def __init__(self, op: str, by: Any):
        if own.find(op, "reference") is None:
            raise LookupError(own.no_operation(op))
        reference = _reference(op)
        wanted = tuple(name for name in own.SIGNATURES if hasattr(reference, name))
        if isinstance(by, str | Path):
            kernel = own.load_file(by, wanted)
            place = str(kernel.__file__)
        else:
            place = _place(by)
            kernel = own.check(by, f"replaced({op!r}): {place}", wanted)
        self._entry = Entry(op, kernel, place, reference)
        self._tokens: list = []

    def __enter__(self) -> None:
        entries = {**_replaced.get(), self._entry.op: self._entry}
        self._tokens.append(_replaced.set(MappingProxyType(entries)))

    def __exit__(self, *exception) -> None:
        _replaced.reset(self._tokens.pop())


@cache
def looked_at(op: str, module: Any) -> Callable[[], Any]:
    """Makes a kernel of `op` from a module of somebody's backend, whose results are looked at."""
    entry = Entry(op, module, str(module.__file__), _reference(op))
    return entry.new


def _reference(op: str) -> Any:
    return own.imported(f"{own.PACKAGE}.{op}.reference", Path(), ())


def is_replaced(*ops: str) -> bool:
    """Whether any of these operations is replaced here."""
    entries = _replaced.get()
    return bool(entries) and any(op in entries for op in ops)


def is_bypassing(op: str) -> bool:
    """Whether the fused operation `op` would go around one that is replaced here."""
    return not is_replaced(op) and is_replaced(*PARTS.get(op, ()))


def replacement(op: str) -> Any:
    """A new kernel for one call of `op`, if it is replaced here; else None.

    Raises
    ------
    ValueError
        If `op` is fused and would go around an operation that is replaced.
    """
    entries = _replaced.get()
    if not entries:
        return None
    if (entry := entries.get(op)) is not None:
        return entry.new()
    if is_bypassing(op):
        refuse(op, next(part for part in PARTS[op] if part in entries))
    return None


def refuse(op: str, part: str) -> None:
    """Raise a ValueError: the fused operation `op` would go around somebody's `part`."""
    raise ValueError(
        f"{op} computes {part} by itself, so your {part} would not be used; call its parts "
        f"{', '.join(PARTS[op])} one by one"
    )


class Call:
    """A replaced kernel for one call, whose results are looked at."""

    def __init__(self, entry: Entry):
        self.entry, self.inputs = entry, ()
        self.who = f"{entry.op} of {entry.place}"

    def forward(self, *arrays, **options):
        """(y, saved) of the replacement."""
        self.inputs = tuple((array.shape, array.dtype) for array in arrays)
        given = self.entry.options(arrays, options)
        shape, dtype = self._expected(arrays, options)
        result = self.entry.kernel.forward(*arrays, **given)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                f"{self.who}: forward must return (y, saved), but returned {_words(result)}"
            )
        y, saved = result
        if not isinstance(saved, tuple):
            raise TypeError(
                f"{self.who}: what forward saves must be a tuple, such as (x,), but is "
                f"{_words(saved)}"
            )
        self._check("forward returned", "y", y, shape, dtype)
        return y, saved

    def backward(self, dy, saved, needs):
        """The gradients of the replacement."""
        results = self.entry.kernel.backward(dy, saved, needs)
        if not isinstance(results, tuple) or len(results) != len(self.inputs):
            raise TypeError(
                f"{self.who}: backward must return a tuple of {len(self.inputs)} gradients, one "
                f"per input, but returned {_words(results)}"
            )
        for i, (need, result) in enumerate(zip(needs, results, strict=True)):
            if need:
                self._check("backward returned", f"gradient {i}", result, *self.inputs[i])
        return results

    def _expected(self, arrays, options) -> tuple:
        """Shape and dtype of y: those that the reference returns, which is asked once."""
        key = (self.inputs, _key(options))
        if key not in self.entry.expected:
            y, _ = self.entry.reference.forward(*arrays, **_copied(options))
            self.entry.expected[key] = y.shape, y.dtype
        return self.entry.expected[key]

    def _check(self, said: str, name: str, value, shape, dtype) -> None:
        if getattr(value, "shape", None) != shape or not hasattr(value, "dtype"):
            raise ValueError(
                f"{self.who}: {said} {_words(value)}, but {name} must be an array of shape {shape}"
            )
        if value.dtype != dtype:
            raise TypeError(
                f"{self.who}: {said} {value.dtype}, but {name} must be {dtype}, as the inputs are: "
                f"look for a number or an array of another dtype in between"
            )


def _place(by: Any) -> str:
    """The file that an object is from, or what it is."""
    if file := getattr(by, "__file__", None):
        return str(file)
    kind = by if isinstance(by, type) else type(by)
    try:
        return f"{kind.__name__} in {inspect.getfile(kind)}"
    except (TypeError, OSError):
        return kind.__name__


def _words(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "shape"):
        return f"an array of shape {value.shape}"
    return "None" if value is None else f"a {type(value).__name__}"


def _key(value: Any) -> Any:
    """What tells two sets of options apart, as far as the shape of y depends on them."""
    if isinstance(value, dict):
        return tuple((name, _key(inner)) for name, inner in sorted(value.items()))
    if isinstance(value, tuple | list):
        return tuple(map(_key, value))
    if not hasattr(value, "shape"):
        return repr(value)
    return value.shape, str(value.dtype), value.dtype == bool and int(value.sum())


def _copied(value: Any) -> Any:
    """Options whose arrays, such as running statistics, may be written to."""
    if isinstance(value, dict):
        return {name: _copied(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(map(_copied, value))
    return value.copy() if hasattr(value, "shape") and hasattr(value, "copy") else value
