"""New tensors: of zeros, of ones, of random numbers, ...; on the current backend.

Floating tensors are float32 unless `dtype` says otherwise. Random numbers come from the host's
generator (see `minires.seed`), the same on every backend. All take `requires_grad`, and PyTorch's
`device`, which must be where tensors lie anyhow ("cpu", or the current backend).
"""

from collections.abc import Callable
from functools import wraps

import numpy as np

from minires import axes as named
from minires import backend, placement
from minires.arguments import flag, integer, real
from minires.tensor import Tensor, as_tensor


def made(function: Callable) -> Callable:
    """Have `function` understand `device` and `requires_grad`."""

    @wraps(function)
    def making(*args, device=None, requires_grad: bool = False, **named) -> Tensor:
        if device is not None:
            placement.targets(function.__name__, (device,))
        x = function(*args, **named)
        return Tensor(x.data, flag(function.__name__, "requires_grad", requires_grad))

    return making


@made
def zeros(*shape, dtype=np.float32) -> Tensor:
    """A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`."""
    return full(named.lengths("zeros", shape), 0, dtype)


@made
def ones(*shape, dtype=np.float32) -> Tensor:
    """A tensor of ones: `ones(2, 3)` or `ones((2, 3))`."""
    return full(named.lengths("ones", shape), 1, dtype)


@made
def full(shape, value, dtype=None) -> Tensor:
    """A tensor of this shape with the same value everywhere."""
    shape = named.lengths("full", shape if isinstance(shape, tuple | list) else (shape,))
    if any(n < 0 for n in shape):
        raise ValueError(f"full: a shape has no negative lengths, but this one is {shape}")
    dtype = as_tensor(value).dtype if dtype is None else dtype
    return Tensor(backend.xp().full(shape, value, dtype))


@made
def zeros_like(x, dtype=None) -> Tensor:
    """Zeros of the shape, and unless another is given the dtype, of x."""
    x = as_tensor(x)
    return full(x.shape, 0, dtype or x.dtype)


@made
def ones_like(x, dtype=None) -> Tensor:
    """Ones of the shape, and unless another is given the dtype, of x."""
    x = as_tensor(x)
    return full(x.shape, 1, dtype or x.dtype)


@made
def full_like(x, value, dtype=None) -> Tensor:
    """The same value everywhere, in the shape, and unless another is given the dtype, of x."""
    x = as_tensor(x)
    return full(x.shape, value, dtype or x.dtype)


@made
def eye(rows: int, columns: int | None = None, dtype=np.float32) -> Tensor:
    """Ones on the main diagonal, zeros elsewhere."""
    rows = integer("eye", "rows", rows, least=0)
    columns = rows if columns is None else integer("eye", "columns", columns, least=0)
    return Tensor(backend.xp().eye(rows, columns, dtype=dtype))


@made
def arange(start, stop=None, step=1, dtype=None) -> Tensor:
    """start, start + step, ..., below stop; `arange(n)` counts from 0. int64 of integers."""
    if stop is None:
        start, stop = 0, start
    whole = all(np.asarray(n).dtype.kind in "iu" for n in (start, stop, step))
    dtype = dtype or (np.int64 if whole else np.float32)
    return Tensor(backend.xp().arange(start, stop, step, dtype))


@made
def linspace(start: float, stop: float, steps: int, dtype=np.float32) -> Tensor:
    """`steps` numbers at equal distances, from start to stop, both included."""
    steps = integer("linspace", "steps", steps, least=0)
    first, last = (
        real("linspace", name, value.item() if isinstance(value, Tensor) else value)
        for name, value in (("start", start), ("stop", stop))
    )
    return Tensor(backend.xp().linspace(first, last, steps, dtype=dtype))


@made
def randn(*shape, dtype=np.float32) -> Tensor:
    """Random numbers from the normal distribution with mean 0 and variance 1."""
    numbers = backend.generator().standard_normal(named.lengths("randn", shape))
    return Tensor(backend.asarray(numbers, dtype))


@made
def rand(*shape, dtype=np.float32) -> Tensor:
    """Random numbers, all equally likely, from 0 to below 1."""
    kind = np.float32 if dtype == np.float32 else np.float64
    numbers = backend.generator().random(named.lengths("rand", shape), kind)
    return Tensor(backend.asarray(numbers, dtype))


@made
def randint(low: int, high=None, shape=(), size=None) -> Tensor:
    """Random integers from `low` to below `high`; `randint(n, shape)` counts from 0.

    `size` is PyTorch's word for the shape.
    """
    if isinstance(high, tuple | list):
        high, shape = None, high
    shape = named.lengths("randint", (tuple(shape if size is None else size),))
    low, high = (0, low) if high is None else (low, high)
    low, high = integer("randint", "low", low), integer("randint", "high", high)
    if low >= high:
        raise ValueError(f"randint: low must be less than high, but they are {low} and {high}")
    return Tensor(backend.asarray(backend.generator().integers(low, high, shape)))


@made
def randperm(n: int) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    n = integer("randperm", "n", n, least=0)
    return Tensor(backend.asarray(backend.generator().permutation(n)))


@made
def randn_like(x) -> Tensor:
    """`randn` in the shape and dtype of x."""
    x = as_tensor(x)
    return randn(*x.shape, dtype=x.dtype)


@made
def rand_like(x) -> Tensor:
    """`rand` in the shape and dtype of x."""
    x = as_tensor(x)
    return rand(*x.shape, dtype=x.dtype)


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor of a NumPy array: on CPU backends it shares the array's memory."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, but got a {type(array).__name__}")
    return Tensor(backend.asarray(array) if backend.xp() is not np else array)
