"""Graphs: replays have the bits of plain steps, and what they could not repeat is refused."""

import gc
import importlib.util
import sys
import types
import weakref
from pathlib import Path

import numpy as np
import pytest
from traces import Training, assert_replays_are_plain_steps, assert_same_bits, batches, loader

import minires as mr
from minires import Tensor, backend, cuda, optim
from minires import functional as F
from minires.cuda import graph
from minires.cuda.graph import GraphError
from minires.cuda_graph import capture
from minires.function import Function

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)


@pytest.fixture(autouse=True)
def on_the_emulator(fresh_start):
    mr.use("emulator")


def test_replays_have_the_bits_of_plain_steps():
    assert_replays_are_plain_steps("emulator", fused=None)


def test_replays_of_operations_of_their_own_have_them_too():
    assert_replays_are_plain_steps("emulator", fused=False, nesterov=True, spare_vectors=True)


@pytest.mark.parametrize("method", [optim.Adam, optim.AdamW])
def test_replays_count_the_steps_of_adam(method):
    assert_replays_are_plain_steps("emulator", method=method)


@pytest.mark.parametrize(
    ("model", "shortcut"), [("plain8", None), ("resnet8", "B"), ("resnet8", "C")]
)
def test_replays_of_every_kind_of_network_have_them(model, shortcut):
    assert_replays_are_plain_steps("emulator", model=model, shortcut=shortcut)


def test_a_capture_computes_nothing():
    training = Training()
    before = training.state()
    captured = capture(training.step, *batches(1)[0])
    assert_same_bits(before, training.state())
    assert captured.launches > 30 and not graph.capturing()
    captured(*batches(1)[0])
    assert before["conv1.weight"].tobytes() != training.state()["conv1.weight"].tobytes()


def test_outputs_are_overwritten_by_the_next_replay():
    relu = capture(lambda x: F.relu(Tensor(x)), np.zeros(3, np.float32))
    first = relu.replay(np.array([-1, 2, 3], np.float32))
    assert first is relu.outputs and first.numpy().tolist() == [0, 2, 3]
    assert relu.replay(np.array([4, -5, 6], np.float32)) is first
    assert first.numpy().tolist() == [4, 0, 6]


def test_a_step_may_have_no_inputs():
    x = np.array([1, 2], np.float32)
    doubled = capture(lambda: Tensor(x) + Tensor(x))
    x[...] = 5
    assert doubled().numpy().tolist() == [10, 10]


def test_two_leaves_may_share_a_gradient():
    a, b = (Tensor(np.ones(4, np.float32), requires_grad=True) for _ in range(2))

    def step(dy):
        a.grad = b.grad = None
        (F.relu(a) + b).backward(dy)

    for dy in np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32):
        captured = capture(step, dy)
        captured(2 * dy)
        assert a.grad.tolist() == b.grad.tolist() == (2 * dy).tolist()


def test_a_graph_keeps_what_its_kernels_reach_by_addresses_in_a_table():
    training = Training()
    captured = capture(training.step, *batches(1)[0])
    weights, velocity = (
        weakref.ref(a)
        for a in (training.optimizer.params[0].data, training.optimizer.states[0]["velocity"])
    )
    del training
    gc.collect()
    assert weights() is not None and velocity() is not None
    del captured
    gc.collect()
    assert weights() is None and velocity() is None


def images(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            (images(5, 8, 8, 3), np.zeros(6, np.int64)),
            r"input 0 is an array \(5, 8, 8, 3\) of float32, but the step was captured with an "
            r"array \(6, 8, 8, 3\) of float32",
        ),
        ((images(6, 8, 8, 3, dtype="f8"), np.zeros(6, np.int64)), "of float64, but the step was"),
        ((images(6, 8, 8, 3), np.zeros(6, np.int32)), r"input 1 is an array \(6,\) of int32"),
        ((images(6, 8, 8, 3), [0] * 6), "input 1 is a list, but"),
        ((images(6, 8, 8, 3),), "captured with 2 inputs, but is replayed with 1"),
    ],
)
def test_other_shapes_and_dtypes_are_refused_and_nothing_is_computed(inputs, message):
    training = Training()
    captured = capture(training.step, *batches(1)[0])
    before = training.state()
    with pytest.raises(GraphError, match=message):
        captured.replay(*inputs)
    assert_same_bits(before, training.state())


