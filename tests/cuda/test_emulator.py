"""The emulator: CUDA C++ kernels compute on a CPU what they would on a GPU, and errors have names.

That every kernel agrees with the reference over the whole grid stands in `test_backends.py`.
"""

from pathlib import Path

import numpy as np
import pytest
from cases import CASES, CONVOLUTIONS
from kernel_sources import module
from operation_checks import check_adam, check_backward
from planting import fails
from traces import assert_same_training

import minires as mr
from minires import backend, cuda, kernels
from minires import functional as F
from minires.cuda import host
from minires.cuda.host import KernelError

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)

OWN = kernels.own_kernels("cuda")
HERE = Path(__file__).parent


FUSED = ("basic_block", "conv_norm_relu")  # many parameters: one of a kind along random directions
CHOSEN = ["(2, 5, 6, 16)-32-2-(3, 3)-train-shortcut", "(1, 5, 7, 16)-16-1-(3, 3)-shortcut"]
CHOSEN += ["(2, 4, 5, 3)-16-(3, 3)-1-1-train"]


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.op in OWN and (c.op not in FUSED or c.name.endswith(tuple(CHOSEN)))],
    ids=str,
)
def test_backward_is_the_gradient(case):
    with mr.use("emulator"):
        check_backward(case)


@pytest.mark.parametrize(
    ("dtype", "lr", "tolerance"), [("float64", 0.1, 1e-9), ("float32", 0.001, 1e-4)]
)
def test_a_training_run_has_the_losses_of_numpy(dtype, lr, tolerance):
    assert_same_training("emulator", dtype, lr, tolerance, batch=8, size=16)


EARLY = """
__global__ void leave(float* y, int n) {
    if (threadIdx.x >= n) return;  // these lanes are not waited for
    float sum = 0;
    for (int lane = 0; lane < n; lane++) sum += __shfl_sync(ALL_LANES, y[threadIdx.x], lane);
    y[threadIdx.x] = __all_sync(ALL_LANES, sum > 0) ? sum : -1;
}
"""


def test_lanes_that_have_ended_are_not_waited_for(tmp_path):
    y = np.arange(1, 49, dtype=np.float32)
    module(tmp_path, EARLY, "leave").launch("leave", (1,), (48,), dict(y=y, n=20))
    np.testing.assert_array_equal(y[:20], 210)
    np.testing.assert_array_equal(y[20:], np.arange(21, 49))


def test_a_nan_stays_a_nan_on_the_tensor_core(tmp_path):
    a, b = np.ones((16, 8), np.float32), np.ones((8, 8), np.float32)
    for bits in (0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001):
        a[3, 2] = np.array(bits, np.uint32).view(np.float32)
        d = np.zeros((16, 8), np.float32)
        module(tmp_path, MMA, "multiply").launch("multiply", (1,), (32,), dict(a=a, b=b, d=d))
        assert np.isnan(d[3]).all() and np.isfinite(np.delete(d, 3, axis=0)).all()


def test_an_impossible_class_does_not_make_the_loss_nan():
    logits = np.array([[0.0, -np.inf, 1.0]])
    expected = F.cross_entropy(logits, np.array([2])).item()
    with mr.use("emulator"):
        assert F.cross_entropy(logits, np.array([2])).item() == pytest.approx(expected)


WARPS = """
__global__ void exchange(const int* x, int* shuffled, int* down, int* up, int* voted,
                         double* sums) {
    const int i = threadIdx.x;
    shuffled[i] = __shfl_sync(ALL_LANES, x[i], 5);
    down[i] = __shfl_down_sync(ALL_LANES, x[i], 3, 8);
    up[i] = __shfl_up_sync(ALL_LANES, x[i], 1);
    voted[i] = __ballot_sync(ALL_LANES, x[i] % 2);
    sums[i] = warp_sum(double(x[i]));
}
"""


