"""Launches the kernel of `cuda.cu`, once for all parameters of a dtype."""

from functools import cache
from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.cuda.graph import refuse
from minires.kernels.arrays import array_module
from minires.kernels.grid import THREADS
from minires.kernels.sgd import reference
from minires.kernels.traffic import size_of

CHUNK = 1024
KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [f"{kernel}<{kind}>" for kernel in ("update", "update_at") for kind in ("float", "double")],
)


def update(params, grads, velocities, lr, momentum, weight_decays, nesterov, scaling=None):
    """Update every parameter and velocity in place."""
    together = {}
    for p, g, v, decay in zip(params, grads, velocities, weight_decays, strict=True):
        alike = p.shape == g.shape == v.shape and p.dtype == g.dtype == v.dtype
        if not (alike and all(array.flags.c_contiguous for array in (p, g, v))):
            refuse(f"SGD of arrays that are not alike and contiguous, such as {p.shape}, {g.shape}")
            reference.update([p], [g], [v], lr, momentum, [decay], nesterov, scaling)
        elif p.size:
            together.setdefault(p.dtype, []).append((p, g, v, decay))
    for parameters in together.values():
        _update(*zip(*parameters, strict=True), lr, momentum, nesterov, scaling)


def _update(params, grads, velocities, decays, lr, momentum, nesterov, scaling) -> None:
    xp = array_module(params[0])
    sizes = tuple(p.size for p in params)
    owners, starts = chunks(sizes)
    addresses = addresses_of((*params, *grads, *velocities))
    tables = dict(
        addresses=xp.asarray(addresses, np.uint64),
        sizes=xp.asarray(sizes, np.int64),
        decays=xp.asarray(decays, np.float64),
        owners=xp.asarray(owners),
        starts=xp.asarray(starts),
    )
    in_memory = hasattr(lr, "shape") and not isinstance(lr, np.generic)
    KERNELS.launch(
        f"{'update_at' if in_memory else 'update'}<{element_type(params[0])}>",
        (len(owners),),
        (THREADS,),
        dict(
            **tables,
            parameters=len(params),
            lr=lr,
            momentum=momentum,
            nesterov=nesterov,
            scaling=scaling,
        ),
        traffic=(
            size_of(*tables.values(), *params, *grads, *velocities)
            + 8 * (in_memory + (scaling is not None)),
            size_of(*params, *velocities),
        ),
    )


def addresses_of(arrays) -> list[int]:
    """Where these arrays begin in memory."""
    return [a.ctypes.data if isinstance(a, np.ndarray) else a.data.ptr for a in arrays]


@cache
def chunks(sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """For each block its parameter, int32, and where it begins in it, int64."""
    chunks = [(i, start) for i, size in enumerate(sizes) for start in range(0, size, CHUNK)]
    owners, starts = zip(*chunks, strict=True)
    return np.array(owners, np.int32), np.array(starts, np.int64)
