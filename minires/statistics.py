"""What many numbers have in common: smallest, variance, norm, softmax, ...; all along some axes.

`axis` is NumPy's word, `dim` PyTorch's; both are understood.
"""

from math import inf, prod

from minires import axes as named
from minires import backend, operators
from minires.arguments import flag, integer, real
from minires.function import Function
from minires.names import pytorch_names
from minires.shaping import where
from minires.tensor import Tensor, as_tensor


@pytorch_names
@operators.in_dtype
def softmax(x, axis: int) -> Tensor:
    """e^x / sum of e^x along `axis`: positive numbers whose sum is 1."""
    return _along("softmax", x, axis)


@pytorch_names
@operators.in_dtype
def log_softmax(x, axis: int) -> Tensor:
    """The logarithm of `softmax`, exact where softmax itself would round to 0."""
    return _along("log_softmax", x, axis)


@pytorch_names
def logsumexp(x, axis=None, keepdims: bool = False) -> Tensor:
    """log of the sum of e^x over `axis`, without overflow."""
    x = operators.floating(as_tensor(x))
    axes = named.axes("logsumexp", axis, x.ndim)
    keepdims = flag("logsumexp", "keepdims", keepdims)
    kept = [n for i, n in enumerate(x.shape) if i not in axes]
    rows = x.transpose([i for i in range(x.ndim) if i not in axes] + list(axes))
    y = _along("logsumexp", rows.reshape(*kept, prod(x.shape[i] for i in axes)), -1)
    return y.reshape([1 if i in axes else n for i, n in enumerate(x.shape)] if keepdims else kept)


def _along(kind: str, x, axis) -> Tensor:
    x = operators.floating(as_tensor(x))
    if x.ndim == 0:
        return _along(kind, x.reshape(1), named.axis(kind, axis, 1)).reshape(())
    return Function("softmax", axis=named.axis(kind, axis, x.ndim), kind=kind)(x)


@pytorch_names
def amin(x, axis=None, keepdims: bool = False) -> Tensor:
    """Minimum over `axis`; equal minima share the gradient equally (PyTorch's `amin`)."""
    x = as_tensor(x)
    if isinstance(axis, Tensor):
        return operators.binary("minimum", x, axis)
    if x.dtype.kind not in "iub":
        return -(-x).max(axis, keepdims)
    axes = named.axes("amin", axis, x.ndim)  # -x of the smallest integer, or of a bool, is none
    if any(x.shape[i] == 0 for i in axes):
        raise ValueError(f"amin: there is no smallest of no elements (shape {x.shape})")
    keepdims = flag("amin", "keepdims", keepdims)
    return Tensor(backend.xp().asarray(x.data.min(axis=axes, keepdims=keepdims)))


