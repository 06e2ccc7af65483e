"""The Numba-CUDA kernels in Numba's simulator, where every thread is a thread of Python.

Run by `test_numba_cuda.py`, in a process of its own: Numba chooses the simulator on import.

    NUMBA_ENABLE_CUDASIM=1 pytest tests/kernels/test_numba_cuda_simulated.py
"""

import importlib
import time

import numpy as np
import pytest
from cases import CASES
from operation_checks import check_adam, check_agreement, check_sgd, has_backward
from planting import plant

import minires as mr
from minires import Tensor, backends, kernels, nn
from minires import functional as F
from minires.benchmarks.ladder import error, tolerance
from minires.kernels import ladders
from minires.models.blocks import BasicBlock

if not backends.simulated():
    pytest.skip("test_numba_cuda.py runs these in Numba's simulator", allow_module_level=True)

MOST_NUMBERS = 1100
"""Most numbers in a case's inputs: the simulator does about 10,000 multiply-adds per second."""

OWN = kernels.own_kernels("numba_cuda")


def numbers(case) -> int:
    """How many a case's inputs hold."""
    return sum(array.size for array in case.inputs(np.random.default_rng(0)))


SMALL = [case for case in CASES if case.op in OWN and numbers(case) <= MOST_NUMBERS]
SMALL.sort(key=numbers)  # a planted bug is caught by a small case, if one can
ONE_OF_EACH = {case.op: case for case in reversed(SMALL)}  # the smallest


def test_small_cases_are_left_of_every_operation():
    assert {case.op for case in SMALL} == set(filter(has_backward, OWN))
    assert sum(case.op == "conv2d" for case in SMALL) >= 12


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_agrees_with_the_float64_reference(case):
    check_agreement(case, "numba_cuda", "float64")


@pytest.mark.parametrize("case", ONE_OF_EACH.values(), ids=str)
def test_float32_stays_float32(case):
    check_agreement(case, "numba_cuda", "float32")


def test_the_threads_of_a_block_share_one_array_whoever_comes_first(monkeypatch):
    """Numba's own simulator looks for the array, then allocates it: with all of a block's threads
    between the two, each had an array of its own."""

    def slow_empty(*arguments, **options):
        time.sleep(0.01)
        return empty(*arguments, **options)

    empty = np.empty
    monkeypatch.setattr(np, "empty", slow_empty)
    kernel = kernels.load("cross_entropy", "numba_cuda")
    loss, _ = kernel.forward(np.zeros((4, 5)), np.arange(4))
    assert loss == pytest.approx(np.log(5))


def test_an_infinite_gradient_of_batch_norm_in_evaluation_stays_where_it_is():
    rng = np.random.default_rng(0)
    x, gamma, beta = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal(3)
    dy = rng.standard_normal((5, 3))
    dy[2, 1] = np.inf
    running = {"running_mean": np.zeros(3), "running_var": np.ones(3)}
    gradients = []
    for name in ("reference", "numba_cuda"):
        kernel = kernels.load("batch_norm", name)
        _, saved = kernel.forward(x, gamma, beta, **running, training=False)
        gradients.append(kernel.backward(dy, saved)[0])
    np.testing.assert_allclose(*gradients)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_its_definition(nesterov):
    with mr.use("numba_cuda"):
        check_sgd(nesterov)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_is_its_definition(decoupled):
    with mr.use("numba_cuda"):
        check_adam(decoupled)


def test_a_training_step_is_that_of_numpy():
    """Loss and every gradient of a narrow ResNet-6, and the step that follows from them."""

    def step(name: str):
        mr.seed(0)
        rng = np.random.default_rng(0)
        with mr.use(name):
            net = nn.Sequential(
                nn.Conv2d(3, 4, 3, padding=1, bias=False),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                BasicBlock(4, 4, 1, "A"),
                BasicBlock(4, 8, 2, "A"),
                nn.GlobalAvgPool2d(),
                nn.Linear(8, 4),
            ).double()
            sgd = mr.optim.SGD(net, 0.1, momentum=0.9, weight_decay=1e-4)
            loss = F.cross_entropy(net(Tensor(rng.standard_normal((4, 4, 4, 3)))), np.arange(4))
            loss.backward()
            gradients = [parameter.grad for parameter in net.parameters()]
            sgd.step()
        return [loss.numpy(), *gradients, *net.state_dict().values()]

    for expected, own in zip(step("numpy"), step("numba_cuda"), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-11)