@pytest.mark.parametrize("mode", ["", "checked", "reverse"])
def test_warp_operations_are_those_of_a_gpu(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("MINIRES_EMULATOR", mode)
    x = np.arange(64, dtype=np.int32) * 3 % 23
    shuffled, down, up, voted = (np.zeros(64, np.int32) for _ in range(4))
    sums = np.zeros(64)
    kernel = module(tmp_path, WARPS, "exchange")
    arguments = dict(x=x, shuffled=shuffled, down=down, up=up, voted=voted, sums=sums)
    kernel.launch("exchange", (1,), (64,), arguments)
    warps, lanes = x.reshape(2, 32), np.arange(32)
    np.testing.assert_array_equal(shuffled.reshape(2, 32), np.repeat(warps[:, 5:6], 32, axis=1))
    source = np.where(lanes % 8 + 3 < 8, lanes + 3, lanes)
    np.testing.assert_array_equal(down.reshape(2, 32), warps[:, source])
    np.testing.assert_array_equal(up.reshape(2, 32), warps[:, np.maximum(lanes - 1, 0)])
    bits = ((warps % 2) << lanes.astype(np.int64)).sum(axis=1).astype(np.uint32).view(np.int32)
    np.testing.assert_array_equal(voted.reshape(2, 32), np.repeat(bits[:, None], 32, axis=1))
    np.testing.assert_array_equal(sums.reshape(2, 32), np.repeat(warps.sum(1)[:, None], 32, axis=1))


MMA = """
__global__ void multiply(const float* a, const float* b, float* d) {
    const int g = threadIdx.x / 4, t = threadIdx.x % 4;
    const unsigned left[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]),
                              to_tf32(a[g * 8 + t + 4]), to_tf32(a[(g + 8) * 8 + t + 4])};
    const unsigned right[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
    float sums[4] = {};
    mma_tf32(sums, left, right);
    d[g * 8 + 2 * t] = sums[0], d[g * 8 + 2 * t + 1] = sums[1];
    d[(g + 8) * 8 + 2 * t] = sums[2], d[(g + 8) * 8 + 2 * t + 1] = sums[3];
}
"""


def test_the_tensor_core_multiplies_matrices_with_tf32_precision(tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((16, 8), np.float32), rng.standard_normal((8, 8), np.float32)
    d = np.zeros((16, 8), np.float32)
    module(tmp_path, MMA, "multiply").launch("multiply", (1,), (32,), dict(a=a, b=b, d=d))
    error = np.abs(d - a.astype(float) @ b) / (np.abs(a) @ np.abs(b))
    assert 1e-5 < error.max() < 2**-10


SHARING = """
template <int N>
__global__ void __launch_bounds__(256) rotate(const float* x, float* y) {
    SHARED(float, row, N);
    DYNAMIC_SHARED(float, more);
    row[threadIdx.x] = x[blockIdx.x * N + threadIdx.x];
    more[threadIdx.x] = 1;
    __syncthreads();
    y[blockIdx.x * N + threadIdx.x] = row[(threadIdx.x + 1) % N] + more[N - 1 - threadIdx.x];
}
"""


@pytest.mark.parametrize("mode", ["", "checked", "reverse", "checked,reverse"])
def test_threads_meet_at_barriers_and_share_memory(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("MINIRES_EMULATOR", mode)
    x = np.random.default_rng(0).standard_normal((7, 100)).astype(np.float32)
    y = np.zeros_like(x)
    kernel = module(tmp_path, SHARING, "rotate<100>")
    kernel.launch("rotate<100>", (7,), (100,), dict(x=x, y=y), dynamic_shared=400)
    np.testing.assert_array_equal(y, np.roll(x, -1, axis=1) + 1)


BROKEN = {  # the last line of each kernel is the guilty one
    "divergent barrier": (
        """__global__ void k(float* y) {
            if (threadIdx.x < 16)
                __syncthreads(); }""",
        r"__syncthreads\(\) is reached by 16 of the block's 64 threads only; thread \(15,0,0\)",
    ),
    "lanes missing": (
        """__global__ void k(float* y) {
            if (threadIdx.x >= 8) __syncthreads(); else
                y[0] = __shfl_xor_sync(ALL_LANES, 1.0f, 1); }""",
        r"mask 0xffffffff waits for lanes that never reach it \(thread \(7,0,0\)",
    ),
    "not in its mask": (
        """__global__ void k(float* y) {
            y[0] = __shfl_sync(0x0000ffffu, 1.0f, 0); }""",
        r"mask 0x0000ffff is called by thread \(16,0,0\), lane 16, which is not in the mask",
    ),
    "different operations": (
        """__global__ void k(float* y) {
            if (threadIdx.x % 2 == 0) __syncwarp();
            else y[0] = __shfl_sync(ALL_LANES, 1.0f, 0); }""",
        r"lanes 0 and 1 of a warp meet in different warp operations",
    ),
    "no part in it": (
        """__global__ void k(float* y) {
            if (threadIdx.x < 8)
                y[0] = __shfl_sync(0xffu, 1.0f, 9); }""",
        r"thread \(0,0,0\) of block \(0,0,0\): a shuffle reads lane 9, which takes no part",
    ),
    "never written": (
        """__global__ void k(float* y) { SHARED(float, tile, 64);
            if (threadIdx.x < 40) tile[threadIdx.x] = 1;
            __syncthreads();
            y[threadIdx.x] = tile[threadIdx.x]; }""",
        r"thread \(40,0,0\) of block \(0,0,0\): tile\[40\] in shared memory is read, but nobody",
    ),
    "outside": (
        """__global__ void k(float* y) { SHARED(float, tile, 60);
            tile[threadIdx.x] = 1; }""",
        r"thread \(60,0,0\) of block \(0,0,0\): tile\[60\] is outside of the 60 elements",
    ),
    "too much": (
        """__global__ void k(float* y) {
            SHARED(float, tile, 12289); tile[0] = 1; }""",
        r"declares 49156 bytes of shared memory, but 49152 are the most",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_kernel_is_named_with_its_block_thread_and_line(tmp_path, monkeypatch, name):
    source, message = BROKEN[name]
    monkeypatch.setenv("MINIRES_EMULATOR", "checked")
    monkeypatch.setenv("MINIRES_EMULATOR_THREADS", "1")
    good = "__global__ void good(float* y) { y[threadIdx.x] = 1; }"
    both = module(tmp_path, f"{source}\n{good}", "k", "good")
    with pytest.raises(KernelError, match=message) as error:
        both.launch("k", (3,), (64,), dict(y=np.zeros(64, np.float32)))
    line = 1 + len(source.split("\n"))
    assert str(error.value).startswith(f"kernel k of {tmp_path.name}/cuda.cu, line {line}, ")
    y = np.zeros(64, np.float32)  # the emulator itself is unharmed
    both.launch("good", (1,), (64,), dict(y=y))
    assert (y == 1).all()


SCALE = """
template <typename T>
__global__ void __launch_bounds__(128) scale(const T* x, T* y, OPTIONAL const T* more, int n,
                                             double by, bool up, unsigned char low, T plus) {
    const int i = threadIdx.x;
    if (i < n) y[i] = x[i] * by + plus + (more ? more[i] : T(0));
}
__global__ void plain(float* y, wchar_t h) {}
__global__ void unclear(float* y, OPTIONAL int n) {}
"""


def of_scale(**changes) -> dict:
    """Arguments of the kernel `scale`, with changes."""
    x, y = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    given = dict(x=x, y=y, more=None, n=4, by=2.0, up=True, low=255, plus=0.5)
    return {name: value for name, value in (given | changes).items() if value is not ABSENT}


ABSENT = object()
TAKES = (
    r"it takes \(const float\* x, float\* y, OPTIONAL const float\* more, int n, double by, bool"
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros(4)}, r"x must be float32, but is float64; pass x.astype\('float32'\)"),
        ({"y": np.zeros(4)}, "y must be float32, but is float64$"),
        ({"more": np.zeros(4)}, "more must be float32, but is float64"),
        ({"x": 1.0}, "x is an array of float32, but got the float 1.0"),
        ({"x": np.float32(1)}, "x is an array of float32, but got the float32 1.0"),
        ({"x": [1, 2]}, r"x is an array of float32, but got the list \[1, 2\]"),
        ({"x": mr.Tensor([1.0])}, r"but got a Tensor of shape \(1,\); a kernel takes .* its .data"),
        (
            {"x": None},
            "x is an array of float32, but got None; mark it OPTIONAL in the .cu file if",
        ),
        ({"x": np.zeros((4, 4), np.float32)[:, 0]}, "x must be C-contiguous, but has strides"),
        ({"y": np.broadcast_to(np.float32(1), 1)}, "y is written to, but the array is read-only"),
        ({"n": 2**31}, "n is of type int, from -2147483648 to 2147483647, but got 2147483648$"),
        ({"n": np.int64(-(2**40))}, "n is of type int, from .* but got -1099511627776"),
        ({"n": 4.0}, "n is of type int, but got the float 4.0; // divides to a whole number"),
        ({"n": np.float32(4)}, "n is of type int, but got the float32 4.0"),
        ({"n": float("nan")}, "n is of type int, but got the float nan"),
        ({"n": float("inf")}, "n is of type int, but got the float inf"),
        ({"n": True}, "n is of type int, but got the bool True"),
        ({"n": np.bool_(True)}, "n is of type int, but got the bool True"),
        ({"n": np.array(4)}, r"n is of type int, but got an array of shape \(\)"),
        ({"n": "4"}, "n is of type int, but got the str '4'"),
        ({"n": None}, "n is of type int, but got None"),
        ({"up": 1}, "up is of type bool, but got the int 1"),
        ({"low": 256}, "low is of type unsigned char, from 0 to 255, but got 256"),
        ({"low": -1}, "low is of type unsigned char, from 0 to 255, but got -1"),
        ({"plus": 1e39}, r"plus is of type float, from -3.4028\S*\+38 to .*, but got 1e\+39"),
        ({"plus": True}, "plus is of type float, but got the bool True"),
        ({"by": 10**400}, "by is of type double, from .* to 1.79.*308, but got 10000"),
        ({"by": 1j}, "by is of type double, but got the complex 1j"),
        ({"n": ABSENT, "up": ABSENT}, f"there is no value for n, up; {TAKES}"),
        ({"size": 4}, f"size is unknown; {TAKES}"),
        ({"n": ABSENT, "N": 4}, f"there is no value for n; N is unknown; {TAKES}"),
        ({"more": ABSENT, "mor": None}, r"no value for more; mor is unknown \(is more meant\?\)"),
    ],
)
def test_a_wrong_argument_is_refused_in_words(tmp_path, changes, message):
    kernel = module(tmp_path, SCALE, "scale<float>")
    with pytest.raises(cuda.LaunchError, match=message) as error:
        kernel.launch("scale<float>", (1,), (4,), of_scale(**changes))
    assert str(error.value).startswith(f"kernel scale<float> of {tmp_path.name}/cuda.cu: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": (0,)}, r"grid \(0,\) must be a tuple of 1 to 3 whole numbers, from 1 to"),
        ({"grid": (1, 70000)}, "grid"),
        ({"grid": (1.5,)}, r"grid \(1.5,\) must be a tuple of 1 to 3 whole numbers"),
        ({"grid": 4}, "grid 4 must be a tuple of 1 to 3 whole numbers"),
        ({"block": (16, 16)}, r"a block \(16, 16\) has 256 threads, but at most 128 are allowed"),
        ({"dynamic_shared": 300_000}, "300000 bytes of dynamic shared memory are asked for"),
        ({"instance": "scale<double>"}, "was loaded without scale<double>; it has scale<float>"),
    ],
)
def test_a_wrong_launch_is_refused_in_words(tmp_path, change, message):
    kernel = module(tmp_path, SCALE, "scale<float>")
    launch = dict(instance="scale<float>", grid=(1,), block=(4,), arguments=of_scale())
    with pytest.raises(cuda.LaunchError, match=message) as error:
        kernel.launch(**(launch | change))
    assert "cuda.cu" in str(error.value)


