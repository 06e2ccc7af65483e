"""The numba backend: what its kernels promise beyond the matrix of test_backends.py."""

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, CONVOLUTIONS
from traces import assert_same_training

import minires as mr
from minires import Tensor, backend, kernels, models, optim
from minires import functional as F
from minires.gradcheck import gradcheck
from minires.kernels import memory
from minires.rooms import ROOMS

OWN = kernels.own_kernels("numba_cpu")


@pytest.mark.parametrize("case", [case for case in CASES if case.op in OWN], ids=str)
def test_backward_is_the_gradient(case):
    with mr.use("numba"):
        assert gradcheck(case.fn, case.inputs(np.random.default_rng(0)))


@pytest.mark.parametrize(("x", "kernel", "channels", "stride", "padding"), CONVOLUTIONS)
def test_float32_convolution_keeps_its_error_bound(x, kernel, channels, stride, padding):
    """The bound of y and both gradients is terms x eps x the sum of the products' magnitudes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(x).astype(np.float32)
    w = rng.standard_normal((*kernel, x.shape[3], channels)).astype(np.float32)
    y = F.conv2d(x, w, stride, padding)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    exact = _convolution(stride, padding, *(a.astype(np.float64) for a in (x, w, dy)))
    magnitude = _convolution(stride, padding, *(np.abs(a).astype(np.float64) for a in (x, w, dy)))
    with mr.use("numba"):
        results = _convolution(stride, padding, x, w, dy)
    terms = w[..., 0].size, kernel[0] * kernel[1] * channels, y.size // channels
    for result, right, bound, count in zip(results, exact, magnitude, terms, strict=True):
        assert result.dtype == np.float32
        assert (np.abs(result - right) <= count * np.finfo(np.float32).eps * bound).all()


def _convolution(stride, padding, x, w, dy) -> list[np.ndarray]:
    x, w = Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)
    y = F.conv2d(x, w, stride, padding)
    y.backward(dy)
    return [y.numpy(), x.grad, w.grad]


@pytest.mark.parametrize("scratch", [1, 1 << 14])
def test_convolution_does_not_depend_on_how_many_rows_are_copied_at_a_time(monkeypatch, scratch):
    from minires.kernels.conv2d import numba_cpu

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 19, 21, 12)), rng.standard_normal((3, 3, 12, 16))
    for stride in (1, 2):
        shape = (2, -(-19 // stride), -(-21 // stride), 16)
        dy = rng.standard_normal(shape)
        with mr.use("numba"):
            whole = _convolution(stride, 1, x, w, dy)
            monkeypatch.setattr(numba_cpu, "SCRATCH_BYTES", scratch)
            parts = _convolution(stride, 1, x, w, dy)
            monkeypatch.undo()
        for a, b in zip(whole, parts, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_one_row_of_many_pixels_and_one_image_of_many_rows():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((3, 3, 16, 32))
    for shape in ((1, 1, 700, 16), (1, 700, 1, 16), (70, 1, 1, 16)):
        x, dy = rng.standard_normal(shape), rng.standard_normal((*shape[:3], 32))
        expected = _convolution(1, 1, x, w, dy)
        with mr.use("numba"):
            results = _convolution(1, 1, x, w, dy)
        for a, b in zip(results, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


SPECIAL = {
    "conv2d": lambda x: F.conv2d(x, np.ones((3, 3, 16, 16)), stride=2, padding=1),
    "batch_norm": lambda x: _batch_norm(x, relu=False),
    "batch_norm-relu": lambda x: _batch_norm(x, relu=True),
    "batch_norm-residual": lambda x: _batch_norm(np.ones((2, 5, 5, 16)), residual=x, relu=True),
    "batch_norm-eval": lambda x: _batch_norm(x, training=False, relu=True),
    "max_pool2d": lambda x: F.max_pool2d(x, 3, 2, 1),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "global_avg_pool2d": F.global_avg_pool2d,
    "shortcut": lambda x: F.shortcut(x, 2, 32),
    "add": lambda x: x + np.ones(x.shape),
    "cross_entropy": lambda x: F.cross_entropy(x.reshape(50, 16), np.arange(50) % 16),
}


def _batch_norm(x, training=True, **options):
    rng = np.random.default_rng(1)
    if not isinstance(x, Tensor):
        x = Tensor(x * rng.standard_normal(x.shape))
    gamma, beta = rng.standard_normal((2, 16))
    mean, var = backend.asarray(np.zeros(16)), backend.asarray(np.ones(16))
    return F.batch_norm(x, gamma, beta, mean, var, training, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_in_tiles_of_winograd_a_nan_goes_one_pixel_farther_at_most(value):
    x, w = np.ones((1, 12, 12, 16)), np.ones((3, 3, 16, 16))
    x[0, 5, 6, 3] = value
    with mr.use("numba"):
        y = F.conv2d(x, w, padding=1).numpy()
    lost = ~np.isfinite(y[0, :, :, 0])
    assert lost[4:7, 5:8].all() and not lost[:3].any() and not lost[8:].any()
    assert not lost[:, :4].any() and not lost[:, 9:].any()


@pytest.mark.parametrize("blocks", [1, 1 << 22])
def test_winograd_does_not_depend_on_its_blocks(monkeypatch, blocks):
    from minires.kernels.conv2d import numba_winograd

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 9, 11, 16)), rng.standard_normal((3, 3, 16, 32))
    dy = rng.standard_normal((3, 9, 11, 32))
    expected = _convolution(1, 1, x, w, dy)
    monkeypatch.setattr(numba_winograd, "BLOCK_BYTES", blocks)
    with mr.use("numba"):
        results = _convolution(1, 1, x, w, dy)
    for a, b in zip(results, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("shape", [(12, 5, 3, 16), (2, 4, 4, 32), (2, 4, 4, 5)])
def test_a_fused_block_updates_the_running_statistics_as_the_plain_operations_do(shape, shortcut):
    rng, c = np.random.default_rng(0), shape[3]
    arrays = [rng.standard_normal(s) for s in (shape, (3, 3, c, c), (c,), (c,))]
    statistics = {}
    for name in ("numpy", "numba"):
        with mr.use(name):
            running = [backend.asarray(np.full(c, value)) for value in (0.5, 2.0, -0.5, 1.0)]
            x, *layer = (Tensor(array) for array in arrays)
            F.basic_block(x, *layer, running[:2], *layer, running[2:], True, shortcut=shortcut)
            statistics[name] = running
    for a, b in zip(*statistics.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the reference: inf - inf
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", SPECIAL)
def test_nan_and_infinity_go_where_the_reference_has_them(name, value):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 5, 16))
    x[0, 2, 2, 3] = value
    expected = _forward_and_backward(SPECIAL[name], x, np.nan)
    with mr.use("numba"):
        results = _forward_and_backward(SPECIAL[name], x, np.nan)
    if np.isnan(value):  # an infinity may be clipped
        assert not np.isfinite(expected[0]).all()
    for result, right in zip(results, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(result), np.isnan(right))
        np.testing.assert_array_equal(np.isposinf(result), np.isposinf(right))
        np.testing.assert_array_equal(np.isneginf(result), np.isneginf(right))


def _forward_and_backward(fn, x, planted) -> list[np.ndarray]:
    x = Tensor(x.copy(), requires_grad=True)
    y = fn(x)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    if y.ndim:
        dy[(-1,) * y.ndim] = planted
    y.backward(dy)
    return [y.numpy(), x.grad]


@pytest.mark.parametrize(
    ("dtype", "lr", "tolerance"), [("float64", 0.1, 1e-9), ("float32", 0.001, 1e-4)]
)
def test_a_training_run_has_the_losses_of_numpy(dtype, lr, tolerance):
    assert_same_training("numba", dtype, lr, tolerance)


THREADS = """
import hashlib, numba, numpy as np, minires as mr
from minires import Tensor, models, optim, functional as F
mr.use("numba")
for threads in (1, 2, 3, 4):
    numba.set_num_threads(threads)
    mr.seed(0)
    rng = np.random.default_rng(0)
    net = models.resnet8()
    sgd = optim.SGD(net, 0.1, momentum=0.9, weight_decay=1e-4)
    for _ in range(3):
        x = rng.standard_normal((37, 32, 32, 3), dtype=np.float32)
        loss = F.cross_entropy(net(Tensor(x)), rng.integers(0, 10, 37))
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    print(hashlib.sha256(b"".join(v.tobytes() for v in net.state_dict().values())).hexdigest())
"""


def _python(source: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_bits_do_not_depend_on_the_number_of_threads():
    digests = _python(THREADS, NUMBA_NUM_THREADS="4").stdout.split()
    assert len(digests) == 4 and len(set(digests)) == 1


OTHER_PROCESSOR = """
import numpy as np
from test_numba import CONVOLUTIONS, _convolution
import minires as mr
from minires.kernels.register_tile import WIDE, tile_rows, tile_vectors
assert (WIDE, tile_rows(1), tile_vectors(32)) == (False, 6, 1)
rng = np.random.default_rng(0)
for x, kernel, channels, stride, padding in CONVOLUTIONS:
    x, w = rng.standard_normal(x), rng.standard_normal((*kernel, x[3], channels))
    from minires import functional as F
    dy = rng.standard_normal(F.conv2d(x, w, stride, padding).shape)
    mr.use("numpy")
    expected = _convolution(stride, padding, x, w, dy)
    mr.use("numba")
    for a, b in zip(_convolution(stride, padding, x, w, dy), expected):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
