"""New tensors: of zeros, of ones, of random numbers, ...; on the current backend.

Floating tensors are float32 unless `dtype` says otherwise. Random numbers come from the host's
generator (see `minires.seed`), the same on every backend.
"""

import numpy as np

from minires import axes as named
from minires import backend
from minires.arguments import integer
from minires.tensor import Tensor, as_tensor


def zeros(*shape, dtype=np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`."""
    return full(named.lengths("zeros", shape), 0, dtype, requires_grad)


def ones(*shape, dtype=np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of ones: `ones(2, 3)` or `ones((2, 3))`."""
    return full(named.lengths("ones", shape), 1, dtype, requires_grad)


def full(shape, value, dtype=None, requires_grad: bool = False) -> Tensor:
    """A tensor of this shape with the same value everywhere."""
    shape = named.lengths("full", shape if isinstance(shape, tuple | list) else (shape,))
    if any(n < 0 for n in shape):
        raise ValueError(f"full: a shape has no negative lengths, but this one is {shape}")
    dtype = as_tensor(value).dtype if dtype is None else dtype
    return Tensor(backend.xp().full(shape, value, dtype), requires_grad)


def zeros_like(x, dtype=None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape, and unless another is given the dtype, of x."""
    x = as_tensor(x)
    return full(x.shape, 0, dtype or x.dtype, requires_grad)


def ones_like(x, dtype=None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape, and unless another is given the dtype, of x."""
    x = as_tensor(x)
    return full(x.shape, 1, dtype or x.dtype, requires_grad)


def full_like(x, value, dtype=None, requires_grad: bool = False) -> Tensor:
    """The same value everywhere, in the shape, and unless another is given the dtype, of x."""
    x = as_tensor(x)
    return full(x.shape, value, dtype or x.dtype, requires_grad)


def eye(rows: int, columns: int | None = None, dtype=np.float32) -> Tensor:
    """Ones on the main diagonal, zeros elsewhere."""
    rows = integer("eye", "rows", rows, least=0)
    columns = rows if columns is None else integer("eye", "columns", columns, least=0)
    return Tensor(backend.xp().eye(rows, columns, dtype=dtype))


def arange(start, stop=None, step=1, dtype=None) -> Tensor:
    """start, start + step, ..., below stop; `arange(n)` counts from 0. int64 of integers."""
    if stop is None:
        start, stop = 0, start
    whole = all(np.asarray(n).dtype.kind in "iu" for n in (start, stop, step))
    dtype = dtype or (np.int64 if whole else np.float32)
    return Tensor(backend.xp().arange(start, stop, step, dtype))


def linspace(start: float, stop: float, steps: int, dtype=np.float32) -> Tensor:
    """`steps` numbers at equal distances, from start to stop, both included."""
    steps = integer("linspace", "steps", steps, least=0)
    return Tensor(backend.xp().linspace(start, stop, steps, dtype=dtype))


def randn(*shape, dtype=np.float32, requires_grad: bool = False) -> Tensor:
    """Random numbers from the normal distribution with mean 0 and variance 1."""
    numbers = backend.generator().standard_normal(named.lengths("randn", shape))
    return Tensor(backend.asarray(numbers, dtype), requires_grad)


def rand(*shape, dtype=np.float32, requires_grad: bool = False) -> Tensor:
    """Random numbers, all equally likely, from 0 to below 1."""
    numbers = backend.generator().random(named.lengths("rand", shape), np.float32)
    return Tensor(backend.asarray(numbers, dtype), requires_grad)


def randint(low: int, high: int | None = None, shape=()) -> Tensor:
    """Random integers from `low` to below `high`; `randint(n, shape=...)` counts from 0."""
    low, high = (0, low) if high is None else (low, high)
    low, high = integer("randint", "low", low), integer("randint", "high", high)
    if low >= high:
        raise ValueError(f"randint: low must be less than high, but they are {low} and {high}")
    return Tensor(backend.asarray(backend.generator().integers(low, high, shape)))


def randperm(n: int) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    n = integer("randperm", "n", n, least=0)
    return Tensor(backend.asarray(backend.generator().permutation(n)))


def randn_like(x) -> Tensor:
    """`randn` in the shape and dtype of x."""
    x = as_tensor(x)
    return randn(*x.shape, dtype=x.dtype)


def rand_like(x) -> Tensor:
    """`rand` in the shape and dtype of x."""
    x = as_tensor(x)
    return rand(*x.shape, dtype=x.dtype)


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor of a NumPy array: on CPU backends it shares the array's memory."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, but got a {type(array).__name__}")
    return Tensor(backend.asarray(array) if backend.xp() is not np else array)
