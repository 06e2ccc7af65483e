"""ONNX's own node tests: minires gives the number that they expect, or a sentence."""

import warnings

import numpy as np
import pytest
from foreign import NotTried, Tally, agrees, refused

import minires as mr

onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install '.[parity]')")
from onnx import numpy_helper  # noqa: E402
from onnx_operations import run  # noqa: E402

DTYPES = {np.dtype(code) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "?")}
ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 1e-3}
"""Cases whose numbers are given with a few digits."""


def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if case.model is not None]


def values(arrays) -> list:
    return [a if isinstance(a, np.ndarray) else numpy_helper.to_array(a) for a in arrays]


def outcome(case) -> tuple[str, str]:
    """What became of a case whose graph is one node."""
    node, data = case.model.graph.node[0], case.data_sets[0]
    try:
        inputs, expected = values(data[0]), values(data[1])
    except (AttributeError, TypeError, ValueError):
        return "not tried", ""  # sequences, maps
    if any(a.dtype not in DTYPES for a in inputs + expected):
        return "not tried", ""
    given = iter(inputs)
    tensors = [mr.Tensor(next(given).copy()) if name else None for name in node.input]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            outputs = run(node, tensors)
    except NotTried:
        return "not tried", ""
    except Exception as error:  # noqa: BLE001 (whatever it is, it is looked at)
        return refused(error), f"{case.name}: {type(error).__name__}: {error}"
    for mine, array in zip(outputs, expected, strict=True):
        close = ROUNDED.get(case.name, 1e-3 if array.dtype == np.float16 else 1e-5)
        if not agrees(mine.numpy(), array, close, close / 10):
            return "wrong", f"{case.name}: {mine.numpy()!r:.200} instead of {array!r:.200}"
    return "right", ""


@pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=pytest.mark.slow)])
def test_node_tests(backend):
    tally = Tally()
    with mr.use(backend):
        for case in cases():
            if len(case.model.graph.node) == 1:
                tally.add(case.model.graph.node[0].op_type, *outcome(case))
    print(f"ONNX node tests on {backend}: {tally}")
    assert not tally.faults, "\n".join([str(tally), *tally.faults])
    assert tally.total("right") >= 600
