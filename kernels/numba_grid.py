"""What the Numba-CUDA kernels share: how they are launched.

Kernels are Python functions that every thread runs. On a GPU they work on CuPy arrays, or, where
CuPy is missing, on NumPy arrays that Numba copies over and back at every launch. With
NUMBA_ENABLE_CUDASIM=1 in the environment Numba's simulator runs them on the CPU: every thread of a
block a thread of Python, a block at a time.

See docs/decisions/cuda.md, "Numba-CUDA is for reading".
See docs/decisions/cuda.md, "A patient simulator".
"""

import sys

from numba import config, cuda

SIMULATED = bool(config.ENABLE_CUDASIM)

THREADS = 4 if SIMULATED else 256
"""Threads in a block that visits elements: any number is right, and in the simulator each costs."""

MOST_BLOCKS = 1 if SIMULATED else 2048

# Kernels run on the stream that CuPy works on: nobody has to wait before a launch. Some need one
# block only, and NumPy's arrays are copied on purpose: no warnings of either.
config.CUDA_ARRAY_INTERFACE_SYNC = 0
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
config.CUDA_WARN_ON_IMPLICIT_COPY = 0

if SIMULATED:
    from numba.cuda.simulator.kernelapi import FakeCUDAShared

    _allocate = FakeCUDAShared.array

    def _shared_array(shared, shape, dtype, **options):
        """The simulator's `cuda.shared.array` looks for the block's array, then allocates it. A
        thread that asks in between would get another array. Here all get the first one."""
        if shape == 0:  # the launch has allocated it
            return _allocate(shared, shape, dtype, **options)
        kernel = sys._getframe(1)
        place = kernel.f_code.co_filename, kernel.f_lineno
        if place not in shared._allocations:
            own = _allocate(FakeCUDAShared(0), shape, dtype, **options)
            shared._allocations.setdefault(place, own)
        return shared._allocations[place]

    FakeCUDAShared.array = _shared_array


def launch(kernel, grid, block, *arguments) -> None:
    """Run a kernel, on a GPU on the stream that CuPy works on."""
    if SIMULATED:
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-4)  # a polling thread must not keep the others waiting
        try:
            kernel[grid, block](*arguments)
        finally:
            sys.setswitchinterval(interval)
        return
    pointer = sys.modules["cupy"].cuda.get_current_stream().ptr if "cupy" in sys.modules else 0
    kernel[grid, block, cuda.external_stream(pointer) if pointer else 0](*arguments)


def visit(kernel, size: int, *arguments) -> None:
    """Run a kernel whose threads together visit `size` elements: thread t visits the elements t,
    t + number of threads, t + 2 * number of threads ..."""
    if size:
        launch(kernel, max(1, min(MOST_BLOCKS, -(-size // THREADS))), THREADS, *arguments)