print("right")
"""


@pytest.mark.slow
def test_the_tile_for_processors_without_avx512_is_right(tmp_path):
    processor = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse2"}
    paths = os.pathsep.join(sys.path)
    run = _python(OTHER_PROCESSOR, **processor, NUMBA_CACHE_DIR=str(tmp_path), PYTHONPATH=paths)
    assert run.stdout == "right\n"


COMPILE = """
import numpy as np, minires as mr
from minires import functional as F
mr.use("numba")
F.cross_entropy(np.zeros((2, 3), np.float32), np.array([0, 1]))
"""


def test_compiling_is_announced_and_happens_once(tmp_path):
    first = _python(COMPILE, NUMBA_CACHE_DIR=str(tmp_path)).stderr
    assert "compiling the CPU kernels" in first and "cross_entropy: loss ... " in first
    assert _python(COMPILE, NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""


def _copy_of_the_package(place):
    """minires in a folder of its own, with new file times."""
    home = Path(mr.__file__).parents[1]
    rooms = [(home / room, f"minires/{room}") for room in ROOMS]
    for package, folder in ((home / "minires", "minires"), *rooms):
        shutil.copytree(
            package,
            place / folder,
            ignore=shutil.ignore_patterns("__pycache__", "results"),
            copy_function=shutil.copyfile,
            dirs_exist_ok=True,
        )
    return place


COPY = """
import os, sys
sys.path.insert(0, os.environ["COPY"])
import numpy as np, minires as mr
from minires import functional as F
mr.use("numba")
print(mr.__file__, F.cross_entropy(np.eye(2), np.array([0, 1])).item())
"""


def test_two_copies_of_the_package_share_their_machine_code(tmp_path):
    first, second = (_copy_of_the_package(tmp_path / name) for name in ("first", "second"))
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    one = _python(COPY, COPY=str(first), **cache)
    assert str(first) in one.stdout and "cross_entropy: loss ... " in one.stderr
    other = _python(COPY, COPY=str(second), **cache)
    assert str(second) in other.stdout and other.stderr == ""
    kernel = second / "minires/kernels/cross_entropy/numba_cpu.py"
    source = kernel.read_text()
    assert "* picked" in source
    kernel.write_text(source.replace("* picked", "* picked / 2"))
    edited = _python(COPY, COPY=str(second), **cache)
    assert "cross_entropy: loss ... " in edited.stderr
    losses = [float(run.stdout.split()[1]) for run in (one, other, edited)]
    assert losses[0] == losses[1] != losses[2]
    again = _python(COPY, COPY=str(first), **cache)
    assert again.stderr == "" and again.stdout == one.stdout


OWN_KERNEL = """
import sys
from pathlib import Path
from minires.kernels.jit import jit
@jit
def add(x):
    return x + NUMBER