def test_arguments_are_given_by_name_only(tmp_path):
    kernel = module(tmp_path, SCALE, "scale<float>")
    by_name = r"its arguments are given by name, dict\(x=..., y=..., more=..., n=..., by=..., up="
    for positional in (tuple(of_scale().values()), list(of_scale().values()), None):
        with pytest.raises(cuda.LaunchError, match=by_name):
            kernel.launch("scale<float>", (1,), (4,), positional)


def test_sizes_cannot_be_exchanged():
    """The order at the call does not matter, so that pad_w never stands for pad_h."""
    x, w = np.random.default_rng(0).standard_normal((2, 5, 6, 3)), np.ones((3, 2, 3, 4))
    expected = F.conv2d(x, w, (1, 2), (2, 0)).numpy()
    launches = []
    with mr.use("emulator"), cuda.watch(lambda launch: launches.append(launch) or True):
        F.conv2d(x, w, (1, 2), (2, 0))
    (launch,) = launches
    for names in (reversed(launch.arguments), sorted(launch.arguments)):
        arguments = {name: launch.arguments[name] for name in names}
        launch.arguments["y"].fill(0)
        launch.module.launch(launch.instance, launch.grid, launch.block, arguments)
        np.testing.assert_allclose(launch.arguments["y"], expected, rtol=1e-12)


