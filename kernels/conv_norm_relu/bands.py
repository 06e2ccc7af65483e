"""How large the bands of rows are that a block of `cuda.cu` or `gradients.cu` works on."""

from dataclasses import dataclass
from functools import cache

from minires.cuda import most_shared

RESULTS, KERNEL, TAPS, GAP, WEIGHTS_GAP = 4096, 3, 9, 4, 8  # as in bands.cuh
SCRATCH = 2304
"""Numbers of shared memory that sums over pixels need; they lie where the weights were."""

STAGED = 4608
"""Weights in shared memory at a time, at most (but one tap of the filter in any case)."""

WARPS = 8
"""Warps of a block, as in bands.cuh."""

STATIC = 64
"""Bytes of shared memory beside these; the kernels declare 4."""

FUSED_RESULTS = 1024
"""C * K up to which dx and dw come from one launch: a block then has all of dw in its registers."""


@dataclass(frozen=True)
class Plan:
    """How large bands and shared memory are, for a convolution and for its gradients.

    forward and backward are (rows of a band, taps of the filter that are staged at a time, bytes of
    shared memory), or None if that much is not there; `width` is that of the gradients' tiles,
    `fused` whether one launch computes dx and dw.
    """

    rows: int
    columns: int
    width: int
    fused: bool
    forward: tuple[int, int, int] | None
    backward: tuple[int, int, int] | None

    @property
    def possible(self) -> bool:
        return self.forward is not None and self.backward is not None


def plan_for(x, shape, w, stride: int) -> Plan:
    """The plan for images of `shape` (N,H,W,C) that lie where x does, and filters w."""
    return _plan(*shape[1:], w.shape[3], stride, w.itemsize, most_shared(x))


@cache
def _plan(height, width, channels, outputs, stride, size, most) -> Plan:
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    padded, tile = -(-channels // 8) * 8, max(16, channels)
    forward = _largest_band(
        min(rows, RESULTS // outputs // columns),
        lambda band: (
            ((band - 1) * stride + KERNEL) * ((columns - 1) * stride + KERNEL) * (padded + GAP)
        ),
        padded * (outputs + WEIGHTS_GAP),
        size,
        most,
    )
    pairs = tile // 16 * (outputs // 8)  # of 16 and 8 channels, a warp each
    backward = _largest_band(
        min(height, RESULTS // tile // width),
        lambda band: (
            (band + KERNEL - 1) * (width + KERNEL - 1) * (outputs + GAP)
            + -(-band * width // 8) * 8 * (tile + GAP)
        ),
        outputs * (tile + WEIGHTS_GAP),
        size,
        most,
        max(0, WARPS - pairs) * TAPS * 16 * 8,  # sums of dw that warps hand over
    )
    return Plan(rows, columns, tile, tile * outputs <= FUSED_RESULTS, forward, backward)


def _largest_band(band: int, tile, tap: int, size: int, most: int, least: int = 0):
    """The largest number of rows, up to `band`, for which shared memory suffices; or None.

    `tile(rows)` and `tap` are numbers of elements: of the tiles, and of one tap of the filter; at
    least `least` are needed in any case.
    """
    taps = min(TAPS, max(1, STAGED // tap))
    while band > 0:
        needed = max(least, tile(band) + max(SCRATCH, taps * tap)) * size
        if needed + STATIC <= most:
            return band, taps, needed
        band //= 2
    return None
