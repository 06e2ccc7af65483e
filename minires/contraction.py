"""Sums of products by named axes, and what follows from them."""

import numpy as np

from minires.arguments import integer
from minires.function import Function
from minires.shaping import expand, tensors_of
from minires.tensor import Tensor, as_tensor

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(equation: str, *operands) -> Tensor:
    """Sums of products by named axes: `einsum("ij,jk->ik", a, b)` is a @ b.

    Without "->" the output has the letters that stand once, in alphabetical order. "..." stands for
    axes that are not named; they are broadcast.
    """
    given = (
        operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    )
    tensors = tensors_of("einsum", list(given))
    inputs, output = _letters(equation, [x.ndim for x in tensors])
    lengths: dict[str, int] = {}
    for names, x in zip(inputs, tensors, strict=True):
        for letter, n in zip(names, x.shape, strict=True):
            if lengths.setdefault(letter, n) not in (n, 1) and n != 1:
                raise ValueError(
                    f"einsum: {equation!r} calls axes of lengths {lengths[letter]} and {n} by one "
                    f"letter (shapes {', '.join(str(t.shape) for t in tensors)})"
                )
            lengths[letter] = max(lengths[letter], n) if 0 not in (lengths[letter], n) else 0
    whole = [
        x if len(set(names)) < len(names) else expand(x, *(lengths[name] for name in names))
        for names, x in zip(inputs, tensors, strict=True)
    ]
    whole = [w if w.shape != x.shape else x for w, x in zip(whole, tensors, strict=True)]
    return Function("einsum", inputs=tuple(inputs), output=output)(*whole)


def _letters(equation: str, ndims: list[int]) -> tuple[list[str], str]:
    """The letters of every operand and of the output, with "..." spelled out."""
    text = equation.replace(" ", "") if isinstance(equation, str) else ""
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    names = [part.replace("...", "") for part in [*inputs, output]]
    wrong = not all(c in LETTERS for c in "".join(names)) or len(inputs) != len(ndims)
    wrong |= any(part.count("...") > 1 for part in [*inputs, output])
    if wrong:
        raise ValueError(
            f"einsum: expected an equation such as 'ij,jk->ik' with {len(ndims)} operands, but got "
            f"{equation!r}"
        )
    free = [letter for letter in LETTERS if letter not in text]
    rest = [n - len(name) for n, name in zip(ndims, names, strict=False)]
    if any(n < 0 or (n > 0 and "..." not in part) for n, part in zip(rest, inputs, strict=True)):
        raise ValueError(
            f"einsum: {equation!r} does not name the axes of operands with {ndims} axes"
        )
    most = max((n for n, part in zip(rest, inputs, strict=True) if "..." in part), default=0)
    dots = "".join(free[:most])
    spelled = [p.replace("...", dots[most - n :]) for n, p in zip(rest, inputs, strict=True)]
    if arrow:
        output = output.replace("...", dots)
    else:
        once = sorted(c for c in set(left) if c in LETTERS and left.count(c) == 1)
        output = dots + "".join(once)
    unknown = [c for c in output if c not in "".join(spelled) or output.count(c) > 1]
    if unknown:
        raise ValueError(f"einsum: the output of {equation!r} names {unknown[0]!r} wrongly")
    return spelled, output


def outer(a, b) -> Tensor:
    """All products of an element of one vector and one of another: (n,), (m,) -> (n, m)."""
    a, b = as_tensor(a), as_tensor(b)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer: two vectors are needed, but they are {a.shape} and {b.shape}")
    return a.reshape(-1, 1) * b


def trace(x) -> Tensor:
    """The sum of a matrix's main diagonal."""
    return diagonal(x).sum()


def diagonal(x, offset: int = 0) -> Tensor:
    """The main diagonal of a matrix, or one above it (offset 1, 2, ...) or below (-1, -2, ...)."""
    x, offset = as_tensor(x), integer("diagonal", "offset", offset)
    if x.ndim != 2:
        raise ValueError(f"diagonal: a matrix is needed, but this tensor is {x.shape}")
    rows, columns = max(0, -offset), max(0, offset)
    i = np.arange(max(0, min(x.shape[0] - rows, x.shape[1] - columns)))
    return x[rows + i, columns + i]