def test_numbers_become_what_the_parameters_are(tmp_path):
    kernel = module(tmp_path, SCALE, "scale<float>")
    for changes in (
        {},
        {"n": np.int64(4), "low": np.uint32(0), "by": 2, "plus": np.float64(0.5)},
        {"by": np.float16(2), "up": np.bool_(False), "plus": np.float32(0.5)},
    ):
        arguments = of_scale(**changes)
        kernel.launch("scale<float>", (1,), (4,), arguments)
        np.testing.assert_array_equal(arguments["y"], np.float32([0.5, 2.5, 4.5, 6.5]))
    bound = kernel.signatures["scale<float>"].bind(of_scale(n=-(2**31), plus=0.1))
    assert {name: value.dtype.name for name, value in bound.items() if value is not None} == {
        "x": "float32",
        "y": "float32",
        "n": "int32",
        "by": "float64",
        "up": "bool",
        "low": "uint8",
        "plus": "float32",
    }
    for special in (np.inf, -np.inf, np.nan):  # a fraction may be one
        arguments = of_scale(plus=special)
        kernel.launch("scale<float>", (1,), (4,), arguments)
        np.testing.assert_array_equal(arguments["y"], np.full(4, special, np.float32))


def test_an_optional_array_may_be_none(tmp_path):
    kernel = module(tmp_path, SCALE, "scale<float>")
    launches = []
    for more in (None, np.float32([4, 3, 2, 1])):
        arguments = of_scale(more=more)
        with cuda.watch(lambda launch: launches.append(launch)):
            kernel.launch("scale<float>", (1,), (4,), arguments)
        expected = np.float32([0.5, 2.5, 4.5, 6.5])
        np.testing.assert_array_equal(arguments["y"], expected + (0 if more is None else more))
    assert [launch.bytes_moved() for launch in launches] == [(16, 16), (32, 16)]
    assert [len(launch.arrays()) for launch in launches] == [2, 3]


