"""Launches the kernel of `cuda.cu`, once for all parameters of a dtype."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.cuda.graph import refuse
from minires.kernels.arrays import alike, array_module
from minires.kernels.grid import THREADS
from minires.kernels.sgd import reference
from minires.kernels.tables import tables_of
from minires.kernels.traffic import size_of

KERNELS = Module(Path(__file__).parent / "cuda.cu", ["update<float>", "update<double>"])


def update(params, grads, velocities, lr, momentum, weight_decays, nesterov, scaling=None):
    """Update every parameter and velocity in place."""
    together = {}
    for p, g, v, decay in zip(params, grads, velocities, weight_decays, strict=True):
        if not alike(p, g, v):
            refuse(f"SGD of arrays that are not alike and contiguous, such as {p.shape}, {g.shape}")
            reference.update([p], [g], [v], lr, momentum, [decay], nesterov, scaling)
        elif p.size:
            together.setdefault(p.dtype, []).append((p, g, v, decay))
    for parameters in together.values():
        _update(*zip(*parameters, strict=True), lr, momentum, nesterov, scaling)


def _update(params, grads, velocities, decays, lr, momentum, nesterov, scaling) -> None:
    xp = array_module(params[0])
    tables = tables_of(params, grads, velocities)
    tables |= {"decays": xp.asarray(decays, np.float64), "lr": xp.asarray(lr, np.float64)}
    numbers = {"parameters": len(params), "momentum": momentum, "nesterov": nesterov}
    KERNELS.launch(
        f"update<{element_type(params[0])}>",
        (len(tables["owners"]),),
        (THREADS,),
        tables | numbers | {"scaling": scaling},
        traffic=(
            size_of(*tables.values(), *params, *grads, *velocities) + 8 * (scaling is not None),
            size_of(*params, *velocities),
        ),
    )
