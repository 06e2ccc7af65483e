"""Larger and smaller, sorted, masked: what is chosen by value; and whole-number division."""

import numpy as np

from minires import axes as named
from minires import backend, operators
from minires.arguments import flag, integer
from minires.names import pytorch_names
from minires.shaping import broadcast, gather, where
from minires.tensor import Tensor, as_tensor


def maximum(a, b) -> Tensor:
    """The larger of both, element by element; equal ones share the gradient equally."""
    return operators.binary("maximum", a, b)


def minimum(a, b) -> Tensor:
    """The smaller of both, element by element; equal ones share the gradient equally."""
    return operators.binary("minimum", a, b)


def floor_divide(a, b) -> Tensor:
    """a // b: the quotient rounded down; its gradient is 0, as that of `floor`."""
    return operators.binary("floordiv", a, b)


def remainder(a, b) -> Tensor:
    """a % b: what `floor_divide` leaves, of the sign of b."""
    return operators.binary("mod", a, b)


def masked_fill(x, mask, value) -> Tensor:
    """`value`, a number, where the mask is True, x elsewhere."""
    x = as_tensor(x)
    if not isinstance(value, Tensor):
        value = x.dtype.type(value)
    elif value.ndim:
        raise ValueError(f"masked_fill: value must be a number, but is {value.shape}; use where")
    return where(mask, value, x)


def masked_select(x, mask) -> Tensor:
    """The elements of x where the mask is True, one after the other."""
    x, mask = as_tensor(x), as_tensor(mask)
    if mask.dtype != bool:
        raise TypeError(f"masked_select: mask must hold bools, but holds {mask.dtype}")
    x, mask = broadcast("masked_select", x, mask)
    return x.flatten()[mask.flatten()]


def tril(x, diagonal: int = 0) -> Tensor:
    """Matrices without what lies above a diagonal: zeros stand there."""
    return _triangle("tril", x, diagonal)


def triu(x, diagonal: int = 0) -> Tensor:
    """Matrices without what lies below a diagonal: zeros stand there."""
    return _triangle("triu", x, diagonal)


def _triangle(name: str, x, diagonal) -> Tensor:
    x, k = as_tensor(x), integer(name, "diagonal", diagonal)
    if x.ndim < 2:
        raise ValueError(f"{name}: a matrix has two axes, but this tensor is {x.shape}")
    kept = getattr(backend.xp(), name)(backend.xp().ones(x.shape[-2:], bool), k)
    return where(kept, x, x.dtype.type(0))


@pytorch_names
def argsort(x, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Places along `axis` in the order of their values (int64).

    Equal ones keep their order, whatever `stable`, PyTorch's word, says.
    """
    x = as_tensor(x)
    if x.ndim == 0:
        return Tensor(backend.xp().zeros((), np.int64))
    axis = named.axis("argsort", axis, x.ndim)
    if flag("argsort", "descending", descending):
        back = backend.xp().flip(x.data, axis)
        order = backend.xp().flip(backend.xp().argsort(back, axis=axis, kind="stable"), axis)
        return Tensor(x.shape[axis] - 1 - order)
    return Tensor(backend.xp().argsort(x.data, axis=axis, kind="stable"))


@pytorch_names
def sort(x, axis: int = -1, descending: bool = False, stable: bool = True) -> tuple[Tensor, Tensor]:
    """Values in order along `axis`, and the places they had; equal ones keep their order."""
    x = as_tensor(x)
    places = argsort(x, axis, descending)
    return (gather(x, axis, places) if x.ndim else x), places


@pytorch_names
def topk(
    x,
    k: int,
    axis: int = -1,
    largest: bool = True,
    sorted: bool = True,  # noqa: A002
) -> tuple[Tensor, Tensor]:
    """The k largest (or smallest) along `axis`, and their places: best first, always."""
    x = as_tensor(x)
    if x.ndim == 0:
        values, places = topk(x.reshape(1), k, axis, largest)
        return values.reshape(()), places.reshape(())
    axis = named.axis("topk", axis, x.ndim)
    k = integer("topk", "k", k, least=0, most=x.shape[axis])
    places = argsort(x, axis, descending=flag("topk", "largest", largest))
    places = places[(slice(None),) * axis + (slice(k),)]
    return gather(x, axis, places), places


def nonzero(x, as_tuple: bool = False):
    """Indices of the elements that are not 0: (count, axes), int64.

    With `as_tuple` a tensor for each axis, so that x[nonzero(x, True)] are those elements.
    """
    x = as_tensor(x)
    as_tuple = flag("nonzero", "as_tuple", as_tuple)
    x = x.reshape(1) if as_tuple and x.ndim == 0 else x
    places = backend.xp().argwhere(x.data != 0)
    if as_tuple:
        return tuple(Tensor(column) for column in places.T)
    return Tensor(places)


@pytorch_names
def any_of(x, axis=None, keepdims: bool = False) -> Tensor:
    """Whether any element along `axis` is not 0."""
    return _truth("any", x, axis, keepdims)


@pytorch_names
def all_of(x, axis=None, keepdims: bool = False) -> Tensor:
    """Whether all elements along `axis` are not 0."""
    return _truth("all", x, axis, keepdims)


def _truth(name: str, x, axis, keepdims) -> Tensor:
    x = as_tensor(x)
    axes = named.axes(name, axis, x.ndim)
    keepdims = flag(name, "keepdims", keepdims)
    xp = backend.xp()
    return Tensor(xp.asarray(getattr(xp, name)(x.data, axis=axes, keepdims=keepdims)))


def _test(name: str, meaning: str):
    def test(x) -> Tensor:
        return Tensor(backend.xp().asarray(getattr(backend.xp(), name)(as_tensor(x).data)))

    test.__name__, test.__doc__ = name, meaning
    return test


isnan = _test("isnan", "Whether each element is NaN.")
isinf = _test("isinf", "Whether each element is infinite.")
isfinite = _test("isfinite", "Whether each element is neither infinite nor NaN.")


def allclose(a, b, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether all elements agree: |a - b| <= atol + rtol |b|."""
    a, b = operators.operands("allclose", a, b)
    return bool(backend.xp().allclose(a.data, b.data, rtol=rtol, atol=atol))


def equal(a, b) -> bool:
    """Whether both have one shape and the same elements: one bool, unlike `a == b`."""
    a, b = as_tensor(a), as_tensor(b)
    return a.shape == b.shape and bool((a.data == b.data).all())


def logical(name: str, a, b=None):
    """Bit by bit, and so truth by truth: "bitwise_and", "bitwise_or", "bitwise_xor", "invert"."""
    given = [as_tensor(a)] if b is None else list(operators.operands(name, a, b))
    for x in given:
        if x.dtype.kind not in "iub":
            raise TypeError(
                f"{name}: & | ^ ~ combine bools or integers, but one operand is {x.dtype}; "
                f"compare first, as in (x > 0) & (x < 1)"
            )
    return Tensor(backend.xp().asarray(getattr(backend.xp(), name)(*(x.data for x in given))))
