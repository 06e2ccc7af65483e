"""The fused operations in CUDA C++, on the emulator: half storage, sums by the last block, bugs.

That they agree with the reference over the grid stands in `test_backends.py`, their gradients in
`test_emulator.py`, networks made of them in `test_models.py`.
"""

from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from kernel_sources import module
from operation_checks import check_agreement

import minires as mr
from minires import Tensor, backend, cuda, kernels
from minires import functional as F
from minires.cuda import host
from minires.cuda.host import KernelError
from minires.cuda.signature import DTYPES
from minires.kernels.conv_norm_relu import cuda as launcher

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)

HALVES = [
    pytest.param(name, marks=pytest.mark.skipif(name not in DTYPES, reason="needs ml_dtypes"))
    for name in ("half16", "bfloat16")
]

CONVERT = """
template <typename S>
__global__ void convert(const float* x, S* y, float* back, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        y[i] = narrow<S>(x[i]);
        back[i] = widen(y[i]);
    }
}
"""


@pytest.mark.parametrize("name", HALVES)
def test_every_number_of_half_length_is_read_and_the_nearest_is_written(name, tmp_path):
    every = np.arange(1 << 16, dtype=np.uint16).view(DTYPES[name]).astype(np.float32)
    finite = np.sort(every[np.isfinite(every)])
    with np.errstate(over="ignore", invalid="ignore"):
        between = [(finite[1:] / 2 + finite[:-1] / 2).astype(np.float32)]  # ties
        between += [np.nextafter(between[0], np.float32(s * np.inf)) for s in (1, -1)]
        x = np.concatenate([every, *between, np.float32([1e-10, -1e-40, 65519, 65520, 3.4e38])])
        expected = x.astype(DTYPES[name])
    y, back = np.empty(x.size, DTYPES[name]), np.empty_like(x)
    kernel = module(tmp_path, CONVERT, f"convert<{name}>")
    arguments = dict(x=x, y=y, back=back, n=x.size)
    kernel.launch(f"convert<{name}>", (8,), (256,), arguments)
    number = ~np.isnan(x)
    np.testing.assert_array_equal(y[number].view(np.uint16), expected[number].view(np.uint16))
    np.testing.assert_array_equal(back, expected.astype(np.float32))
    assert np.isnan(back[~number]).all()


BLOCKS = [((2, 9, 8, 16), 16, 1), ((2, 8, 9, 16), 32, 2), ((3, 4, 4, 64), 64, 1)]


def parameters(shapes, rng):
    return [
        np.float32(rng.standard_normal(shape) * (0.2 if len(shape) > 1 else 1)) for shape in shapes
    ]


def running(channels: int):
    return (np.zeros(channels, np.float32), np.ones(channels, np.float32))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize(("x", "channels", "stride"), BLOCKS)
def test_a_block_in_half_storage_is_the_references_rounded_at_the_same_places(
    x, channels, stride, name, training
):
    rng = np.random.default_rng(0)
    c, k = x[3], channels
    arrays = [rng.standard_normal(x).astype(DTYPES[name])]
    arrays += parameters([(3, 3, c, k), (k,), (k,), (3, 3, k, k), (k,), (k,)], rng)
    results = []
    for where in ("numpy", "emulator"):
        with mr.use(where):
            tensors = [Tensor(array, requires_grad=True) for array in arrays]
            statistics = [running(k), running(k)]
            y = F.basic_block(
                *tensors[:4], statistics[0], *tensors[4:], statistics[1], training, stride=stride
            )
            y.backward(np.random.default_rng(1).standard_normal(y.shape).astype(DTYPES[name]))
        assert y.dtype == tensors[0].grad.dtype == DTYPES[name]
        assert all(tensor.grad.dtype == np.float32 for tensor in tensors[1:])
        results.append([y.numpy(), *(tensor.grad for tensor in tensors), *sum(statistics, ())])
    step = 2.0 ** (-10 if name == "half16" else -7)  # between neighbouring numbers
    for i, (own, expected) in enumerate(zip(*results, strict=True)):
        own, expected = (np.asarray(array, np.float64) for array in (own, expected))
        off = np.abs(own - expected)  # a rounding may go the other way: then one step
        assert off.max() <= 2 * step * np.abs(expected).max()
        assert i > 1 or off.mean() <= 0.15 * step * np.abs(expected).mean()  # y and dx


