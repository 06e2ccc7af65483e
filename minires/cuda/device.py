"""The GPU's end: compile for the GPU at hand and launch, through CuPy."""

from minires.cuda.host import INCLUDE
from minires.cuda.signature import Signature

STATIC_SHARED = 48 << 10
"""Bytes of shared memory that a kernel has without asking for more."""


class DeviceModule:
    """A .cu file compiled by NVRTC; CuPy keeps the machine code on disk."""

    def __init__(self, name: str, source: str, signatures: dict[str, Signature]):
        import cupy

        self.module = cupy.RawModule(
            code=source,
            options=("-std=c++17", f"-I{INCLUDE}"),
            name_expressions=list(signatures),
        )
        self.kernels = {}

    def launch(self, instance: str, grid, block, arguments, dynamic_shared: int) -> None:
        """Launch on CuPy's current stream; the arguments have been checked."""
        kernel = self.kernels.get(instance)
        if kernel is None:
            kernel = self.kernels[instance] = self.module.get_function(instance)
        if dynamic_shared > STATIC_SHARED > kernel.max_dynamic_shared_size_bytes - 1:
            kernel.max_dynamic_shared_size_bytes = dynamic_shared
        kernel(grid, block, arguments, shared_mem=dynamic_shared)