@pytorch_names
def argmax(x, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest element along `axis` stands (int64); without axis, in x.flatten()."""
    return _place("argmax", x, axis, keepdims)


@pytorch_names
def argmin(x, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element along `axis` stands (int64); without axis, in x.flatten()."""
    return _place("argmin", x, axis, keepdims)


def _place(name: str, x, axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    if axis is not None and x.ndim:
        axis = named.axis(name, axis, x.ndim)
    if (x.size if axis is None else x.shape[axis] if x.ndim else 1) == 0:
        raise ValueError(f"{name}: there is no largest or smallest of no elements ({x.shape})")
    places = getattr(backend.xp(), name)(x.data, axis=axis if x.ndim else None)
    places = backend.xp().asarray(places)
    if keepdims:
        places = places.reshape([1 if axis in (None, i) else n for i, n in enumerate(x.shape)])
    return Tensor(places)


@pytorch_names
def var(
    x, axis=None, keepdims: bool = False, correction: float = 1, unbiased: bool | None = None
) -> Tensor:
    """Variance over `axis`: squared deviations from the mean, their sum / (n - correction).

    With correction 1 (PyTorch's default) the estimate for the population that x is a sample of;
    with 0 the variance of x itself (NumPy's default). `unbiased`, PyTorch's older word, stands for
    correction 1 or 0.
    """
    x = operators.floating(as_tensor(x))
    axes = named.axes("var", axis, x.ndim)
    keepdims = flag("var", "keepdims", keepdims)
    correction = correction if unbiased is None else int(flag("var", "unbiased", unbiased))
    n = prod(x.shape[i] for i in axes) - real("var", "correction", correction, least=0)
    deviation = x - x.mean(axes, True)
    total = (deviation * deviation).sum(axes, keepdims)
    return total / max(n, 0) if n > 0 else total * float("nan")


@pytorch_names
def std(
    x, axis=None, keepdims: bool = False, correction: float = 1, unbiased: bool | None = None
) -> Tensor:
    """Standard deviation: the square root of `var`."""
    return var(x, axis, keepdims, correction, unbiased).sqrt()


@pytorch_names
@operators.in_dtype
def product(x, axis=None, keepdims: bool = False) -> Tensor:
    """Product over `axis` (an int, a tuple of ints, or None for all)."""
    x = as_tensor(x)
    axes = named.axes("prod", axis, x.ndim)
    return Function("prod", axis=axes, keepdims=flag("prod", "keepdims", keepdims))(x)


@pytorch_names
@operators.in_dtype
def cumsum(x, axis: int) -> Tensor:
    """Cumulative sums along `axis`."""
    x = as_tensor(x)
    if x.ndim == 0:
        return cumsum(x.reshape(1), axis).reshape(())
    return Function("cumsum", axis=named.axis("cumsum", axis, x.ndim))(x)


@pytorch_names
def norm(x, p: float = 2, axis=None, keepdims: bool = False) -> Tensor:
    """The p-norm over `axis`: (sum of |x|^p)^(1/p); the largest |x| for p = inf.

    At 0, where the 2-norm has a kink, the gradient is 0.
    """
    x = operators.floating(as_tensor(x))
    if p == "fro":
        p = 2
    if p in (inf, -inf):
        size = x.abs()
        return size.max(axis, keepdims) if p > 0 else amin(size, axis, keepdims)
    p = real("norm", "p", p)
    if p == 0:
        data = (x.data != 0).astype(x.dtype)
        return Tensor(data).sum(axis, keepdims)
    total = ((x * x) if p == 2 else x.abs() ** p).sum(axis, keepdims)
    nonzero = total.data != 0
    safe = where(nonzero, total, total.dtype.type(1))
    root = safe.sqrt() if p == 2 else safe ** (1 / p)
    return where(nonzero, root, total.dtype.type(0))


def clip(x, min=None, max=None) -> Tensor:  # noqa: A002, the field's names
    """x, but at least `min` and at most `max` (numbers, arrays or tensors; None: no bound).

    The gradient passes where x lies within the bounds; NaN stays NaN.
    """
    x = as_tensor(x)
    if min is None and max is None:
        raise ValueError("clip: give min, max or both")
    if min is not None:
        low, x = operators.operands("clip", min, x)
        x = where(x.data < low.data, low, x)
    if max is not None:
        high, x = operators.operands("clip", max, x)
        x = where(x.data > high.data, high, x)
    return x


def one_hot(labels, num_classes: int | None = None) -> Tensor:
    """1 at each label's place of a new last axis, 0 elsewhere (int64).

    Parameters
    ----------
    labels : integers from 0 to num_classes - 1, any shape
    num_classes : int, optional
        By default the largest label + 1.
    """
    data = as_tensor(labels).data
    if data.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels must be integers, but are {data.dtype}")
    largest = int(data.max()) if data.size else -1
    if num_classes is None:
        num_classes = largest + 1
    count = integer("one_hot", "num_classes", num_classes, least=1)
    if data.size and (int(data.min()) < 0 or largest >= count):
        raise ValueError(
            f"one_hot: labels must lie from 0 to {count - 1}, but range from {int(data.min())} to "
            f"{largest}"
        )
    return Tensor((data[..., None] == backend.xp().arange(count)).astype("int64"))
