"""The basic block around two Winograd convolutions, by the plan of `__init__.py`.

Training, 3x3 filters, whole vectors of channels and the shape stays; everything else is composed of
the plain Numba operations.

saved = ("composed", what the operations saved), or
        ("fused", (x, w1, gamma1, beta1, a, mean1, inv_std1),
         (w2, gamma2, beta2, b, mean2, inv_std2), y, shortcut)
"""

from minires.kernels.add import numba_cpu as add
from minires.kernels.basic_block.reference import compose, compose_backward
from minires.kernels.batch_norm import numba_cpu as batch_norm
from minires.kernels.batch_norm.numba_cpu import (
    finish_statistics,
    finish_sums,
    normalize,
    parts_of,
    sums_of,
)
from minires.kernels.conv2d import numba_cpu as conv2d
from minires.kernels.conv2d import numba_winograd
from minires.kernels.conv2d.numba_rows import Derivative, Normalization
from minires.kernels.memory import empty
from minires.kernels.shortcut import numba_cpu as option_a

BEFORE = (1, 1)
OPERATIONS = (conv2d, batch_norm, option_a, add)


def forward(x, w1, *parameters, training, stride=1, **options):
    """y and what backward needs; see the contract."""
    fusible = stride == 1 and w1.shape[2] == w1.shape[3] and x.dtype == w1.dtype
    if training and x.size and fusible and numba_winograd.serves(w1.shape, (1, 1)):
        return _fused(x, w1, *parameters, **options)
    options |= {"training": training, "stride": stride}
    y, saved = compose(OPERATIONS, x, w1, *parameters, **options)
    return y, ("composed", saved)


def _fused(x, w1, gamma1, beta1, w2, gamma2, beta2, *, running1, running2, momentum, eps, shortcut):
    c = x.shape[3]
    m = x.size // c
    a, b, y = (empty(x.shape, x.dtype) for _ in range(3))
    sums = numba_winograd.correlate(x, w1, a, BEFORE, statistics=True)
    mean1, inv_std1 = finish_statistics(*sums, m, *running1, momentum, eps, x.dtype)
    normalization = Normalization(mean1, gamma1 * inv_std1, beta1)
    sums = numba_winograd.correlate(a, w2, b, BEFORE, normalization, statistics=True)
    mean2, inv_std2 = finish_statistics(*sums, m, *running2, momentum, eps, x.dtype)
    rows, addend = b.reshape(-1, c), x.reshape(-1, c)
    normalize(rows, mean2, gamma2 * inv_std2, beta2, addend, shortcut, True, y, parts_of(rows))
    first = (x, w1, gamma1, beta1, a, mean1, inv_std1)
    return y, ("fused", first, (w2, gamma2, beta2, b, mean2, inv_std2), y, shortcut)


def backward(dy, saved, needs=(True,) * 7):
    """(dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2)."""
    how, *saved = saved
    if how == "composed":
        return compose_backward(OPERATIONS, dy, saved[0], needs)
    (x, w1, gamma1, beta1, a, mean1, inv_std1), second, y, shortcut = saved
    w2, gamma2, beta2, b, mean2, inv_std2 = second
    c = x.shape[3]
    m = x.size // c
    du = empty(dy.shape, dy.dtype)
    dy_rows, b_rows, y_rows, du_rows = (array.reshape(-1, c) for array in (dy, b, y, du))
    parts = parts_of(b_rows)
    sums = sums_of(dy_rows, b_rows, mean2, gamma2, beta2, y_rows, True, False, du_rows, parts)
    dgamma2, dbeta2, (scale, of_b, constant) = finish_sums(sums, gamma2, inv_std2, m)
    dh, dw2, sums = numba_winograd.gradients(
        du,
        a,
        w2,
        derivative=Derivative(b, mean2, scale, of_b, constant),
        normalization=Normalization(mean1, gamma1 * inv_std1, beta1),
    )
    dgamma1, dbeta1, (scale, of_a, constant) = finish_sums(sums, gamma1, inv_std1, m)
    dx, dw1, _ = numba_winograd.gradients(
        dh,
        x,
        w1,
        derivative=Derivative(a, mean1, scale, of_a, constant),
        addend=du if shortcut else None,
        with_dx=needs[0],
    )
    return dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2
