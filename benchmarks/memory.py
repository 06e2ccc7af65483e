"""How much memory a process, or a library on a GPU, holds."""

import gc
import sys
from pathlib import Path


def resident_bytes(peak: bool = False) -> int:
    """Memory of this process that lies in RAM, now or at its peak; 0 where nothing tells it."""
    key = "VmHWM:" if peak else "VmRSS:"
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return 0
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage << 10


def forget_peak() -> None:
    """Let the peak be measured from here on, so that compiling does not count (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def held_on_gpu() -> int:
    """Bytes of the GPU's memory that CuPy and PyTorch have taken."""
    cupy, torch = (sys.modules.get(name) for name in ("cupy", "torch"))
    held = cupy.get_default_memory_pool().total_bytes() if cupy is not None else 0
    if torch is not None and torch.cuda.is_available():
        held += torch.cuda.memory_reserved()
    return held


def release_gpu() -> None:
    """Give back what CuPy and PyTorch have taken and nobody uses."""
    gc.collect()  # a step holds itself
    cupy, torch = (sys.modules.get(name) for name in ("cupy", "torch"))
    if cupy is not None:
        cupy.get_default_memory_pool().free_all_blocks()
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
