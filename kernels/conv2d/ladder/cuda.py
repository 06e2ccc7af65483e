"""Launches the rungs in CUDA C++, on a GPU or on the emulator."""

from pathlib import Path

from minires.cuda import Module
from minires.kernels.arrays import array_module, output_size
from minires.kernels.grid import window_sizes

TILES = {  # pixels and channels of a block, its threads
    "v1_naive": (16, 16, (16, 16)),
    "v2_coalesced": (16, 16, (16, 16)),
    "v3_shared": (16, 16, (16, 16)),
    "v4_registers": (64, 64, (256,)),
    "v5_tensor_cores": (64, 32, (128,)),
}
KERNELS = {name: Module(Path(__file__).parent / f"{name}.cu", ["conv2d"]) for name in TILES}


def run(name: str, x, w, stride, padding):
    """y = conv(x, w) by the rung of this name."""
    ho, wo = map(output_size, x.shape[1:3], w.shape, stride, padding)
    y = array_module(x).empty((len(x), ho, wo, w.shape[3]), x.dtype)
    pixels, across, block = TILES[name]
    grid = (-(-(y.size // w.shape[3]) // pixels), -(-w.shape[3] // across))
    sizes = window_sizes(x.shape, (ho, wo), w.shape[:2], stride, padding)
    arguments = dict(x=x, w=w, y=y, images=len(x), filters=w.shape[3], **sizes)
    KERNELS[name].launch("conv2d", grid, block, arguments)
    return y
