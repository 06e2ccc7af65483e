"""Results against what is expected, and against those of other orders of the same threads."""

import numpy as np

from minires.cuda.checking.job import ARRAY, Job
from minires.cuda.checking.report import Fault

TOLERANCE = {2: 1e-2, 4: 1e-4, 8: 1e-9}
"""By the bytes of a fraction: how far it may be off, relative to itself and to the array's mean."""


def wrong(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Which elements are not what is expected."""
    if got.dtype.kind in "iub":
        return got != expected
    got, right = got.astype(np.float64), expected.astype(np.float64)
    finite = np.abs(right[np.isfinite(right)])
    size = np.abs(right) + (finite.mean() if finite.size else 0)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - right) <= TOLERANCE[min(expected.itemsize, 8)] * size
    return ~(near | (got == right) | (np.isnan(got) & np.isnan(right)))


def compare(arrays: dict, written: dict, expect: dict, job: Job) -> list[Fault]:
    """Faults of the result: elements that nobody has written, and wrong ones."""
    faults = []
    empty = {m.place for m in job.memory if m.space == ARRAY and m.is_empty}
    threads = int(np.prod(job.grid)) * int(np.prod(job.block))
    for i, (name, array) in enumerate(arrays.items()):
        untouched = ~written[i].reshape(array.shape) if i in written else np.ones(array.shape, bool)
        amiss = np.zeros(array.shape, bool)
        if name in expect:
            expected = np.broadcast_to(np.asarray(expect[name]).astype(array.dtype), array.shape)
            amiss = wrong(array, expected)
        missing = untouched & (amiss if name in expect else i in empty)
        if i in written and missing.any() or i in empty and missing.any():
            where = np.argwhere(missing)
            what = (
                f"{len(where)} of {array.size} elements of {name} are never written, the first is "
                f"{_element(name, where[0])}, the last {_element(name, where[-1])}; the launch has "
                f"{threads} threads"
            )
            faults.append(Fault("never written", None, what, array=name, checker="result"))
            amiss &= ~untouched
        if amiss.any():
            at = tuple(np.argwhere(amiss)[0])
            what = (
                f"{int(amiss.sum())} of {array.size} elements of {name} are wrong, the first is "
                f"{_element(name, at)}: expected {expected[at]}, got {array[at]}"
            )
            faults.append(Fault("wrong result", None, what, array=name, checker="result"))
    for name in expect:
        if name not in arrays:
            what = f"{name} is expected, but is none of the kernel's arrays: {', '.join(arrays)}"
            faults.append(Fault("launch", None, what, checker="launch"))
    return faults


def differ(first: dict, second: dict) -> Fault | None:
    """The fault that two orders of the same threads give different results."""
    for name, array in first.items():
        amiss = wrong(second[name], array)
        if amiss.any():
            at = tuple(np.argwhere(amiss)[0])
            what = (
                f"the result depends on the order in which blocks, warps and threads run: "
                f"{_element(name, at)} is {array[at]} in one order, {second[name][at]} in another"
            )
            return Fault("order", None, what, array=name, checker="schedules")
    return None


def _element(name: str, at) -> str:
    return f"{name}[{', '.join(map(str, at))}]"
