"""Launches the rungs in CUDA C++, on a GPU or on the emulator."""

from pathlib import Path

from minires.cuda import Module
from minires.kernels.arrays import array_module

TILES = {  # results of a block, down and across; its threads
    "v1_naive": (16, 16, (16, 16)),
    "v2_coalesced": (16, 16, (16, 16)),
    "v3_shared": (16, 16, (16, 16)),
    "v4_registers": (64, 64, (256,)),
    "v5_tensor_cores": (64, 64, (128,)),
}
KERNELS = {name: Module(Path(__file__).parent / f"{name}.cu", ["matmul"]) for name in TILES}


def run(name: str, a, b):
    """c = a b by the rung of this name."""
    (rows, terms), columns = a.shape, b.shape[1]
    c = array_module(a).empty((rows, columns), a.dtype)
    down, across, block = TILES[name]
    grid = (-(-rows // down), -(-columns // across))
    arguments = dict(a=a, b=b, c=c, rows=rows, columns=columns, terms=terms)
    KERNELS[name].launch("matmul", grid, block, arguments)
    return c
