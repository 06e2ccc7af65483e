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
    xp, count = array_module(params[0]), np.int32(len(params))
    lr, decays = xp.asarray(lr, np.float64), xp.asarray(decays, np.float64)
    betas = tuple(map(np.float64, betas))
    scaled = scaling is not None
    scaling = (scaling if scaled else xp.empty(0, np.float32), np.bool_(scaled))

    corrections = xp.empty((len(params), 2))
    table = xp.asarray(addresses_of(steps), np.uint64)
    KERNELS.launch(
        "advance",
        blocks(len(params)),
        (THREADS,),
        (table, count, *betas, corrections, *scaling),
        traffic=(size_of(table, *steps) + 4 * scaled, size_of(corrections, *steps)),
    )
    addresses, sizes, owners, starts = tables_of(params, grads, firsts, seconds)
    KERNELS.launch(
        f"update<{element_type(params[0])}>",
        (len(owners),),
        (THREADS,),
        (
            addresses,
            sizes,
            decays,
            owners,
            starts,
            count,
            lr,
            corrections,
            *betas,
            params[0].dtype.type(eps),
            np.bool_(decoupled),
            *scaling,
        ),
        traffic=(
            size_of(addresses, sizes, decays, owners, starts, lr, corrections)
            + size_of(*params, *grads, *firsts, *seconds)
            + 8 * scaled,
            size_of(*params, *firsts, *seconds),
        ),
    )