RUNGS = [
    (name, rung)
    for name in ladders.OPERATIONS
    for rung in ladders.rungs(name)
    if rung.language == "Numba-CUDA"
]


def check_rung(name: str, rung: ladders.Rung) -> None:
    """Right at three small shapes."""
    ladder = ladders.load(name)
    for shape in ladder.SHAPES[:3]:
        arrays = ladder.inputs(np.random.default_rng(0), shape)
        assert error(ladder, rung, arrays) < tolerance(ladder, rung), shape


@pytest.mark.parametrize(("name", "rung"), RUNGS, ids=lambda v: getattr(v, "title", v))
def test_every_version_of_a_ladder_is_right(name, rung):
    check_rung(name, rung)


BUGS = [
    ("conv2d", "row % wo * sw + j - pw", "row % wo * sw + j", "window shifted"),
    ("conv2d", "h < 0 or h % sh != 0", "h < 0", "stride left out in dx"),
    ("conv2d", "w % sw != 0 or w // sw >= dy.shape[2]", "w % sw != 0", "column beyond the image"),
    ("conv2d", "range(terms * part // y.shape[0], end", "range(0, end", "parts overlap"),
    ("batch_norm", "len(x) * part //", "0 * part //", "parts overlap"),
    ("conv2d", "for part in range(len(partial))", "for part in range(0)", "parts not added"),
    ("batch_norm", "len(x) * (part + 1)", "(len(x) - 1) * (part + 1)", "last row left out"),
    ("batch_norm", "half = ROWS // 2", "half = ROWS // 4", "a halving left out"),
    ("batch_norm", "if has_residual:", "if relu:", "residual forgotten"),
    ("batch_norm", "- constant[c]", "", "mean term dropped"),
    ("max_pool2d", "winner[n, p, q, c] == i * kw + j", "True", "dy to losers, too"),
    ("avg_pool2d", "h < height", "h <= height", "row beyond the image"),
    (
        "global_avg_pool2d",
        "total / x.dtype.type(pixels)",
        "total * x.dtype.type(pixels)",
        "sum instead of mean",
    ),
    ("linear", "columns, e % columns] += b[e % columns]", "columns, 0] += b[0]", "one bias"),
    ("cross_entropy", "target += p.dtype.type(1)", "target = p.dtype.type(1)", "smoothing lost"),
    ("shortcut", "k - low", "k", "channels not centred"),
    ("relu", "y[i] <= 0", "y[i] < 0", "gradient where the ReLU is closed"),
    ("add", "a[i] + b[i]", "a[i] - b[i]", "sign"),
]


@pytest.mark.parametrize(("op", "right", "wrong", "meaning"), BUGS)
def test_a_planted_bug_is_caught(op, right, wrong, meaning, monkeypatch, tmp_path):
    plant(op, right, wrong, monkeypatch, tmp_path / f"{op}.py", "numba_cuda")
    assert any(_disagrees(case) for case in SMALL if case.op == op), meaning


def _disagrees(case) -> bool:
    try:
        check_agreement(case, "numba_cuda", "float64")
    except (AssertionError, IndexError):
        return True
    return False


LADDER_BUGS = [
    ("matmul", "v1_naive", "range(len(b))", "range(len(b) - 1)"),
    ("matmul", "v3_shared", "a[row, start + across] if in_a", "a[row, start] if in_a"),
    ("conv2d", "v2_coalesced", "j - pad_w", "j"),
    ("conv2d", "v3_shared", "term = start + down", "term = start + across"),
    ("batch_norm", "v1_naive", "squares += x[row, c] * x[row, c]", "squares += x[row, c]"),
    ("batch_norm", "v3_shared", "half = THREADS // 2", "half = 0"),
]


@pytest.mark.parametrize(("name", "version", "right", "wrong"), LADDER_BUGS)
def test_a_bug_planted_into_a_ladder_is_caught(name, version, right, wrong, monkeypatch, tmp_path):
    package = f"minires.kernels.{ladders.OPERATIONS[name]}.ladder"
    rung = next(r for n, r in RUNGS if n == name and r.path.stem == version)
    source = rung.path.read_text()
    assert right in source
    path = tmp_path / f"{version}.py"
    path.write_text(source.replace(right, wrong))
    original = importlib.import_module(f"{package}.{version}")
    spec = importlib.util.spec_from_file_location(original.__name__, path)
    copy = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(importlib.sys.modules, original.__name__, copy)
    spec.loader.exec_module(copy)
    with pytest.raises((AssertionError, IndexError)):
        check_rung(name, rung)
