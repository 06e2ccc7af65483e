"""Batch normalisation in Numba-CUDA: sums over rows by blocks, the rest element by element.

A block sums a part of the rows for CHANNELS channels: each thread adds every ROWS-th row of it in
its register, then the threads of a channel add theirs in shared memory, halving their number. The
parts are added in order, and what is left are arrays of C numbers, for which array code will do.

saved = (x, gamma, mean, inv_std, y or None, training, whether there is a residual)
"""

from numba import cuda

from minires.kernels.arrays import array_module
from minires.kernels.conv2d.numba_cuda import sum_parts
from minires.kernels.numba_grid import SIMULATED, launch, visit
from minires.kernels.relu import numba_cuda as rectify

CHANNELS, ROWS = (4, 2) if SIMULATED else (16, 16)
ROWS_PER_PART = 4 if SIMULATED else 512


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
    xp, channels = array_module(x), x.shape[-1]
    m = x.size // channels
    if training:
        mean = _sum_rows(_values, x, x, gamma) / x.dtype.type(m)
        rest = _sum_rows(_distances, x, x, mean) / x.dtype.type(m)  # what rounding left of it
        mean += xp.where(xp.isfinite(rest), rest, 0)
        var = _sum_rows(_squared_distances, x, x, mean) / x.dtype.type(m)
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * (m / (m - 1)) - running_var)
    else:
        mean = running_mean.astype(x.dtype)
        var = running_var.astype(x.dtype)
    inv_std = (1 / xp.sqrt(var + eps)).astype(x.dtype, copy=False)
    y = xp.empty(x.shape, x.dtype)
    flat = (x.reshape(-1), (x if residual is None else residual).reshape(-1), y.reshape(-1))
    visit(_normalize, x.size, *flat, mean, gamma * inv_std, beta, residual is not None, relu)
    return y, (x, gamma, mean, inv_std, y if relu else None, training, residual is not None)


def backward(dy, saved, needs=(True, True, True, True)):
    """(dx, dgamma, dbeta, dresidual); see the derivation in `__init__.py`."""
    x, gamma, mean, inv_std, y, training, has_residual = saved
    du = dy if y is None else rectify.backward(dy, (y,))[0]
    dbeta = _sum_rows(_values, du, x, mean)
    dgamma = _sum_rows(_times_distances, du, x, mean) * inv_std
    dx = None
    if needs[0]:
        dx = array_module(x).empty(x.shape, x.dtype)
        m = x.dtype.type(x.size // x.shape[-1])
        nothing = array_module(x).zeros_like(dgamma)
        slope = dgamma * inv_std / m if training else nothing
        constant = dbeta / m if training else nothing
        flat = (du.reshape(-1), x.reshape(-1), dx.reshape(-1))
        visit(_input_gradient, x.size, *flat, mean, gamma * inv_std, slope, constant)
    return (dx, dgamma, dbeta, du) if has_residual else (dx, dgamma, dbeta)


def _sum_rows(kernel, a, x, mean):
    """(C,) sums over all rows of what the kernel makes of a, x (..., C) and mean (C,)."""
    channels = x.shape[-1]
    rows = x.size // channels
    parts = max(1, min(256, rows // ROWS_PER_PART))
    sums = array_module(x).empty((parts, channels), x.dtype)
    grid = (parts, -(-channels // CHANNELS))
    a, x = a.reshape(-1, channels), x.reshape(-1, channels)
    launch(kernel, grid, (CHANNELS, ROWS), a, x, mean, sums)
    return sum_parts(sums)


def _row_sums(value):
    """The kernel that sums value(a, x, mean, row, channel) over the rows of every part."""

    @cuda.jit
    def kernel(a, x, mean, sums):
        across, down = cuda.threadIdx.x, cuda.threadIdx.y
        channel, part = cuda.blockIdx.y * CHANNELS + across, cuda.blockIdx.x
        shared = cuda.shared.array((ROWS, CHANNELS), x.dtype)
        total = x.dtype.type(0)
        if channel < x.shape[1]:
            first, end = len(x) * part // len(sums), len(x) * (part + 1) // len(sums)
            for row in range(first + down, end, ROWS):
                total += value(a, x, mean, row, channel)
        shared[down, across] = total
        cuda.syncthreads()  # every thread's sum is there
        half = ROWS // 2
        while half > 0:
            if down < half:
                shared[down, across] += shared[down + half, across]
            cuda.syncthreads()  # this half is added
            half //= 2
        if down == 0 and channel < x.shape[1]:
            sums[part, channel] = shared[0, across]

    return kernel


@cuda.jit(device=True)
def _value(a, x, mean, row, channel):
    return a[row, channel]


@cuda.jit(device=True)
def _distance(a, x, mean, row, channel):
    return x[row, channel] - mean[channel]


@cuda.jit(device=True)
def _squared_distance(a, x, mean, row, channel):
    distance = x[row, channel] - mean[channel]
    return distance * distance


@cuda.jit(device=True)
def _times_distance(a, x, mean, row, channel):
    return a[row, channel] * (x[row, channel] - mean[channel])


_values = _row_sums(_value)
_distances = _row_sums(_distance)
_squared_distances = _row_sums(_squared_distance)
_times_distances = _row_sums(_times_distance)


@cuda.jit
def _normalize(x, residual, y, mean, scale, beta, has_residual, relu):
    channels = len(mean)
    for e in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        c = e % channels
        u = (x[e] - mean[c]) * scale[c] + beta[c]
        if has_residual:
            u += residual[e]
        if relu and u <= 0:
            u = x.dtype.type(0)
        y[e] = u


@cuda.jit
def _input_gradient(du, x, dx, mean, scale, slope, constant):
    """dx = gamma inv_std (du - dbeta/M - x_hat dgamma/M)."""
    channels = len(mean)
    for e in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        c = e % channels
        dx[e] = scale[c] * (du[e] - constant[c] - (x[e] - mean[c]) * slope[c])
