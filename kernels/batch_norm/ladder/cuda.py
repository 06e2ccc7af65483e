"""Launches the rungs in CUDA C++, on a GPU or on the emulator."""

from pathlib import Path

from minires.cuda import Module
from minires.kernels.arrays import array_module

ROWS_PER_BLOCK = 512
TILES = {  # of a block, and how many of its threads' sums are written
    "v1_naive": (1, 256),
    "v2_coalesced": (16, 16),
    "v3_shared": (16, 1),
    "v4_registers": (64, 1),
    "v5_tensor_cores": (8, 8),
}
KERNELS = {name: Module(Path(__file__).parent / f"{name}.cu", ["sums"]) for name in TILES}


def run(name: str, x):
    """(2, C), the sums of x and of its squares over the rows, by the rung of this name."""
    (rows, channels), (across, sums) = x.shape, TILES[name]
    blocks = 1 if name == "v1_naive" else -(-rows // ROWS_PER_BLOCK)
    partial = array_module(x).empty((blocks * sums, 2, channels), x.dtype)
    grid = (-(-channels // across), blocks)
    arguments = dict(x=x, partial=partial, rows=rows, channels=channels)
    KERNELS[name].launch("sums", grid, (256,), arguments)
    return partial.sum(axis=0)
