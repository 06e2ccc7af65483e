"""Batch normalisation, residual addition and ReLU fused: two passes over x in either direction.

forward    pass 1 reads x (mean and variance), pass 2 reads x (and the residual) and writes y
backward   pass 1 reads dy, x (dgamma and dbeta), pass 2 reads dy, x and writes dx

Nothing of the size of x is kept that exists already: x_hat is recomputed from x, the convolution's
output, and the sign of u, which tells where the ReLU let dy through, from x too; only with a
residual it is taken from y, which the next layer keeps anyway. There pass 1 also writes
du = dresidual and pass 2 reads it in place of dy and y.

saved = (x, gamma, beta, mean, inv_std, y or None, training, relu, whether there is a residual)

The rows are divided into parts, by their number alone, so bits do not depend on the threads. Within
blocks that fit the L1 cache sums are in the dtype of x, beyond them in float64; the variance is
merged from block to block by Chan, Golub and LeVeque (1983), eq. 1.5, without cancellation. The
second pass walks backwards: what the first has read last is still in the cache.

Channels that do not fill whole vectors (C no multiple of 16) are left to the reference.

See docs/decisions/cpu.md, "Bits do not depend on threads".
"""

import numpy as np
from numba import prange

from minires.kernels.batch_norm import reference
from minires.kernels.jit import jit
from minires.kernels.memory import empty
from minires.kernels.vectors import LANES, clip_negative, fill, fma, load, store, where_positive

BLOCK = 2048
"""Numbers per block: 8 KB of each of the up to four arrays of a pass, within the L1 cache."""

PARTS = 64
"""Into how many parts the rows are divided at most, and shared among the threads."""


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
    if _left_to_reference(x):
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
    c = x.shape[-1]
    rows = x.reshape(-1, c)
    if training:
        mean, squares = _statistics(rows, parts_of(rows))
        mean, inv_std = finish_statistics(
            mean, squares, len(rows), running_mean, running_var, momentum, eps, x.dtype
        )
    else:
        mean = running_mean.astype(x.dtype)
        inv_std = (1 / np.sqrt(running_var + eps)).astype(x.dtype)
    y = empty(x.shape, x.dtype)
    addend = rows if residual is None else residual.reshape(-1, c)
    parts = parts_of(rows)
    normalize(rows, mean, gamma * inv_std, beta, addend, residual is not None, relu, y, parts)
    sign = y if relu and residual is not None else None
    return y, (x, gamma, beta, mean, inv_std, sign, training, relu, residual is not None)


def backward(dy, saved, needs=(True, True, True, True)):
    """(dx, dgamma, dbeta, dresidual); see the derivation in `__init__.py`."""
    if _left_to_reference(dy):
        return reference.backward(dy, saved, needs)
    x, gamma, beta, mean, inv_std, y, training, relu, has_residual = saved
    c = x.shape[-1]
    rows, dy_rows = x.reshape(-1, c), dy.reshape(-1, c)
    du = dy if y is None else empty(dy.shape, dy.dtype)
    du_rows, y_rows = du.reshape(-1, c), (dy if y is None else y).reshape(-1, c)
    masked = relu and y is None
    parts = parts_of(rows)
    sums = sums_of(
        dy_rows, rows, mean, gamma * inv_std, beta, y_rows, y is not None, masked, du_rows, parts
    )
    dgamma, dbeta, (scale, of_x, constant) = finish_sums(sums, gamma, inv_std, len(rows))
    dx = None
    if needs[0]:
        dx = empty(x.shape, x.dtype)
        _input_gradient(
            du_rows, rows, mean, scale, beta, of_x, constant, training, masked, dx, parts
        )
    return (dx, dgamma, dbeta, du) if has_residual else (dx, dgamma, dbeta)


def finish_statistics(mean, squares, m, running_mean, running_var, momentum, eps, dtype):
    """Compute mean and inv_std from the sums over the batch; update the running statistics."""
    var = squares / m
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (var * (m / (m - 1)) - running_var)
    return mean.astype(dtype), (1 / np.sqrt(var + eps)).astype(dtype)


def finish_sums(sums, gamma, inv_std, m):
    """dgamma, dbeta, and (scale, of_x, constant): dx = scale du + of_x (x - mean) + constant."""
    dbeta, dgamma = (sums * [np.ones(len(gamma)), inv_std]).astype(gamma.dtype)
    scale = gamma * inv_std
    return dgamma, dbeta, (scale, -scale * inv_std * (dgamma / m), -scale * (dbeta / m))


def _left_to_reference(x) -> bool:
    return x.shape[-1] % LANES != 0 or x.size == 0


