"""The GPU's end: compile for the GPU at hand and launch, through CuPy."""

import hashlib
from contextlib import suppress

import cupy
import numpy as np

from minires.cuda.host import INCLUDE
from minires.cuda.signature import LaunchError, Signature

NULL = np.uintp(0)
"""A null pointer; CuPy hands a NumPy scalar over as it is."""


class DeviceModule:
    """A .cu file compiled by NVRTC, once per process, or once per machine where CuPy caches it."""

    def __init__(self, name: str, source: str, signatures: dict[str, Signature]):
        headers = "".join(path.read_text() for path in sorted(INCLUDE.glob("*.*h")))
        version = hashlib.sha256(headers.encode()).hexdigest()[:8]  # CuPy's cache knows no headers
        self.module = cupy.RawModule(
            code=source,
            options=("-std=c++17", f"-I{INCLUDE}", f"-DMINIRES_HEADERS=0x{version}"),
            name_expressions=list(signatures),
        )
        self.name = name
        self.kernels: dict[str, cupy.RawKernel] = {}

    def most_threads(self, instance: str) -> int:
        """How many threads a block of this kernel may have."""
        return self._kernel(instance).max_threads_per_block

    def launch(self, instance: str, grid, block, arguments, dynamic_shared: int) -> None:
        """Launch on CuPy's current stream; the arguments have been checked."""
        arguments = tuple(NULL if argument is None else argument for argument in arguments)
        kernel = self._kernel(instance)
        if dynamic_shared > kernel.max_dynamic_shared_size_bytes:
            limit = cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"]
            most = limit - kernel.shared_size_bytes
            if dynamic_shared > most:
                raise LaunchError(
                    f"kernel {instance} of {self.name}: {dynamic_shared} bytes of dynamic shared "
                    f"memory are asked for, but on this GPU it can have {most}"
                )
            kernel.max_dynamic_shared_size_bytes = dynamic_shared
        kernel(grid, block, arguments, shared_mem=dynamic_shared)

    def _kernel(self, instance: str):
        kernel = self.kernels.get(instance)
        if kernel is None:
            kernel = self.kernels[instance] = self.module.get_function(instance)
        return kernel


class DeviceGraph:
    """Launches in their order as one CUDA graph, which one call repeats.

    Parameters
    ----------
    launches : list of minires.cuda.Launch
        Checked and loaded (`Module.prepare`), so that the capture consists of launches alone. Their
        arrays must stay where they are; who has the list keeps them there.

    Raises
    ------
    LaunchError, cupy.cuda.runtime.CUDARuntimeError
        If the GPU refuses. The stream does not capture any more then.
    """

    def __init__(self, launches):
        self.launches = launches
        stream = cupy.cuda.Stream(non_blocking=True)  # the default stream cannot capture
        with stream:
            stream.begin_capture()
            try:
                for launch in launches:
                    launch.run()
            except BaseException:
                with suppress(Exception):  # that it has become invalid is no news
                    stream.end_capture()
                raise
            self.graph = stream.end_capture()

    def launch(self) -> None:
        """Repeat the launches, on CuPy's current stream."""
        self.graph.launch()
