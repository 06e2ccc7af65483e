"""Launches the kernels of `cuda.cu`, on a GPU or on the emulator.

saved = (x, gamma, beta, mean, inv_std, y or None, training, relu, whether there is a residual)
"""

from pathlib import Path

from minires.cuda import Module, element_type
from minires.kernels.arrays import array_module
from minires.kernels.batch_norm import reference
from minires.kernels.grid import THREADS, blocks
from minires.kernels.traffic import size_of

ROWS_PER_PART = 256
MOST_PARTS = 256
KINDS = ("float", "double")
KERNELS = Module(
    Path(__file__).parent / "cuda.cu",
    [
        f"{kernel}<{kind}>"
        for kind in KINDS
        for kernel in ("part_statistics", "normalize", "part_sums", "finish_sums", "input_gradient")
    ]
    + [
        f"{kernel}<{kind}, {running}>"
        for kind in KINDS
        for running in KINDS
        for kernel in ("finish_statistics", "use_running_statistics")
    ],
)


def forward(
    x,
    gamma,
    beta,
    residual=None,
    *,
    running_mean,
    running_var,
    training,
    momentum=0.1,
    eps=1e-5,
    relu=False,
):
    """Normalise each channel, scale, shift, add the residual, clip; see the contract."""
    xp, kind, channels = array_module(x), element_type(x), x.shape[-1]
    if x.size == 0:
        return reference.forward(
            x,
            gamma,
            beta,
            residual,
            running_mean=running_mean,
            running_var=running_var,
            training=training,
            momentum=momentum,
            eps=eps,
            relu=relu,
        )
    rows = x.size // channels
    mean, inv_std = xp.empty(channels, x.dtype), xp.empty(channels, x.dtype)
    kinds = f"{kind}, {element_type(running_mean)}"
    if training:
        parts = _parts(rows)
        means, squares = (xp.empty((parts, channels), x.dtype) for _ in range(2))
        sizes = dict(rows=rows, channels=channels)
        grid, block = _over_rows(parts, channels)
        arguments = dict(x=x, means=means, squares=squares, **sizes)
        KERNELS.launch(f"part_statistics<{kind}>", grid, block, arguments)
        KERNELS.launch(
            f"finish_statistics<{kinds}>",
            blocks(channels),
            (THREADS,),
            dict(
                means=means,
                squares=squares,
                mean_out=mean,
                inv_std=inv_std,
                running_mean=running_mean,
                running_var=running_var,
                parts=parts,
                **sizes,
                momentum=momentum,
                eps=eps,
            ),
            traffic=(
                size_of(means, squares, running_mean, running_var),
                size_of(mean, inv_std, running_mean, running_var),
            ),
        )
    else:
        KERNELS.launch(
            f"use_running_statistics<{kinds}>",
            blocks(channels),
            (THREADS,),
            dict(
                running_mean=running_mean,
                running_var=running_var,
                mean=mean,
                inv_std=inv_std,
                channels=channels,
                eps=eps,
            ),
        )
    y = xp.empty(x.shape, x.dtype)
    KERNELS.launch(
        f"normalize<{kind}>",
        blocks(x.size),
        (THREADS,),
        dict(
            x=x,
            mean=mean,
            inv_std=inv_std,
            gamma=gamma,
            beta=beta,
            residual=residual,
            y=y,
            size=x.size,
            channels=channels,
            relu=relu,
        ),
    )
    has_residual = residual is not None
    sign = y if relu and has_residual else None
    return y, (x, gamma, beta, mean, inv_std, sign, training, relu, has_residual)


def backward(dy, saved, needs=(True, True, True, True)):
    """(dx, dgamma, dbeta, dresidual); see the derivation in `__init__.py`."""
    if dy.size == 0:
        return reference.backward(dy, saved, needs)
    x, gamma, beta, mean, inv_std, y, training, relu, has_residual = saved
    xp, kind, channels = array_module(x), element_type(x), x.shape[-1]
    rows = x.size // channels
    parts = _parts(rows)
    du = dy if y is None else xp.empty(dy.shape, dy.dtype)
    sums = xp.empty((2, parts, channels), x.dtype)
    dgamma, dbeta, of_x, constant = (xp.empty(channels, x.dtype) for _ in range(4))
    grid, block = _over_rows(parts, channels)
    KERNELS.launch(
        f"part_sums<{kind}>",
        grid,
        block,
        dict(
            dy=dy,
            x=x,
            y=y,
            mean=mean,
            inv_std=inv_std,
            gamma=gamma,
            beta=beta,
            du=None if y is None else du,
            sums=sums,
            rows=rows,
            channels=channels,
            relu=relu,
        ),
    )
    KERNELS.launch(
        f"finish_sums<{kind}>",
        blocks(channels),
        (THREADS,),
        dict(
            sums=sums,
            gamma=gamma,
            inv_std=inv_std,
            dgamma=dgamma,
            dbeta=dbeta,
            of_x=of_x,
            constant=constant,
            parts=parts,
            rows=rows,
            channels=channels,
        ),
    )
    dx = None
    if needs[0]:
        dx, masked = xp.empty(x.shape, x.dtype), relu and not has_residual
        KERNELS.launch(
            f"input_gradient<{kind}>",
            blocks(x.size),
            (THREADS,),
            dict(
                dy=du,
                x=x,
                mean=mean,
                inv_std=inv_std,
                gamma=gamma,
                beta=beta,
                of_x=of_x,
                constant=constant,
                dx=dx,
                size=x.size,
                channels=channels,
                training=training,
                masked=masked,
            ),
            traffic=(
                size_of(du, x, mean, inv_std, gamma)
                + masked * beta.nbytes
                + training * size_of(of_x, constant),
                dx.nbytes,
            ),
        )
    return (dx, dgamma, dbeta, du) if has_residual else (dx, dgamma, dbeta)


def _parts(rows: int) -> int:
    """Into how many parts the rows are divided: by their number alone."""
    return max(1, min(MOST_PARTS, rows // ROWS_PER_PART))


def _over_rows(parts: int, channels: int):
    """Grid and block of the kernels that sum over rows."""
    width = 16 if channels <= 16 else 32
    return (parts, -(-channels // width)), (width, THREADS // width)