def parts_of(rows) -> int:
    """How many parts: at least a block and a row each."""
    return max(1, min(PARTS, len(rows), rows.size // BLOCK))


@jit
def _bounds(part, parts, rows):
    """First row of a part and the row after its last."""
    return part * rows // parts, (part + 1) * rows // parts


@jit(parallel=True)
def _statistics(x, parts):
    """Mean of every channel and the sum of squared deviations from it, both float64 (C,)."""
    c = x.shape[1]
    means, squares = np.zeros((parts, c)), np.zeros((parts, c))
    for part in prange(parts):
        part_statistics(x, *_bounds(part, parts, len(x)), means[part], squares[part])
    for part in range(1, parts):
        start, stop = _bounds(part, parts, len(x))
        for i in range(c):
            merge(means[0], squares[0], i, start, stop - start, means[part, i], squares[part, i])
    return means[0], squares[0]


@jit
def merge(means, squares, i, before, count, mean, square):
    """Merge `count` values of channel i into the statistics of the `before` values seen so far."""
    total = before + count
    difference = mean - means[i]
    if not np.isfinite(difference):  # an infinity stays one, and has no variance
        means[i] += mean
        squares[i] = np.nan
        return
    means[i] += difference * (count / total)
    squares[i] += square + difference * difference * (before * (count / total))


@jit
def part_statistics(x, start, stop, means, squares):
    """Mean and sum of squared deviations of rows start ... stop - 1, to zeros float64 (C,)."""
    c, flat = x.shape[1], x.reshape(-1)
    block = max(1, BLOCK // c)
    lanes = np.empty((3, LANES), x.dtype)
    both = lanes.reshape(-1)
    for first in range(start, stop, block):
        count = min(block, stop - first)
        share = fill(x, 1 / count)
        for channel in range(0, c, LANES):
            at = first * c + channel
            total = fill(x, 0)
            for r in range(count):
                total = total + load(flat, at + r * c)
            mean = total * share
            square, rest = fill(x, 0), fill(x, 0)
            for r in range(count):
                deviation = load(flat, at + r * c) - mean
                square = fma(deviation, deviation, square)
                rest = rest + deviation
            store(both, 0, mean)
            store(both, LANES, square)
            store(both, 2 * LANES, rest)
            for i in range(LANES):  # what rounding left of the mean in the deviations goes back
                off = np.float64(lanes[2, i]) / count
                off = off if np.isfinite(off) else 0.0
                spread = max(lanes[1, i] - off * off * count, 0.0)
                merge(means, squares, channel + i, first - start, count, lanes[0, i] + off, spread)


@jit(parallel=True)
def normalize(x, mean, scale, beta, residual, has_residual, relu, y, parts):
    """y = max((x - mean) scale + beta + residual, 0), last part first."""
    c, flat, added, result = x.shape[1], x.reshape(-1), residual.reshape(-1), y.reshape(-1)
    for part in prange(parts):
        start, stop = _bounds(parts - 1 - part, parts, len(x))
        for r in range(start, stop):
            for channel in range(0, c, LANES):
                at = r * c + channel
                centred = load(flat, at) - load(mean, channel)
                u = fma(centred, load(scale, channel), load(beta, channel))
                if has_residual:
                    u = u + load(added, at)
                if relu:
                    u = clip_negative(u)
                store(result, at, u)


def sums_of(dy, x, mean, scale, beta, y, has_sign, masked, du, parts):
    """The sums of du and of du (x - mean), float64 (2, C); writes du where y is given."""
    return _sums(dy, x, mean, scale, beta, y, has_sign, masked, du, parts).sum(axis=0)


@jit(parallel=True)
def _sums(dy, x, mean, scale, beta, y, has_sign, masked, du, parts):
    c = x.shape[1]
    sums = np.zeros((parts, 2, c))
    for part in prange(parts):
        start, stop = _bounds(part, parts, len(x))
        part_sums(
            dy, x, mean, scale, beta, y, has_sign, masked, has_sign, du, start, stop, sums[part]
        )
    return sums


@jit
def part_sums(dy, x, mean, scale, beta, y, by_y, by_x, write, du, start, stop, sums):
    """Add rows start ... stop - 1 to the sums of du and of du (x - mean), float64 (2, C).

    du is dy where the ReLU let it through, which y tells (`by_y`) or x does (`by_x`).
    """
    c = x.shape[1]
    dy_flat, x_flat, y_flat, du_flat = (
        dy.reshape(-1),
        x.reshape(-1),
        y.reshape(-1),
        du.reshape(-1),
    )
    block = max(1, BLOCK // c)
    lanes = np.empty((2, LANES), x.dtype)
    both = lanes.reshape(-1)
    for first in range(start, stop, block):
        count = min(block, stop - first)
        for channel in range(0, c, LANES):
            m, s, b = load(mean, channel), load(scale, channel), load(beta, channel)
            total, product = fill(x, 0), fill(x, 0)
            for r in range(count):
                at = (first + r) * c + channel
                centred = load(x_flat, at) - m
                gradient = load(dy_flat, at)
                if by_y:
                    gradient = where_positive(load(y_flat, at), gradient)
                elif by_x:
                    gradient = where_positive(fma(centred, s, b), gradient)
                if write:
                    store(du_flat, at, gradient)
                total = total + gradient
                product = fma(gradient, centred, product)
            store(both, 0, total)
            store(both, LANES, product)
            for i in range(LANES):
                sums[0, channel + i] += lanes[0, i]
                sums[1, channel + i] += lanes[1, i]


@jit(parallel=True)
def _input_gradient(du, x, mean, scale, beta, of_x, constant, training, masked, dx, parts):
    """dx = scale du, in training + of_x (x - mean) + constant; last part first."""
    c = x.shape[1]
    du_flat, x_flat, result = du.reshape(-1), x.reshape(-1), dx.reshape(-1)
    for part in prange(parts):
        start, stop = _bounds(parts - 1 - part, parts, len(x))
        for r in range(start, stop):
            for channel in range(0, c, LANES):
                at = r * c + channel
                s = load(scale, channel)
                centred = load(x_flat, at) - load(mean, channel)
                gradient = load(du_flat, at)
                if masked:
                    gradient = where_positive(fma(centred, s, load(beta, channel)), gradient)
                gradient = s * gradient
                if training:
                    rest = fma(load(of_x, channel), centred, load(constant, channel))
                    gradient = gradient + rest
                store(result, at, gradient)
