"""The basic block out of the launches of `conv_norm_relu`, by the plan of `__init__.py`.

Filters of 3x3 and 16, 32 or 64 channels; everything else is composed of the plain operations.

saved = ("composed", what the operations saved), or
        ("fused", (x, w1, a, norm1), (w2, b, norm2), y, stride, shortcut, training)
"""

from minires.kernels.add import cuda as add
from minires.kernels.basic_block.reference import compose, compose_backward
from minires.kernels.batch_norm import cuda as batch_norm
from minires.kernels.conv2d import cuda as conv2d
from minires.kernels.conv_norm_relu.cuda import (
    aligned,
    convolve,
    gradients,
    join,
    masked_sums,
    serves,
    sum_parts,
)
from minires.kernels.shortcut import cuda as option_a

OPERATIONS = (conv2d, batch_norm, option_a, add)


def forward(x, w1, gamma1, beta1, w2, gamma2, beta2, *, running1, running2, **options):
    """y and what backward needs; see the contract."""
    x, shortcut, stride = aligned(x), options["shortcut"], options.get("stride", 1)
    padding = (w1.shape[0] // 2, w1.shape[1] // 2)
    between = (len(x), -(-x.shape[1] // stride), -(-x.shape[2] // stride), w1.shape[3])
    first = serves(x, x.shape, w1, (stride, stride), padding, *running1, least=16)
    if not (first and serves(x, between, w2, (1, 1), padding, *running2)):
        parameters = (w1, gamma1, beta1, w2, gamma2, beta2)
        options |= {"running1": running1, "running2": running2}
        y, saved = compose(OPERATIONS, x, *parameters, **options)
        return y, ("composed", saved)
    how = {name: options[name] for name in ("training", "momentum", "eps")}
    a, norm1 = convolve(x, None, w1, stride, gamma1, beta1, running1, **how)
    b, norm2 = convolve(a, norm1, w2, 1, gamma2, beta2, running2, **how)
    y = join(b, norm2, x if shortcut else None, stride)
    of_first, of_second = (x, w1, a, norm1), (w2, b, norm2)
    return y, ("fused", of_first, of_second, y, stride, shortcut, options["training"])


def backward(dy, saved, needs=(True,) * 7):
    """(dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2)."""
    how, *saved = saved
    if how == "composed":
        return compose_backward(OPERATIONS, dy, saved[0], needs)
    (x, w1, a, norm1), (w2, b, norm2), y, stride, shortcut, training = saved
    du, dgamma2, dbeta2, through2 = masked_sums(aligned(dy), b, y, norm2, training)
    dh, parts2, sums = gradients(du, b, through2, a, norm1, w2, 1, training=training)
    dgamma1, dbeta1, through1 = sums
    addend = du if shortcut and needs[0] else None
    dx, parts1, _ = gradients(
        dh, a, through1, x, None, w1, stride, addend=addend, with_dx=needs[0], training=training
    )
    dw1, dw2 = sum_parts(x, parts1, parts2)
    return dx, dw1, dgamma1, dbeta1, dw2, dgamma2, dbeta2
