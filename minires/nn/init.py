"""Initial weights, drawn on the host from `minires.backend.generator()` (see `minires.seed`)."""

from math import prod, sqrt

import numpy as np

from minires import backend


def he_normal(shape: tuple[int, ...]) -> np.ndarray:
    """N(0, 2 / fan_in), which keeps the variance of activations through ReLU layers.

    He et al. 2015, "Delving Deep into Rectifiers", equation 10. fan_in is the number of inputs of
    one output: all axes but the last, for (KH, KW, Cin, Cout) and (in, out) alike. float32.
    """
    std = sqrt(2 / prod(shape[:-1]))
    return (backend.generator().standard_normal(shape) * std).astype(np.float32)


def uniform(shape: tuple[int, ...], bound: float) -> np.ndarray:
    """Evenly distributed between -bound and bound, float32."""
    return backend.generator().uniform(-bound, bound, shape).astype(np.float32)
