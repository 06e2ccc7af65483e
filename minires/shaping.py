"""Tensors taken apart, put together and laid out anew; every function is differentiable.

Names and meanings are PyTorch's where NumPy's differ: `split` takes lengths, `repeat` tiles.
`axis` is NumPy's word, `dim` PyTorch's; both are understood.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import prod

import numpy as np

from minires import axes as named
from minires import backend, operators
from minires.arguments import integer
from minires.function import Function, describe
from minires.names import pytorch_names
from minires.tensor import Tensor, as_tensor


@pytorch_names
def cat(tensors: Sequence, axis: int = 0) -> Tensor:
    """The tensors one behind the other along `axis`; in all other axes their shapes agree.

    Raises
    ------
    TypeError, ValueError
        If there is none, or shapes or dtypes do not fit.
    """
    inputs = tensors_of("cat", tensors)
    axis = named.axis("cat", axis, inputs[0].ndim)
    rest = [x.shape[:axis] + x.shape[axis + 1 :] for x in inputs]
    if any(x.ndim != inputs[0].ndim or r != rest[0] for x, r in zip(inputs, rest, strict=True)):
        shapes = ", ".join(str(x.shape) for x in inputs)
        raise ValueError(f"cat: shapes must agree in all axes but {axis}, but they are {shapes}")
    return Function("concatenate", axis=axis)(*inputs)


@pytorch_names
def stack(tensors: Sequence, axis: int = 0) -> Tensor:
    """Tensors of one shape side by side, along a new axis."""
    inputs = tensors_of("stack", tensors)
    axis = named.axis("stack", axis, inputs[0].ndim + 1)
    if any(x.shape != inputs[0].shape for x in inputs):
        shapes = ", ".join(str(x.shape) for x in inputs)
        raise ValueError(f"stack: all shapes must be the same, but they are {shapes}")
    return cat([unsqueeze(x, axis) for x in inputs], axis)


def tensors_of(name: str, tensors) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, list | tuple) or not tensors:
        raise TypeError(f"{name}: expected a list or tuple of tensors, but got {describe(tensors)}")
    inputs = [as_tensor(x) for x in tensors]
    if any(x.dtype != inputs[0].dtype for x in inputs):
        dtypes = ", ".join(str(x.dtype) for x in inputs)
        raise TypeError(f"{name}: all dtypes must be the same, but they are {dtypes}")
    if any(x.ndim == 0 for x in inputs) and name == "cat":
        raise ValueError("cat: a tensor without axes cannot be put behind another; use stack")
    return inputs


@pytorch_names
def split(x, lengths: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """x cut along `axis` into parts of these lengths; of an int, into parts of that length.

    The last part is shorter where the length does not divide the axis.
    """
    x = as_tensor(x)
    axis = named.axis("split", axis, x.ndim)
    size = x.shape[axis]
    if not isinstance(lengths, list | tuple):
        length = integer("split", "lengths", lengths, least=1)
        lengths = [min(length, size - start) for start in range(0, size, length)] or [0]
    lengths = [integer("split", "a length", length, least=0) for length in lengths]
    if sum(lengths) != size:
        raise ValueError(
            f"split: the lengths {lengths} make {sum(lengths)}, but axis {axis} has {size}"
        )
    starts = accumulate(lengths, initial=0)
    before = (slice(None),) * axis
    return tuple(x[(*before, slice(s, s + n))] for s, n in zip(starts, lengths, strict=False))


@pytorch_names
def chunk(x, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """x cut along `axis` into at most `chunks` equal parts; the last one may be shorter."""
    x = as_tensor(x)
    axis = named.axis("chunk", axis, x.ndim)
    chunks = integer("chunk", "chunks", chunks, least=1)
    return split(x, max(1, -(-x.shape[axis] // chunks)), axis)


def where(condition, a, b) -> Tensor:
    """a where the condition holds, b elsewhere; all three are broadcast.

    Parameters
    ----------
    condition : bool array or Tensor
    a, b : Tensor, array or number
    """
    data = condition.data if isinstance(condition, Tensor) else backend.asarray(condition)
    if data.dtype != bool:
        raise TypeError(f"where: condition must be of dtype bool, but is {data.dtype}")
    a, b = operators.operands("where", a, b)
    try:
        np.broadcast_shapes(data.shape, a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"where: the shapes of condition, a and b do not broadcast: {data.shape}, {a.shape}, "
            f"{b.shape}"
        ) from None
    return Function("where", condition=data)(a, b)


def broadcast(op: str, *tensors) -> list[Tensor]:
    """All of them in the one shape that they broadcast to."""
    try:
        shape = np.broadcast_shapes(*(x.shape for x in tensors))
    except ValueError:
        shapes = " and ".join(str(x.shape) for x in tensors)
        raise ValueError(f"{op}: shapes {shapes} do not broadcast") from None
    return [x if x.shape == shape else expand(x, *shape) for x in tensors]


def pad(x, widths, value: float = 0.0) -> Tensor:
    """x with a constant border.

    Parameters
    ----------
    widths : sequence
        PyTorch's flat list, last axis first: (left, right, top, bottom, ...); or NumPy's pairs
        ((before, after), ...), one for each axis. Negative widths cut off.
    """
    x = as_tensor(x)
    pairs = _pairs(x, widths)
    cut = tuple(slice(max(0, -b), n - max(0, -a)) for n, (b, a) in zip(x.shape, pairs, strict=True))
    if any(n + min(0, b) + min(0, a) < 0 for n, (b, a) in zip(x.shape, pairs, strict=True)):
        raise ValueError(f"pad: widths {widths} cut off more than there is of {x.shape}")
    if any(min(pair) < 0 for pair in pairs):
        x = x[cut]
    return Function("pad", widths=tuple((max(0, b), max(0, a)) for b, a in pairs), value=value)(x)


def _pairs(x: Tensor, widths) -> list[tuple[int, int]]:
    """(before, after) of every axis."""
    widths = list(widths) if isinstance(widths, list | tuple) else [widths, widths]
    if widths and all(isinstance(width, list | tuple) for width in widths):
        pairs = [tuple(integer("pad", "a width", n) for n in width) for width in widths]
        if len(pairs) == x.ndim and all(len(pair) == 2 for pair in pairs):
            return pairs  # type: ignore[return-value]
    else:
        numbers = [integer("pad", "a width", n) for n in widths]
        if len(numbers) % 2 == 0 and len(numbers) <= 2 * x.ndim:
            last_first = list(zip(numbers[::2], numbers[1::2], strict=True))
            return [(0, 0)] * (x.ndim - len(last_first)) + last_first[::-1]
    raise ValueError(
        f"pad: widths must be (before, after) of the last axis, then of the one before it, ...; or "
        f"a pair for each of the {x.ndim} axes; but they are {tuple(widths)}"
    )


@pytorch_names
def unsqueeze(x, axis: int) -> Tensor:
    """x with a new axis of length 1 at place `axis`."""
    x = as_tensor(x)
    axis = named.axis("unsqueeze", axis, x.ndim + 1)
    return x.reshape(*x.shape[:axis], 1, *x.shape[axis:])


@pytorch_names
def squeeze(x, axis: int | Sequence[int] | None = None) -> Tensor:
    """x without its axes of length 1; with `axis`, without those of them that it names."""
    x = as_tensor(x)
    removed = range(x.ndim) if axis is None else named.axes("squeeze", axis, x.ndim)
    return x.reshape([n for i, n in enumerate(x.shape) if n != 1 or i not in removed])


def expand(x, *shape) -> Tensor:
    """x broadcast to `shape`; -1 leaves an axis as it is."""
    x = as_tensor(x)
    wanted = named.lengths("expand", shape)
    new = len(wanted) - x.ndim
    full = [x.shape[i - new] if n == -1 and i >= new else n for i, n in enumerate(wanted)]
    try:
        if np.broadcast_shapes(x.shape, full) != tuple(full):
            raise ValueError
    except ValueError:
        raise ValueError(f"expand: {x.shape} does not broadcast to {wanted}") from None
    return where(backend.xp().ones(full, bool), x, x.dtype.type(0))


def repeat(x, *times) -> Tensor:
    """x laid out `times` along each axis, as tiles (NumPy's `tile`)."""
    x = as_tensor(x)
    counts = named.lengths("repeat", times)
    if len(counts) < x.ndim or min(counts, default=0) < 0:
        raise ValueError(
            f"repeat: expected a count, at least 0, for each of the {x.ndim} axes of {x.shape}, "
            f"but got {counts}"
        )
    shape = (1,) * (len(counts) - x.ndim) + x.shape
    apart = [n for pair in zip((1,) * len(shape), shape, strict=True) for n in pair]
    full = [n for pair in zip(counts, shape, strict=True) for n in pair]
    whole = [a * b for a, b in zip(counts, shape, strict=True)]
    return expand(x.reshape(apart), *full).reshape(whole)


@pytorch_names
def movedim(x, source, destination) -> Tensor:
    """x with its axes `source` at the places `destination`; the others keep their order."""
    x = as_tensor(x)
    sources = named.axes("movedim", source, x.ndim)
    places = named.axes("movedim", destination, x.ndim)
    if len(sources) != len(places):
        raise ValueError(f"movedim: {source} and {destination} name different numbers of axes")
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return x.transpose(order)


@pytorch_names
def flip(x, axis) -> Tensor:
    """x with the order along these axes reversed."""
    x = as_tensor(x)
    axes = named.axes("flip", axis, x.ndim)
    back = slice(None, None, -1)
    return x[tuple(back if i in axes else slice(None) for i in range(x.ndim))]


@pytorch_names
def gather(x, axis: int, index) -> Tensor:
    """y[i, j, ...] = x[i, index[i, j, ...], ...] along `axis`: one choice for each place of index.

    Parameters
    ----------
    index : integer array or Tensor
        As many axes as x, none of them longer than that of x but `axis`. Negative counts from the
        end.
    """
    x = as_tensor(x)
    axis = named.axis("gather", axis, x.ndim)
    chosen = as_tensor(index).data
    fits = chosen.ndim == x.ndim and all(
        i == axis or n <= x.shape[i] for i, n in enumerate(chosen.shape)
    )
    if chosen.dtype.kind not in "iu" or not fits:
        raise ValueError(
            f"gather: index must hold integers and fit into x but for axis {axis}, but is "
            f"{chosen.dtype} of shape {chosen.shape} (x is {x.shape})"
        )
    key = [
        backend.xp().arange(n).reshape([-1 if i == j else 1 for j in range(x.ndim)])
        for i, n in enumerate(chosen.shape)
    ]
    key[axis] = chosen
    return x[tuple(key)]


def take(x, index) -> Tensor:
    """The elements of x at these places, counted as they lie in memory: x.flatten()[index]."""
    return as_tensor(x).reshape(-1)[as_tensor(index)]


def unflatten(x, axis: int, sizes: Sequence[int]) -> Tensor:
    """x with one axis made into several; one of their lengths may be -1."""
    x = as_tensor(x)
    axis = named.axis("unflatten", axis, x.ndim)
    sizes = list(named.lengths("unflatten", sizes))
    if sizes.count(-1) == 1 and (rest := -prod(sizes)):
        sizes[sizes.index(-1)] = x.shape[axis] // rest
    if prod(sizes) != x.shape[axis]:
        raise ValueError(f"unflatten: axis {axis} of {x.shape} does not have the sizes {sizes}")
    return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


@pytorch_names
def unbind(x, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of x along an axis, which they no longer have."""
    x = as_tensor(x)
    axis = named.axis("unbind", axis, x.ndim)
    return tuple(x[(slice(None),) * axis + (i,)] for i in range(x.shape[axis]))


@pytorch_names
def index_select(x, axis: int, index) -> Tensor:
    """The parts of x at these places along an axis: integers (K,)."""
    x, index = as_tensor(x), as_tensor(index)
    axis = named.axis("index_select", axis, x.ndim)
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ValueError(
            f"index_select: index must be integers (K,), but is {index.dtype} of {index.shape}"
        )
    return x[(slice(None),) * axis + (index,)]


@pytorch_names
def roll(x, shifts, axis=None) -> Tensor:
    """Elements moved along axes by `shifts` places; what leaves at the end enters in front.

    Without an axis x is moved as if it were flat.
    """
    x = as_tensor(x)
    if axis is None:
        return roll(x.flatten(), shifts, 0).reshape(x.shape)
    axes = named.axes("roll", axis, x.ndim)
    shifts = named.lengths("roll", shifts if isinstance(shifts, tuple | list) else (shifts,))
    if len(shifts) != len(axes):
        raise ValueError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    for i, shift in zip(axes, shifts, strict=True):
        places = (backend.xp().arange(x.shape[i]) - shift) % max(1, x.shape[i])
        x = index_select(x, i, places)
    return x