def test_an_input_must_be_an_array():
    with pytest.raises(GraphError, match="input 1 of a step must be an array, but is float"):
        capture(print, np.zeros(3), 0.5)
    with pytest.raises(GraphError, match="input 0 of a step must be an array, but is Tensor"):
        capture(print, Tensor(np.zeros(3)))


HOST = {
    "item": lambda t, loss: loss.item(),
    "float": lambda t, loss: float(loss),
    "numpy": lambda t, loss: t.model.linear.weight.numpy(),
    "print": lambda t, loss: repr(loss),
    "state_dict": lambda t, loss: t.model.state_dict(),
    "to_numpy": lambda t, loss: backend.to_numpy(loss.data),
    "metrics": lambda t, loss: t.metrics.read(),
    "clip_grad_norm": lambda t, loss: optim.clip_grad_norm(t.model, 1.0),
    "random numbers": lambda t, loss: F.dropout(loss.reshape(1), 0.5, training=True),
    "a batch of a Loader": lambda t, loss: next(iter(loader())),
    "another capture": lambda t, loss: capture(print),
}


@pytest.mark.parametrize("what", HOST)
def test_what_needs_the_host_is_refused_in_words(what):
    training = Training()
    before = training.state()

    def step(*batch):
        loss, _ = training.step(*batch)
        HOST[what](training, loss)

    named = what if what not in ("float", "print", "state_dict", "metrics") else "on the host"
    with pytest.raises(GraphError, match=f"a step that is captured.*cannot contain .*{named}"):
        capture(step, *batches(1)[0])
    assert not graph.capturing()
    assert_same_bits(before, training.state())
    training.step(*batches(1)[0])  # plain steps go on
    assert np.isfinite(training.metrics.read()[0])


class Doubled(Function):
    """Array code in both directions."""

    def forward(self, x):
        return x * 2

    def backward(self, dy):
        return (dy * 2,)


class Same(Function):
    """Array code in the backward only."""

    def forward(self, x):
        return x

    def backward(self, dy):
        return (dy * 2,)


W = Tensor(np.ones((1, 1, 3, 4), np.float32), requires_grad=True)
ARRAY_CODE = {
    "no kernel": (lambda x: x.mean(), "operation 'reduce' has no CUDA C.. kernel on backend emu"),
    "no kernel, binary": (lambda x: x * 2, "operation 'binary' has no CUDA C.. kernel"),
    "broadcast": (lambda x: x + W.reshape(-1)[:1], "operation 'index'"),
    "not by its kernel": (
        lambda x: x + Tensor(np.ones(3, np.float32)),
        r"add was computed by array code.*do not serve an array of shape \(2, 3, 3, 3\)",
    ),
    "own Function": (lambda x: Doubled()(x), "doubled was computed by array code"),
    "own backward": (lambda x: _backward(Same()(F.conv2d(x, W))), "same backward was computed by"),
    "a view": (lambda x: F.conv2d(x.transpose(0, 2, 1, 3), W), "a conversion by array code"),
    "other labels": (
        lambda x: F.cross_entropy(x.reshape(2, 27), np.zeros(2, np.int32)),
        r"conversion by array code, of an array \(2,\) of int32 to contiguous int64",
    ),
    "sum of gradients": (
        lambda x: [_backward(F.conv2d(x, W)) for _ in range(2)],
        "adds to gradients of an earlier one",
    ),
    "nothing": (lambda x: x.reshape(-1), "launches no CUDA C.. kernel, so there is nothing"),
}


def _backward(y: Tensor) -> None:
    y.backward(np.ones(y.shape, np.float32))


@pytest.mark.parametrize("what", ARRAY_CODE)
def test_array_code_is_refused_in_words(what):
    step, message = ARRAY_CODE[what]
    W.grad = None
    with pytest.raises(GraphError, match=message):
        capture(lambda x: step(Tensor(x)), images(2, 3, 3, 3))
    assert not graph.capturing()


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_backends_without_launches_are_refused_and_nothing_is_computed(name):
    if backend.problem(name):
        pytest.skip(backend.problem(name))
    mr.use(name)
    training = Training()
    before = training.state()
    with pytest.raises(GraphError, match=f"on backend {name}.*graphs are of backend cupy or emu"):
        capture(training.step, *batches(1)[0])
    assert_same_bits(before, training.state())


