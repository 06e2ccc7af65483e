"""NumPy's functions on Tensors: what they would cut out of the graph, they refuse.

`np.concatenate([x, y])` returns an array, through which no gradient flows. If x requires none, that
is what was asked for. If it does, the gradient would be lost without a word; so a TypeError names
what to write instead.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

INSTEAD = {
    "concatenate": "mr.cat([x, y], axis)",
    "stack": "mr.stack([x, y], axis)",
    "vstack": "mr.cat([x, y], 0)",
    "hstack": "mr.cat([x, y], 1)",
    "append": "mr.cat([x, y])",
    "split": "x.split(length, axis)",
    "array_split": "x.chunk(parts, axis)",
    "pad": "F.pad(x, widths)",
    "where": "mr.where(condition, x, y)",
    "clip": "x.clip(low, high)",
    "squeeze": "x.squeeze(axis)",
    "expand_dims": "x.unsqueeze(axis)",
    "transpose": "x.permute(axes)",
    "swapaxes": "x.transpose(axis, other)",
    "moveaxis": "x.movedim(source, destination)",
    "reshape": "x.reshape(shape)",
    "ravel": "x.flatten()",
    "broadcast_to": "x.expand(shape)",
    "tile": "x.repeat(counts)",
    "repeat": "mr.stack([x] * n, -1).flatten()",
    "flip": "x.flip(axis)",
    "take": "x.take(index)",
    "take_along_axis": "x.gather(axis, index)",
    "dot": "x @ y",
    "vdot": "(x * y).sum()",
    "inner": "x @ y.T",
    "outer": 'mr.einsum("i,j->ij", x, y)',
    "matmul": "x @ y",
    "tensordot": "mr.einsum(equation, x, y)",
    "einsum": "mr.einsum(equation, x, y)",
    "trace": 'mr.einsum("ii", x)',
    "diagonal": 'mr.einsum("ii->i", x)',
    "sum": "x.sum(axis)",
    "mean": "x.mean(axis)",
    "max": "x.max(axis)",
    "amax": "x.max(axis)",
    "min": "x.min(axis)",
    "amin": "x.min(axis)",
    "prod": "x.prod(axis)",
    "var": "x.var(axis, correction=0)",
    "std": "x.std(axis, correction=0)",
    "cumsum": "x.cumsum(axis)",
    "norm": "x.norm()",
    "round": "x.round()",
    "copy": "x.clone()",
    "zeros_like": "mr.zeros_like(x)",
    "ones_like": "mr.ones_like(x)",
    "full_like": "mr.full_like(x, value)",
    "argmax": "x.argmax(axis)",
    "argmin": "x.argmin(axis)",
}
"""NumPy's function -> what to write for a tensor x."""


def called(function: Callable, args: tuple, named: dict, tensor: type) -> Any:
    """The result of a function of NumPy, `tensor` being the class of Tensors among its arguments.

    Raises
    ------
    TypeError
        If one of them requires a gradient.
    """
    name = function.__name__
    if any(x.requires_grad for x in _tensors((args, list(named.values())), tensor)):
        instead = INSTEAD.get(name)
        write = f"write {instead}, or" if instead else "for its values"
        raise TypeError(
            f"np.{name} computes with arrays, so no gradient would flow through its result; "
            f"{write} call detach() first"
        )
    return function(*_as_arrays(args, tensor), **_as_arrays(named, tensor))


OPERATORS = {
    "add": "__add__",
    "subtract": "__sub__",
    "multiply": "__mul__",
    "divide": "__truediv__",
    "power": "__pow__",
    "floor_divide": "__floordiv__",
    "remainder": "__mod__",
    "matmul": "__matmul__",
    "less": "__lt__",
    "less_equal": "__le__",
    "greater": "__gt__",
    "greater_equal": "__ge__",
    "equal": "__eq__",
    "not_equal": "__ne__",
    "bitwise_and": "__and__",
    "bitwise_or": "__or__",
    "bitwise_xor": "__xor__",
}
"""The function behind an array's operator -> that of a Tensor: `array * x` is one of Tensors."""


def operated(function, method: str, args: tuple, named: dict, tensor: type) -> Any:
    """The result of a NumPy function that works element by element, a "ufunc".

    Operators between an array and a Tensor are those of Tensors, `array += x`, too. The others
    refuse what requires a gradient, as in `called`.
    """
    name = function.__name__
    if method == "__call__" and name in OPERATORS and named.keys() <= {"out"}:
        first = args[0] if isinstance(args[0], tensor) else tensor(args[0])
        return getattr(first, OPERATORS[name])(args[1])
    if any(x.requires_grad for x in _tensors((args, list(named.values())), tensor)):
        own = name.replace("arc", "a").replace("absolute", "abs")
        own = {"fmax": "maximum", "fmin": "minimum"}.get(own, own)
        write = f"write x.{own}({'y' * (len(args) > 1)}), or" if hasattr(tensor, own) else ""
        raise TypeError(
            f"np.{name} computes with arrays, so no gradient would flow through its result; "
            f"{write or 'for its values'} call detach() first"
        )
    return getattr(function, method)(*_as_arrays(args, tensor), **_as_arrays(named, tensor))


def _tensors(value, tensor: type) -> Iterator:
    if isinstance(value, tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part, tensor)


def _as_arrays(value, tensor: type):
    if isinstance(value, tensor):
        return value.numpy()  # type: ignore[attr-defined]
    if type(value) in (tuple, list):
        return type(value)(_as_arrays(part, tensor) for part in value)
    if type(value) is dict:
        return {name: _as_arrays(part, tensor) for name, part in value.items()}
    return value


def as_array(x, dtype, copy) -> np.ndarray:
    """What `np.asarray(x)` gets; a TypeError if x requires a gradient."""
    if x.requires_grad:
        raise TypeError(
            "an array has no gradient, so this tensor would be cut out of the graph; put tensors "
            "together by mr.stack or mr.cat, or take the values: x.detach(), x.numpy(), x.item()"
        )
    return np.array(x.numpy(), dtype, copy=copy)