def test_half_storage_that_no_kernel_has_is_refused_in_words():
    x = np.ones((1, 4, 4, 12), np.float16)
    w, c = np.ones((3, 3, 12, 12), np.float32), np.ones(12, np.float32)
    with mr.use("emulator"):
        with pytest.raises(TypeError, match=r"half storage \(float16\) needs 3x3 filters .* 64 ch"):
            F.basic_block(x, w, c, c, running(12), w, c, c, running(12), True)
        with pytest.raises(TypeError, match="conv2d: x must be .* float16 .half storage is for"):
            F.conv2d(x, np.float16(w))
        with pytest.raises(TypeError, match="so that all parameters must be float32"):
            F.conv_norm_relu(x, np.float64(w), *np.float64((c, c)), running(12), True)


def test_bits_do_not_depend_on_the_order_of_blocks_and_threads(monkeypatch):
    case = next(c for c in CASES if c.op == "basic_block" and "(2, 9, 70, 16)" in c.name)
    arrays = [a.astype(np.float32) for a in case.inputs(np.random.default_rng(0))]
    results = []
    for mode, threads in (("", "1"), ("", "3"), ("reverse", "2")):
        monkeypatch.setenv("MINIRES_EMULATOR", mode)
        monkeypatch.setenv("MINIRES_EMULATOR_THREADS", threads)
        with mr.use("emulator"):
            tensors = [Tensor(array, requires_grad=True) for array in arrays]
            y = case.fn(*tensors)
            y.backward(np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape))
        results.append([y.numpy(), *(tensor.grad for tensor in tensors)])
    for result in results[1:]:
        for a, b in zip(results[0], result, strict=True):
            np.testing.assert_array_equal(a, b)


def test_after_a_launch_that_failed_the_blocks_count_from_zero(monkeypatch):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 8, 8, 16)), rng.standard_normal((3, 3, 16, 16))
    c, statistics = np.ones(16), [np.zeros(16), np.ones(16)]

    def normalized():
        with mr.use("emulator"):
            return F.conv_norm_relu(x, w, c, c, statistics, True, padding=1).numpy()

    expected = normalized()
    counter = launcher._arrived(x)
    counter[0] = 1  # as a launch leaves it that ends half-way

    def fail(*arguments):
        raise KernelError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(cuda.Module, "execute", fail)
        with pytest.raises(KernelError, match="out of luck"):
            normalized()
    np.testing.assert_array_equal(normalized(), expected)


BUGS = [
    ("__syncthreads();  // the tiles are there", "", "barrier missing"),
    ("__syncthreads();  // the weights are there", "", "barrier missing"),
    ("__syncthreads();  // all sums are there", "", "barrier missing"),
    ("__syncthreads();  // the results are there", "", "barrier missing"),
    ("count(part) * difference * difference", "0", "deviations of the bands' means"),
    ("part % bands * band", "0", "the last band is lower"),
    ("-scale * sum / count", "0", "mean term"),
    ("-scale * inv_std * inv_std * product / count", "0", "variance term"),
    ("v < width", "v <= width", "border"),
    ("h % stride == 0 && h / stride < rows_out", "h / stride < rows_out", "stride in dx"),
    ("if (centred * scale[i] + shift[i] <= T(0))", "if (false)", "ReLU between"),
    ("(outputs - channels) / 2 + c", "c", "option A's zero channels"),
    ("u.at[i] <= T(0) ? T(0) : gradient.at[i]", "gradient.at[i]", "last ReLU"),
    ("!(masked && ", "!(false && ", "ReLU of the stem"),
    ("deviations / (all - 1)", "deviations / all", "unbiased running variance"),
    ("which * WIDTH + threadIdx.x", "threadIdx.x", "sums of one band only"),
    ("for (int part = 0; part < parts; part++) sum += from", "for (int part = 1; part < parts; "
     "part++) sum += from", "a part of dw"),
]  # fmt: skip