def test_sgd_refuses_arrays_that_its_kernel_cannot_update():
    p = [np.zeros((4, 4), np.float32)[:, :2]]
    update = backend.kernel("sgd").update
    with pytest.raises(GraphError, match=r"SGD of arrays that are not alike and contiguous.*\(4"):
        capture(lambda: update(p, p, p, 0.1, 0.9, [0.0], False))


def test_adam_refuses_arrays_that_its_kernel_cannot_update():
    p, t = [np.zeros((4, 4), np.float32)[:, :2]], [np.zeros((), np.int64)]
    update = backend.kernel("adam").update
    with pytest.raises(GraphError, match=r"Adam of arrays that are not alike and contiguous: \(4"):
        graph.capture(lambda: update(p, p, p, p, t, 0.1, (0.9, 0.9), 0.1, [0.0], False))


def test_an_error_of_a_launch_comes_where_it_is_asked_for(tmp_path):
    path = tmp_path / "cuda.cu"
    path.write_text('#include "minires.cuh"\n__global__ void k(float* y) { y[threadIdx.x] = 1; }')
    kernel = cuda.Module(path, ["k"])
    with pytest.raises(cuda.LaunchError, match="y must be float32, but is float64"):
        capture(lambda: kernel.launch("k", (1,), (4,), dict(y=np.zeros(4))))
    assert not graph.capturing()


# The GPU's end, with a stand-in for CuPy: no GPU is needed to see that captures begin and end


class Stream:
    """Notes what it is asked for, as CuPy's would be."""

    def __init__(self, non_blocking):
        assert non_blocking
        self.calls, self.launch = [], lambda: self.calls.append("launch")
        Stream.last = self

    def __enter__(self):
        self.calls.append("enter")

    def __exit__(self, *exception):
        self.calls.append("exit")

    def begin_capture(self):
        self.calls.append("begin")

    def end_capture(self):
        self.calls.append("end")
        return self


@pytest.fixture
def device(monkeypatch):
    """`minires.cuda.device`, with a CuPy that is none."""
    cupy = types.SimpleNamespace(cuda=types.SimpleNamespace(Stream=Stream))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    path = Path(cuda.__file__).with_name("device.py")
    spec = importlib.util.spec_from_file_location("device_of_nobody", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def launch_that(run):
    return types.SimpleNamespace(run=run)


def test_a_gpu_captures_the_launches_and_repeats_them_by_one_call(device):
    launches = [launch_that(lambda i=i: Stream.last.calls.append(i)) for i in range(2)]
    captured = device.DeviceGraph(launches)
    assert Stream.last.calls == ["enter", "begin", 0, 1, "end", "exit"]
    captured.launch()
    assert Stream.last.calls[6:] == ["launch"]


def test_a_capture_that_fails_on_a_gpu_is_ended(device):
    def refuse():
        raise cuda.LaunchError("too much shared memory")

    with pytest.raises(cuda.LaunchError, match="too much shared memory"):
        device.DeviceGraph([launch_that(refuse)])
    assert Stream.last.calls == ["enter", "begin", "end", "exit"]


def test_a_gpu_is_given_a_null_pointer_for_none(device):
    handed = []

    def kernel(grid, block, arguments, shared_mem):
        handed.append((grid, block, arguments, shared_mem))

    kernel.max_dynamic_shared_size_bytes = 0
    device.cupy.RawModule = lambda **_: types.SimpleNamespace(get_function=lambda name: kernel)
    x = np.ones(3)
    device.DeviceModule("k.cu", "", {}).launch("k", (1,), (2,), (x, None, np.int32(3)), 0)
    ((grid, block, (array, null, number), shared),) = handed
    assert (grid, block, shared) == ((1,), (2,), 0) and array is x and number == 3
    assert null == 0 and null.dtype == np.uintp and null.nbytes == np.dtype(np.intp).itemsize
