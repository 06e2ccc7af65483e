"""PyTorch's own samples of arguments (OpInfo): the same number and gradient, or a sentence."""

import warnings

import numpy as np
import pytest
from foreign import NotTried, Tally, agrees, refused

import minires as mr
from minires import Tensor

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[parity]')")
pytest.importorskip("expecttest", reason="expecttest is not installed (pip install '.[parity]')")
from opinfo_operations import find, ours  # noqa: E402

LESS_EXACT_THERE = {"nn.functional.hardsigmoid": 1e-8}
"""PyTorch's own error: it computes the factor 1/6 in float32."""


def first_of(value):
    """The first tensor of a result."""
    return value[0] if isinstance(value, list | tuple) else value


def outcome(op, sample, dtype) -> tuple[str, str]:
    """What became of one sample: its value, and the gradients of all tensors in it."""
    try:
        function = find(op.name)
        given = [ours(x, True) for x in (sample.input, *sample.args)]
        named = ours(sample.kwargs, True)
    except (NotTried, TypeError):
        return "not tried", ""
    said = f"{op.name}({sample.summary()[:200]})"
    try:
        expected = first_of(op(sample.input, *sample.args, **sample.kwargs))
    except Exception:  # noqa: BLE001 (PyTorch refuses its own sample on this machine)
        return "not tried", ""
    if not isinstance(expected, torch.Tensor) or expected.is_complex():
        return "not tried", ""
    try:
        with np.errstate(all="ignore"):
            y = first_of(function(*given, **named))
    except NotTried:
        return "not tried", ""
    except Exception as error:  # noqa: BLE001 (whatever it is, it is looked at)
        return refused(error), f"{said}: {type(error).__name__}: {error}"
    if not isinstance(y, Tensor):
        return "not tried", ""
    close = (
        {"rtol": 1e-10, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 2e-4, "atol": 2e-5}
    )
    theirs = expected.detach().numpy()
    if theirs.shape != y.shape and theirs.size == y.size and op.name.endswith("_loss"):
        theirs = theirs.reshape(y.shape)
    if not agrees(y.numpy(), theirs, **close):
        return "wrong", f"{said}: {y.numpy()!r:.300} instead of {theirs!r:.300}"
    close["rtol"] = max(close["rtol"], LESS_EXACT_THERE.get(op.name, 0.0))
    return gradients(op, sample, given, named, y, expected, close, said)


def leaves(value):
    """The tensors that require a gradient, in order."""
    if isinstance(value, torch.Tensor | Tensor):
        return [value] if value.requires_grad else []
    if isinstance(value, dict):
        value = list(value.values())
    return [x for part in value for x in leaves(part)] if isinstance(value, list | tuple) else []


def gradients(op, sample, given, named, y, expected, close, said) -> tuple[str, str]:
    mine = leaves([given, named])
    theirs = leaves([sample.input, list(sample.args), sample.kwargs])
    if not (y.requires_grad and expected.requires_grad) or y.size == 0:
        return "right", ""
    cotangent = np.random.default_rng(0).standard_normal(y.shape).astype(y.dtype)
    try:
        wanted = torch.autograd.grad(
            expected,
            theirs,
            torch.tensor(cotangent).reshape(expected.shape),
            allow_unused=True,
        )
    except RuntimeError:
        return "right", ""  # not differentiable there
    with np.errstate(all="ignore"):
        y.backward(cotangent)
    for leaf, want in zip(mine, wanted, strict=True):
        got = leaf.grad if leaf.grad is not None else np.zeros(leaf.shape, leaf.dtype)
        want = np.zeros(leaf.shape) if want is None else want.numpy()
        if not agrees(got, want, close["rtol"] * 10, close["atol"] * 10):
            return "wrong", f"{said}: gradient {got!r:.300} instead of {want!r:.300}"
    return "right", ""


def run(dtype, every: int) -> Tally:
    """Every `every`-th sample of all operations."""
    from torch.testing._internal.common_methods_invocations import op_db

    tally = Tally()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for op in op_db:
            try:
                find(op.name)
            except NotTried:
                continue
            if dtype not in op.supported_dtypes("cpu") or op.variant_test_name == "with_dim":
                continue
            torch.manual_seed(0)
            samples = op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd)
            for i, sample in enumerate(samples):
                if i % every == 0:
                    tally.add(op.name, *outcome(op, sample, dtype))
    return tally


@pytest.mark.parametrize(
    ("backend", "dtype", "every"),
    [
        ("numpy", "float64", 10),
        *(
            pytest.param(backend, dtype, 1, marks=pytest.mark.slow)
            for backend in ("numpy", "numba")
            for dtype in ("float64", "float32")
        ),
    ],
)
def test_samples(backend, dtype, every):
    with mr.use(backend):
        tally = run(getattr(torch, dtype), every)
    print(f"OpInfo on {backend}, {dtype}: {len(tally.counts)} operations, {tally}")
    assert not tally.faults, "\n".join([str(tally), *tally.faults])
    assert tally.total("right") >= 100