def test_launch_bounds_may_be_an_expression_of_the_templates_arguments(tmp_path):
    source = """
template <int N> struct Tile { static constexpr int THREADS = 4 * N; };
template <typename T, int N>
__global__ void __launch_bounds__(Tile<N>::THREADS, 2) bounded(T* y) {}
"""
    kernel = module(tmp_path, source, "bounded<float, 8>", "bounded<float, 16>")
    y = np.zeros(1, np.float32)
    kernel.launch("bounded<float, 16>", (1,), (64,), dict(y=y))
    with pytest.raises(cuda.LaunchError, match="has 64 threads, but at most 32 are allowed"):
        kernel.launch("bounded<float, 8>", (1,), (64,), dict(y=y))


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        ("absent", "has no kernel named absent"),
        ("scale", "has 1 template parameters, but scale gives 0"),
        ("plain", "parameter h has type 'wchar_t'; known are float, double, int"),
        ("unclear", "parameter n is OPTIONAL, but only a pointer can be"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_words(tmp_path, instance, message):
    with pytest.raises(cuda.LaunchError, match=message):
        module(tmp_path, SCALE, instance)


def test_an_error_of_the_compiler_is_shown(tmp_path):
    with pytest.raises(RuntimeError, match="does not compile for the emulator(.|\n)*nonsense"):
        module(tmp_path, "__global__ void k(int n) { nonsense; }", "k").launch(
            "k", (1,), (1,), dict(n=1)
        )


def test_without_a_compiler_the_emulator_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "needs a C++ compiler" in backend.problem("emulator")


def test_an_unknown_mode_is_refused(monkeypatch):
    monkeypatch.setenv("MINIRES_EMULATOR", "fast")
    with pytest.raises(ValueError, match="but names fast"):
        host.modes()


def plant(op: str, right: str, wrong: str, monkeypatch, tmp_path) -> None:
    """Have the emulator find a copy of an operation's .cu file with a bug, in double precision."""
    loaded = kernels.load(op, "cuda")
    assert right in loaded.KERNELS.source
    path = tmp_path / "cuda.cu"
    path.write_text(loaded.KERNELS.source.replace(right, wrong))
    instances = [n for n in loaded.KERNELS.signatures if "double" in n or "<" not in n]
    monkeypatch.setattr(loaded, "KERNELS", cuda.Module(path, instances))


BUGS = [
    ("conv2d", "__syncthreads();  // the step's columns are there", "", "barrier missing"),
    ("conv2d", "__syncthreads();  // everybody has used them: the next may come", "", "barrier"),
    ("conv2d", "w < 0 || w >= width", "w < -1 || w >= width", "halo off by one"),
    ("conv2d", "h < 0 ||", "h < -1 ||", "halo off by one"),
    ("conv2d", "if (h % stride_h != 0 ||", "if (", "stride forgotten in dx"),
    ("conv2d", "start + k < end && term < terms", "term < terms - 1", "tail of the pixels"),
    ("conv2d", "for (int part = 0; part < parts", "for (int part = 1; part < parts", "part lost"),
    ("batch_norm", "__syncthreads();  // this half is summed", "", "barrier missing"),
    ("batch_norm", "__syncthreads();  // all values are there", "", "barrier missing"),
    ("batch_norm", "difference * difference * double(begin) * share", "0", "between the parts"),
    ("batch_norm", "-scale * sum / rows", "0", "mean term"),
    ("cross_entropy", "target += T(1) - smoothing", "target += T(1)", "smoothing"),
    ("shortcut", "h % stride == 0 &&", "", "pixels between"),
    ("global_avg_pool2d", "dy[i] / T(pixels)", "dy[i]", "share"),
    ("linear", "b[i % columns]", "b[0]", "bias"),
]


@pytest.mark.parametrize(("op", "right", "wrong", "meaning"), BUGS)
def test_a_planted_bug_is_caught(op, right, wrong, meaning, monkeypatch, tmp_path):
    plant(op, right, wrong, monkeypatch, tmp_path)
    monkeypatch.setattr("minires.backend._current.process", "emulator")
    cases = [case for case in CASES if case.op == op]
    assert any(map(fails, cases)), f"nobody noticed: {meaning}"


ADAM_BUGS = [
    ("lr[0] / corrections[2 * owner]", "lr[0]", "no bias correction of the first moment"),
    ("T(corrections[2 * owner + 1])", "T(1)", "no bias correction of the second moment"),
    ("*step = t;", "", "every step the first"),
    ("kept = decoupled ?", "kept = false ?", "no decoupled decay"),
    ("decay = decoupled ? T(0) :", "decay =", "both decays at once"),
    ("sqrt(second / correction) + eps", "sqrt(second / correction + eps)", "eps in the root"),
]


@pytest.mark.parametrize(("right", "wrong", "meaning"), ADAM_BUGS, ids=[b[2] for b in ADAM_BUGS])
def test_a_bug_planted_into_adam_is_caught(right, wrong, meaning, monkeypatch, tmp_path):
    plant("adam", right, wrong, monkeypatch, tmp_path)
    monkeypatch.setattr("minires.backend._current.process", "emulator")
    with pytest.raises(AssertionError):
        check_adam(decoupled=False)
        check_adam(decoupled=True)


@pytest.mark.parametrize("op", sorted({bug[0] for bug in BUGS}))
def test_kernels_planted_unchanged_pass(op, monkeypatch, tmp_path):
    plant(op, "", "", monkeypatch, tmp_path)
    monkeypatch.setattr("minires.backend._current.process", "emulator")
    assert not any(map(fails, [case for case in CASES if case.op == op][:8]))


@pytest.mark.parametrize(
    ("x", "kernel", "channels", "stride", "padding"), CONVOLUTIONS[:6] + CONVOLUTIONS[18:24]
)
def test_tensor_cores_keep_the_precision_of_tf32(x, kernel, channels, stride, padding, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(x).astype(np.float32)
    w = rng.standard_normal((*kernel, x.shape[3], channels)).astype(np.float32)
    y = F.conv2d(np.float64(x), np.float64(w), stride, padding)
    dy = rng.standard_normal(y.shape).astype(np.float32)

    def compute(*arrays):
        *inputs, dy = arrays
        inputs = [mr.Tensor(array, requires_grad=True) for array in inputs]
        y = F.conv2d(*inputs, stride, padding)
        y.backward(dy)
        return [y.numpy(), *(tensor.grad for tensor in inputs)]

    exact = compute(*map(np.float64, (x, w, dy)))
    magnitude = compute(*(np.abs(array, dtype=np.float64) for array in (x, w, dy)))
    cuda.set_precision("tf32")
    with mr.use("emulator"):
        results = compute(x, w, dy)
    for result, right, bound in zip(results, exact, magnitude, strict=True):
        error = np.abs(result - right)
        assert (error <= 2**-10 * bound + 1e-12).all()  # two factors, each rounded to 2^-11
    assert any((np.abs(r - e) > 1e-6 * m).any() for r, e, m in zip(results, exact, magnitude))  # noqa: B905


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision is auto, float32, .*fp16, but not 'half'"):
        cuda.set_precision("half")