def plant(right: str, wrong: str, monkeypatch, tmp_path) -> None:
    """Have the emulator find copies of the fused operations' .cu files with a bug."""
    texts = [(header := host.INCLUDE / "bands.cuh").read_text()]
    texts += [(Path(launcher.__file__).parent / file).read_text() for file in launcher.FILES]
    assert any(right in text for text in texts)
    bands = texts[0].replace("#pragma once", "").replace(right, wrong)
    for file, text in zip(launcher.FILES, texts[1:], strict=True):
        if right not in texts[0] and right not in text:
            continue  # this file's kernels stay as they are
        place = (file, ("double", "double", "false"))
        path = tmp_path / file
        path.write_text(text.replace(right, wrong).replace(f'#include "{header.name}"', bands))
        planted = cuda.Module(path, list(launcher.KERNELS[place].signatures))
        monkeypatch.setitem(launcher.KERNELS, place, planted)


def updates_statistics_wrongly() -> bool:
    """Whether running statistics differ from the reference's."""
    rng = np.random.default_rng(0)
    x, w, c = rng.standard_normal((2, 5, 4, 3)), rng.standard_normal((3, 3, 3, 16)), np.ones(16)
    own, expected = ([np.zeros(16), np.ones(16)] for _ in range(2))
    for name, statistics in (("emulator", own), ("numpy", expected)):
        with mr.use(name):
            F.conv_norm_relu(x, w, c, c, statistics, True, padding=1)
    return not np.allclose(own, expected, rtol=1e-9)


def notice() -> bool:
    """Whether any test of a fused operation fails."""
    cases = [case for case in CASES if case.op in ("basic_block", "conv_norm_relu")]
    return any(map(disagrees, cases)) or updates_statistics_wrongly()


def disagrees(case) -> bool:
    try:
        check_agreement(case, "emulator", "float64")
    except (AssertionError, KernelError):
        return True
    return False


EVERY_SECOND = [  # each compiles a file or two
    pytest.param(*bug, marks=[pytest.mark.slow] * (i % 2)) for i, bug in enumerate(BUGS)
]


@pytest.mark.parametrize(("right", "wrong", "meaning"), EVERY_SECOND)
def test_a_planted_bug_is_caught(right, wrong, meaning, monkeypatch, tmp_path):
    plant(right, wrong, monkeypatch, tmp_path)
    assert notice(), f"nobody noticed: {meaning}"


def test_kernels_planted_unchanged_pass(monkeypatch, tmp_path):
    plant("", "", monkeypatch, tmp_path)
    assert not notice()


def test_fused_kernels_serve_where_they_are_said_to():
    """Each network of the paper runs through them, not through the composition."""
    loaded = kernels.load("basic_block", "cuda")
    rng = np.random.default_rng(0)
    for size, c, k, stride in ((32, 16, 16, 1), (32, 16, 32, 2), (16, 32, 64, 2), (8, 64, 64, 1)):
        x = np.float32(rng.standard_normal((1, size, size, c)))
        arrays = parameters([(3, 3, c, k), (k,), (k,), (3, 3, k, k), (k,), (k,)], rng)
        options = {"training": True, "momentum": 0.1, "eps": 1e-5, "shortcut": True}
        statistics = {"running1": running(k), "running2": running(k)}
        _, saved = loaded.forward(x, *arrays, **statistics, **options, stride=stride)
        assert saved[0] == "fused"
