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
