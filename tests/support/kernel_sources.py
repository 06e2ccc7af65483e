"""Kernels of a test's own, from source in CUDA C++."""

from minires import cuda


def module(tmp_path, source: str, *instances: str) -> cuda.Module:
    """The kernels of this source."""
    path = tmp_path / "cuda.cu"
    path.write_text('#include "minires.cuh"\n' + source)
    return cuda.Module(path, list(instances))
