"""Launches the kernels of `cuda.cu`, once for all parameters of a dtype."""

from pathlib import Path

import numpy as np

from minires.cuda import Module, element_type
from minires.cuda.graph import refuse
from minires.kernels.adam import reference
from minires.kernels.arrays import alike, array_module
from minires.kernels.grid import THREADS, blocks
from minires.kernels.tables import addresses_of, tables_of
from minires.kernels.traffic import size_of

KERNELS = Module(Path(__file__).parent / "cuda.cu", ["advance", "update<float>", "update<double>"])


def update(
    params,
    grads,
    first_moments,
    second_moments,
    steps,
    lr,
    betas,
    eps,
    weight_decays,
    decoupled,
    scaling=None,
):
    """Update every parameter, its moments and its step number in place."""
    together, numbers = {}, (lr, betas, eps)
    arrays = (params, grads, first_moments, second_moments, steps, weight_decays)
    for p, g, m, v, t, decay in zip(*arrays, strict=True):
        if not alike(p, g, m, v):
            refuse(f"Adam of arrays that are not alike and contiguous: {p.shape}, {g.shape}")
            reference.update([p], [g], [m], [v], [t], *numbers, [decay], decoupled, scaling)
        elif p.size:
            together.setdefault(p.dtype, []).append((p, g, m, v, t, decay))
    for alikes in together.values():
        *own, decays = zip(*alikes, strict=True)
        _update(*own, *numbers, decays, decoupled, scaling)


def _update(params, grads, firsts, seconds, steps, lr, betas, eps, decays, decoupled, scaling):
    xp, scaled = array_module(params[0]), scaling is not None
    shared = {
        "parameters": len(params),
        "beta1": betas[0],
        "beta2": betas[1],
        "corrections": xp.empty((len(params), 2)),
        "scaling": scaling,
    }
    numbers = {"steps": xp.asarray(addresses_of(steps), np.uint64)}
    KERNELS.launch(
        "advance",
        blocks(len(params)),
        (THREADS,),
        numbers | shared,
        traffic=(
            size_of(numbers["steps"], *steps) + 4 * scaled,
            size_of(shared["corrections"], *steps),
        ),
    )
    tables = tables_of(params, grads, firsts, seconds)
    tables |= {"decays": xp.asarray(decays, np.float64), "lr": xp.asarray(lr, np.float64)}
    KERNELS.launch(
        f"update<{element_type(params[0])}>",
        (len(tables["owners"]),),
        (THREADS,),
        tables | shared | {"eps": eps, "decoupled": decoupled},
        traffic=(
            size_of(*tables.values(), shared["corrections"])
            + size_of(*params, *grads, *firsts, *seconds)
            + 8 * scaled,
            size_of(*params, *firsts, *seconds),
        ),
    )
