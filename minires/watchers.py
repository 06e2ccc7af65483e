"""Watchers: a look at every computation of forward and backward, from outside.

>>> def trace(function, direction, compute, *arrays):
...     print(function.name, direction, [array.shape for array in arrays])
...     return compute(*arrays)
>>> with watch(trace):
...     loss = F.cross_entropy(model(x), labels)
...     loss.backward()

Timing by operation, accounting, summaries and the capture of CUDA graphs are watchers; so is
`detect_anomaly`, which stops at the first number that is none.

See docs/decisions/autodiff.md, "One seam".
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np

from minires import backend

Watcher = Callable[..., Any]
"""`watcher(function, direction, compute, *arrays)` -> what `compute(*arrays)` returns."""

_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())


@contextmanager
def watch(watcher: Watcher) -> Iterator[None]:
    """Inside, every computation of a Function in this thread goes through `watcher`.

    Parameters
    ----------
    watcher : function
        It is called as ``watcher(function, direction, compute, *arrays)`` and must return what
        ``compute(*arrays)`` returns. Before and after, it may look at the arrays, time, count, or
        raise. `direction` is "forward" (arrays are the inputs), "backward" (the gradient of the
        result), or "sum" (the gradient that `function` has just returned is added to an earlier one
        of the same tensor). Of several watchers, the last one entered is called first.
    """
    before = _watchers.get()
    _watchers.set((*before, watcher))
    try:
        yield
    finally:
        _watchers.set(before)


def watched(function, direction: str, compute: Callable, *arrays):
    """compute(*arrays), seen by all watchers."""
    for watcher in _watchers.get():
        compute = partial(watcher, function, direction, compute)
    try:
        return compute(*arrays)
    except SystemError as error:  # Ctrl-C within compiled code, which then returns a result, too
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Inside, the first operation that makes a NaN or an infinity of finite numbers is named.

    It reads every result on the host, so a step takes longer, and no CUDA graph can contain it.

    Raises
    ------
    FloatingPointError
        In forward or backward, when an operation whose inputs are finite returns an array with an
        element that is not; the message names operation, direction, shape and first such place.
    """

    def look(function, direction: str, compute: Callable, *arrays):
        backend.refuse("detect_anomaly, which reads every result on the host")
        finite = all(_first_anomaly(array) is None for array in arrays)
        results = compute(*arrays)
        for result in results if isinstance(results, tuple) else (results,):
            if finite and (place := _first_anomaly(result)) is not None:
                raise FloatingPointError(
                    f"{function.name} {direction}: element {place} of its result of shape "
                    f"{result.shape} is {result[place]}, although all its inputs are finite"
                )
        return results

    with watch(look):
        yield


def _first_anomaly(array) -> tuple[int, ...] | None:
    """Index of the first element that is not finite; None if all are, or have to be."""
    if array is None or array.dtype.kind in "iub":
        return None
    wrong = ~np.isfinite(array)
    if not wrong.any():
        return None
    return tuple(map(int, np.unravel_index(int(wrong.argmax()), wrong.shape)))
