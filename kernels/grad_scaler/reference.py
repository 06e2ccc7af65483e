"""Dynamic loss scaling in array code."""

import numpy as np

from minires.kernels.arrays import array_module
from minires.kernels.grad_scaler import FOUND, GOOD, INVERSE, SCALE


def update(grads, state, growth, backoff, interval):
    """Look for numbers that are not finite, and set the scale for the next step."""
    xp = array_module(state)
    finite = [xp.isfinite(gradient).all() for gradient in grads]
    found = ~xp.stack(finite).all() if finite else xp.zeros((), bool)
    with np.errstate(over="ignore"):
        room = xp.isfinite(state[SCALE] * growth)
    raised = ~found & (state[GOOD] + 1 >= interval) & room
    state[INVERSE] = 1 / state[SCALE]
    state[FOUND] = found
    state[SCALE] *= xp.where(found, backoff, xp.where(raised, growth, 1)).astype(np.float32)
    state[GOOD] = xp.where(found | raised, 0, state[GOOD] + 1)