print(add(1))
"""


def test_a_kernel_outside_of_the_package_is_kept_by_its_contents(tmp_path):
    """Two scripts of one name, function and line do not take each other's machine code."""
    cache = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for number in (1, 2, 1):
        script = tmp_path / str(number) / "own.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(OWN_KERNEL.replace("NUMBER", str(number)))
        run = subprocess.run([sys.executable, script], env=cache, capture_output=True, check=True)
        assert int(run.stdout) == 1 + number
    assert len(list((tmp_path / "cache").rglob("*.nbc"))) == 2


def test_processes_that_compile_at_once_leave_a_whole_cache(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    source = "\nF.cross_entropy(np.zeros((2, 3), np.{}), np.array([0, 1]))\n"
    sources = [COMPILE + source.format(dtype) for dtype in ("float32", "float64", "float64")]
    runs = [subprocess.Popen([sys.executable, "-c", s], env=environment) for s in sources]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert _python("\n".join(sources), NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""


FULL_DISK = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n" + COMPILE


def test_a_full_disk_or_half_a_file_costs_time_only(tmp_path):
    pytest.importorskip("resource", reason="this system has no limits of file sizes")
    full = _python(FULL_DISK, NUMBA_CACHE_DIR=str(tmp_path)).stderr
    assert full.count("machine code cannot be kept in") == 1
    assert not list(tmp_path.rglob("*.nbc")) and not list(tmp_path.rglob("*.tmp.*"))
    assert "compiling" in _python(COMPILE, NUMBA_CACHE_DIR=str(tmp_path)).stderr
    assert _python(FULL_DISK, NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""  # reading is enough
    for pattern in ("*.nbc", "*.nbi"):
        for file in tmp_path.rglob(pattern):
            file.write_bytes(file.read_bytes()[:20])
        assert "compiling" in _python(COMPILE, NUMBA_CACHE_DIR=str(tmp_path)).stderr
        assert _python(COMPILE, NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""


def test_the_pool_gives_memory_again_but_never_memory_in_use():
    memory.release()
    first = memory.empty((300, 100), np.float32)
    place, before = first.ctypes.data, memory.reserved()
    assert place % memory.ALIGNMENT == 0 and first.flags.c_contiguous and first.flags.writeable
    view = first[10:20].T
    del first
    second = memory.empty((300, 100), np.float32)
    assert second.ctypes.data != place  # a view still lies in the first
    del view
    gc.collect()
    assert memory.empty((29_900,), np.float32).ctypes.data == place  # nearly the same size
    assert memory.reserved() == 2 * before


def test_the_pool_can_be_emptied():
    array = memory.zeros((1 << 20,), np.float64)
    assert not array.any() and memory.reserved() >= array.nbytes
    in_use = array.nbytes
    del array
    memory.release()
    assert memory.reserved() < in_use


def test_a_training_step_allocates_nothing_new_after_the_second():
    reserved = []
    with mr.use("numba"):
        net = models.resnet8()
        sgd = optim.SGD(net, 0.1, momentum=0.9, weight_decay=1e-4)
        x, labels = np.zeros((32, 32, 32, 3), np.float32), np.zeros(32, int)
        for _ in range(5):
            loss = F.cross_entropy(net(x), labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            reserved.append(memory.reserved())
    assert reserved[1] == reserved[2] == reserved[4] > 0


def test_auto_and_info_choose_numba_on_a_cpu(capsys):
    from minires.cli import main

    if backend.problem("cupy") is None:
        pytest.skip("this machine has a GPU, which comes before the CPU")
    assert backend.default() == "numba"
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert "default: numba" in printed
    assert f"works; kernels of its own for {len(OWN)} of" in printed


def test_more_channels_than_rows_have_blocks():
    """Batch norm of 16 rows of 8,192 channels: no part without a row."""
    x = np.random.default_rng(0).standard_normal((16, 8192)).astype(np.float32)
    ones, mean, var = np.ones(8192, np.float32), np.zeros(8192), np.ones(8192)
    with mr.use("numba"):
        y = F.batch_norm(x, ones, 0 * ones, mean, var, training=True).numpy()
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), atol=1e-5)
    np.testing.assert_allclose(mean, 0.1 * x.mean(0), atol=1e-6)


def test_an_empty_batch_has_an_empty_output_and_no_weight_gradient():
    with mr.use("numba"):
        w = Tensor(np.ones((3, 3, 16, 16)), requires_grad=True)
        x = Tensor(np.ones((0, 8, 8, 16)), requires_grad=True)
        y = F.global_avg_pool2d(F.conv2d(x, w, padding=1))
        y.backward(np.ones((0, 16)))
    assert y.shape == (0, 16) and x.grad.shape == (0, 8, 8, 16)
    assert w.grad.shape == w.shape and not w.grad.any()


def test_sgd_leaves_unequal_shapes_to_the_reference():
    from minires.kernels.sgd import numba_cpu

    p, v = np.zeros((2, 4))
    numba_cpu.update([p], [np.ones(1)], [v], 0.5, 0.9, [0.0], False)  # NumPy's broadcasting
    assert p.tolist() == [-0.5] * 4
    with pytest.raises(ValueError, match="broadcast"):
        numba_cpu.update([np.zeros(5)], [np.ones(5)], [v], 0.5, 0.9, [0.0], False)
    p = np.array([np.inf])
    numba_cpu.update([p], [np.zeros(1)], [np.zeros(1)], 0.1, 0.9, [0.0], False)
    assert p[0] == np.inf  # no decay: nothing is multiplied with it


def test_labels_and_sums_of_unusual_dtypes():
    z = np.random.default_rng(0).standard_normal((3, 4))
    with mr.use("numba"):
        for dtype in (np.uint8, np.int32, ">i8"):
            loss = F.cross_entropy(z, np.array([0, 3, 1]).astype(dtype)).item()
            assert loss == pytest.approx(F.cross_entropy(z, np.array([0, 3, 1])).item())
        total = Tensor(np.ones((300, 300), np.float16)) + Tensor(np.ones((300, 300), np.float16))
        assert total.dtype == np.float16 and (total.numpy() == 2).all()


def test_a_graph_is_summed_by_the_backend_that_made_it(monkeypatch):
    with mr.use("numba"):
        x = Tensor(np.ones((200, 200)), requires_grad=True)
        y = x * 2 + x * 3
    find, asked = backend.kernel, []
    monkeypatch.setattr(
        backend, "kernel", lambda op, name=None: asked.append((op, name)) or find(op, name)
    )
    with mr.use("numpy"):
        y.backward(np.ones((200, 200)))
    assert (x.grad == 5).all() and asked == [("add", "numba")]


def test_other_code_may_use_numba_beside_the_kernels():
    source = COMPILE + "import numba\n"
    source += "scope = {'__name__': None}\nexec('def f(x): return x + 1', scope)\n"
    source += "assert numba.njit(scope['f'])(1) == 2\n"
    _python(source)


def test_without_a_place_for_the_cache_it_still_runs(tmp_path):
    place = tmp_path / "a file"
    place.write_text("")
    _python(COMPILE, NUMBA_CACHE_DIR=str(place))


def test_a_disabled_compiler_is_told():
    source = "import minires as mr\nprint(mr.backend.problem('numba'), mr.backend.default())"
    printed = _python(source, NUMBA_DISABLE_JIT="1").stdout
    assert "NUMBA_DISABLE_JIT is set" in printed and printed.endswith(" numpy\n")


def test_a_smaller_last_batch_needs_no_memory_of_its_own():
    memory.release()
    array = memory.empty((128, 1000), np.float32)
    before = memory.reserved()
    del array
    smaller = memory.empty((80, 1000), np.float32)
    assert memory.reserved() == before and smaller.shape == (80, 1000)
    memory.empty((128, 1000), np.float32)
    assert memory.reserved() == 2 * before
