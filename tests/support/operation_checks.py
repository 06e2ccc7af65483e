"""What is checked of an operation, on the current backend: by its tests and, with a bug planted,
by the tests of the tests.

What holds for any operation stands in `minires.testing`.
"""

import numpy as np

from minires import backend, kernels
from minires.testing import check_agreement as check_agreement
from minires.testing import check_backward as check_backward
from minires.testing import check_forward as check_forward
from minires.testing import forward_and_backward as forward_and_backward


def check_sgd(nesterov: bool) -> None:
    """One step is the formula of the contract, in float64."""
    rng = np.random.default_rng(0)
    p, g, v = map(backend.asarray, rng.standard_normal((3, 4, 5)))
    lr, momentum, decay = 0.3, 0.9, 0.01
    g_decayed = g + decay * p
    v_new = momentum * v + g_decayed
    p_new = p - lr * (g_decayed + momentum * v_new if nesterov else v_new)
    before = g.copy()
    backend.kernel("sgd").update([p], [g], [v], lr, momentum, [decay], nesterov)
    for array, expected in ((p, p_new), (v, v_new), (g, before)):
        np.testing.assert_allclose(backend.to_numpy(array), backend.to_numpy(expected), rtol=1e-12)


def check_augment() -> None:
    """Padded crops, flips and normalising are those of plain loops."""
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (9, 5, 7, 3)).astype(np.uint8)
    chosen = np.array([8, 0, 3, 3, 7, 1])
    images = stored[chosen]
    offsets, flips = rng.integers(0, 5, (6, 2)), rng.random(6) < 0.5
    mean = rng.random((5, 7, 3), np.float32)
    inv_std = rng.random((5, 7, 3), np.float32) + 1
    arrays = map(backend.asarray, (stored, chosen, offsets, flips))
    statistics = map(backend.asarray, (mean, inv_std))
    y = backend.to_numpy(backend.kernel("augment").forward(*arrays, 2, *statistics))
    z = backend.to_numpy(
        backend.kernel("augment").normalize(*map(backend.asarray, (stored, chosen, mean, inv_std)))
    )
    np.testing.assert_allclose(z, (images / 255 - mean) * inv_std, atol=1e-6)
    z = np.zeros((6, 9, 11, 3))
    z[:, 2:7, 2:9] = (images / 255 - mean) * inv_std
    for n, h, w in np.ndindex(6, 5, 7):
        source = 6 - w if flips[n] else w
        expected = z[n, h + offsets[n, 0], source + offsets[n, 1]]
        np.testing.assert_allclose(y[n, h, w], expected, atol=1e-6)


def check_adam(decoupled: bool, dtype: str = "float64") -> None:
    """Three steps of three parameters, two of them with decay; one has many gradients of 1e-3."""
    rng = np.random.default_rng(0)
    shapes, decays = ((4, 5), (1030,), ()), (0.1, 0.0, 0.2)
    lr, betas, eps = 0.3, (0.9, 0.99), 1e-3
    p = [rng.standard_normal(shape) for shape in shapes]
    m, v = ([np.zeros(shape) for shape in shapes] for _ in range(2))
    own = [[backend.asarray(array.copy(), dtype) for array in arrays] for arrays in (p, m, v)]
    steps = [backend.asarray(0, np.int64) for _ in shapes]
    for t in (1, 2, 3):
        g = [rng.standard_normal(shape) * scale for shape, scale in zip(shapes, (1, 1e-3, 10))]  # noqa: B905
        given = [backend.asarray(gradient.copy(), dtype) for gradient in g]
        numbers = (0.3, betas, eps, list(decays), decoupled)
        backend.kernel("adam").update(own[0], given, *own[1:], steps, *numbers)
        for i, decay in enumerate(decays):
            np.testing.assert_array_equal(backend.to_numpy(given[i]), g[i].astype(dtype))
            if decoupled:
                p[i] = p[i] - lr * decay * p[i]
            else:
                g[i] = g[i] + decay * p[i]
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g[i]
            v[i] = betas[1] * v[i] + (1 - betas[1]) * g[i] ** 2
            unbiased = m[i] / (1 - betas[0] ** t), v[i] / (1 - betas[1] ** t)
            p[i] = p[i] - lr * unbiased[0] / (np.sqrt(unbiased[1]) + eps)
    tolerance = {"float64": 1e-12, "float32": 1e-5}[dtype]
    for arrays, expected in zip(own, (p, m, v), strict=True):
        for array, exact in zip(arrays, expected, strict=True):
            array = backend.to_numpy(array)
            assert array.dtype == dtype
            np.testing.assert_allclose(array, exact, rtol=tolerance, atol=tolerance)
    assert [int(step) for step in steps] == [3, 3, 3]


def has_backward(op: str) -> bool:
    """Whether `op` can be differentiated: not what updates parameters, makes batches or counts."""
    return hasattr(kernels.load(op, "reference"), "backward")
