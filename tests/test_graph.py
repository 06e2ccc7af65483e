"""Graphs: replays have the bits of plain steps, and what they could not repeat is refused."""

import gc
import importlib.util
import os
import signal
import sys
import types
import weakref
from pathlib import Path

import numpy as np
import pytest
from traces import Training, assert_replays_are_plain_steps, assert_same_bits, batches

import minires as mr
from minires import Tensor, backend, cuda, optim
from minires import functional as F
from minires.cli import main
from minires.cuda import graph
from minires.cuda.graph import GraphError
from minires.data import Loader, Normalization, ResidentBatches, load_shapes
from minires.function import Function
from minires.training import Config, Trainer, checkpoint
from minires.training.evaluate import Metrics
from minires.training.graphed import is_graphed
from minires.training.weights import read_arrays

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)


@pytest.fixture(autouse=True)
def on_the_emulator(fresh_start):
    mr.use("emulator")


def test_replays_have_the_bits_of_plain_steps():
    assert_replays_are_plain_steps("emulator", fused=None)


def test_replays_of_operations_of_their_own_have_them_too():
    assert_replays_are_plain_steps("emulator", fused=False, nesterov=True, decay_norm_bias=False)


@pytest.mark.parametrize(
    ("model", "shortcut"), [("plain8", None), ("resnet8", "B"), ("resnet8", "C")]
)
def test_replays_of_every_kind_of_network_have_them(model, shortcut):
    assert_replays_are_plain_steps("emulator", model=model, shortcut=shortcut)


def test_a_capture_computes_nothing():
    training = Training()
    before = training.state()
    captured = graph.capture(training.step, *batches(1)[0])
    assert_same_bits(before, training.state())
    assert captured.launches > 30 and not graph.capturing()
    captured(*batches(1)[0])
    assert before["conv1.weight"].tobytes() != training.state()["conv1.weight"].tobytes()


def test_outputs_are_overwritten_by_the_next_replay():
    relu = graph.capture(lambda x: F.relu(Tensor(x)), np.zeros(3, np.float32))
    first = relu.replay(np.array([-1, 2, 3], np.float32))
    assert first is relu.outputs and first.numpy().tolist() == [0, 2, 3]
    assert relu.replay(np.array([4, -5, 6], np.float32)) is first
    assert first.numpy().tolist() == [4, 0, 6]


def test_a_step_may_have_no_inputs():
    x = np.array([1, 2], np.float32)
    doubled = graph.capture(lambda: Tensor(x) + Tensor(x))
    x[...] = 5
    assert doubled().numpy().tolist() == [10, 10]


def test_two_leaves_may_share_a_gradient():
    a, b = (Tensor(np.ones(4, np.float32), requires_grad=True) for _ in range(2))

    def step(dy):
        a.grad = b.grad = None
        (F.relu(a) + b).backward(dy)

    for dy in np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32):
        captured = graph.capture(step, dy)
        captured(2 * dy)
        assert a.grad.tolist() == b.grad.tolist() == (2 * dy).tolist()


def test_a_graph_keeps_what_its_kernels_reach_by_addresses_in_a_table():
    training = Training()
    captured = graph.capture(training.step, *batches(1)[0])
    weights, velocity = (
        weakref.ref(a) for a in (training.sgd.params[0].data, training.sgd.velocities[0])
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
    captured = graph.capture(training.step, *batches(1)[0])
    before = training.state()
    with pytest.raises(GraphError, match=message):
        captured.replay(*inputs)
    assert_same_bits(before, training.state())


def test_an_input_must_be_an_array():
    with pytest.raises(GraphError, match="input 1 of a step must be an array, but is float"):
        graph.capture(print, np.zeros(3), 0.5)
    with pytest.raises(GraphError, match="input 0 of a step must be an array, but is Tensor"):
        graph.capture(print, Tensor(np.zeros(3)))


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
    "another capture": lambda t, loss: graph.capture(print),
}


def loader(**how) -> Loader:
    train, _ = load_shapes(23, 1, image_size=8)
    return Loader(train, Normalization.make("per-pixel", train.images), 5, **how)


@pytest.mark.parametrize("what", HOST)
def test_what_needs_the_host_is_refused_in_words(what):
    training = Training()
    before = training.state()

    def step(*batch):
        loss, _ = training.step(*batch)
        HOST[what](training, loss)

    named = what if what not in ("float", "print", "state_dict", "metrics") else "on the host"
    with pytest.raises(GraphError, match=f"a step that is captured.*cannot contain .*{named}"):
        graph.capture(step, *batches(1)[0])
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
        graph.capture(lambda x: step(Tensor(x)), images(2, 3, 3, 3))
    assert not graph.capturing()


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_backends_without_launches_are_refused_and_nothing_is_computed(name):
    if backend.problem(name):
        pytest.skip(backend.problem(name))
    mr.use(name)
    training = Training()
    before = training.state()
    with pytest.raises(GraphError, match=f"on backend {name}.*graphs are of backend cupy or emu"):
        graph.capture(training.step, *batches(1)[0])
    assert_same_bits(before, training.state())


def test_sgd_refuses_arrays_that_its_kernel_cannot_update():
    p = [np.zeros((4, 4), np.float32)[:, :2]]
    update = backend.kernel("sgd").update
    with pytest.raises(GraphError, match=r"SGD of arrays that are not alike and contiguous.*\(4"):
        graph.capture(lambda: update(p, p, p, 0.1, 0.9, [0.0], False))


def test_an_error_of_a_launch_comes_where_it_is_asked_for(tmp_path):
    path = tmp_path / "cuda.cu"
    path.write_text('#include "minires.cuh"\n__global__ void k(float* y) { y[threadIdx.x] = 1; }')
    kernel = cuda.Module(path, ["k"])
    with pytest.raises(cuda.LaunchError, match="y must be float32, but is float64"):
        graph.capture(lambda: kernel.launch("k", (1,), (4,), (np.zeros(4),)))
    assert not graph.capturing()


# What lies on the device


@pytest.mark.parametrize(
    "name", [n for n in ("numpy", "numba", "emulator") if not backend.problem(n)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sgd_reads_a_learning_rate_from_memory(name, dtype):
    with mr.use(name):
        rng = np.random.default_rng(0)
        p, g, v = rng.standard_normal((3, 2000)).astype(dtype)
        results = []
        for lr in (0.1, np.asarray(0.1)):
            own, velocity = p.copy(), v.copy()
            backend.kernel("sgd").update([own], [g], [velocity], lr, 0.9, [1e-4], True)
            results.append({"p": own, "v": velocity})
        assert_same_bits(*results)
        assert results[0]["p"].tobytes() != p.tobytes()


def logits_of_all_kinds(dtype) -> dict:
    rng = np.random.default_rng(0)
    random = rng.standard_normal((67, 45))
    ties = rng.integers(0, 3, (40, 10)) / 2
    unusual = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], (64, 7))
    wide = np.repeat(rng.standard_normal((5, 33)), 3, axis=1)  # ties 32 classes apart and closer
    return {
        "random": random.astype(dtype),
        "ties": ties.astype(dtype),
        "unusual": unusual.astype(dtype),
        "wide": np.concatenate([wide, wide], axis=1).astype(dtype),
        "one": np.ones((1, 1), dtype),
    }


@pytest.mark.parametrize("kind", logits_of_all_kinds(np.float32))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_metrics_count_as_numpy_does(kind, dtype):
    logits = logits_of_all_kinds(dtype)[kind]
    metrics = Metrics(loss_sum=2.5, correct=3, count=1)
    expected = 3
    for offset in range(2):  # right wherever argmax points, and a class farther
        labels = (logits.argmax(axis=1) + offset * (np.arange(len(logits)) % 2)) % logits.shape[1]
        metrics.add(np.asarray(0.3, dtype), logits, labels)
        expected += (logits.argmax(axis=1) == labels).sum()
    sums = 2.5 + 2 * (float(dtype(0.3)) * len(logits))
    assert metrics.state()["correct"] == expected
    assert metrics.state()["loss_sum"] == pytest.approx(sums, rel=1e-15)
    assert metrics.count == 1 + 2 * len(logits)


def test_the_next_iteration_has_its_own_rate():
    for name in ("numpy", "emulator"):
        with mr.use(name):
            number, rate, seen = backend.asarray(0, np.int64), backend.asarray(1.0), []
            for _ in range(3):
                backend.kernel("iteration").advance(number, np.array([1.0, 2.0, 4.0]), rate)
                seen.append((int(number), float(rate)))
            assert seen == [(1, 2.0), (2, 4.0), (3, 4.0)]


@pytest.mark.parametrize("how", [{}, {"shuffle": True}, {"shuffle": True, "augment": True}])
@pytest.mark.parametrize("name", ["numpy", "emulator"])
def test_resident_batches_are_those_of_the_loader(name, how):
    with mr.use(name):
        batched = loader(seed=3, **how)
        resident = ResidentBatches(batched)
        assert len(resident) == 4  # and a batch of 3 images is left
        for epoch, start in ((0, 0), (2, 1)):
            resident.load(epoch, start)
            for x, labels in list(batched.batches(epoch, start))[:-1]:
                own, own_labels = resident.next()
                assert own.data.tobytes() == x.data.tobytes()
                assert own_labels.tolist() == labels.tolist()
                resident.number += 1


def test_less_images_than_a_batch_are_refused():
    train, _ = load_shapes(4, 1, image_size=8)
    with pytest.raises(ValueError, match="ResidentBatches: 4 images give no batch of 5"):
        ResidentBatches(Loader(train, Normalization.make("cifar10"), 5))


# Whole runs

TINY = {
    "model": "resnet8",
    "dataset": "shapes",
    "image_size": 8,
    "train_size": 37,  # two batches of 16 and one of 5
    "test_size": 10,
    "batch_size": 16,
    "backend": "emulator",
    "epochs": 2,
    "schedule": "cosine",
    "warm_up": 1,
    "checkpoint_every": 1,
}


def train(out, resume=False, **settings) -> Trainer:
    trainer = Trainer(Config(**TINY | settings, out=str(out)), resume)
    trainer.run()
    return trainer


def without_times(history: list) -> list:
    times = ("seconds", "images_per_second")
    return [{k: v for k, v in row.items() if k not in times} for row in history]


def assert_same_run(first: Trainer, second: Trainer) -> None:
    assert without_times(first.history) == without_times(second.history)
    for name in ("last.safetensors", "best.safetensors", "checkpoint"):
        assert_same_bits(*(read_arrays(trainer.out / name)[0] for trainer in (first, second)))


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory) -> Trainer:
    with mr.use("emulator"):
        return train(tmp_path_factory.mktemp("plain"))


def count_replays(monkeypatch) -> list:
    replays, replay = [], graph.Graph.replay
    monkeypatch.setattr(graph.Graph, "replay", lambda g, *x: replays.append(g) or replay(g, *x))
    return replays


def test_a_run_of_replays_has_the_bits_of_a_plain_run(tmp_path, plain_run, monkeypatch):
    replays = count_replays(monkeypatch)
    assert_same_run(plain_run, train(tmp_path, graph=True))
    assert len(replays) == 4 and len(set(replays)) == 1  # captured once; two odd batches are plain


@pytest.mark.parametrize(
    ("stop_at", "first", "then"), [(1, True, True), (3, False, True), (4, True, None)]
)
def test_a_stopped_run_resumes_to_the_same_bits(
    tmp_path, plain_run, stop_at, first, then, monkeypatch
):
    """Also where the run went on without a graph, or begins one only now."""
    original = checkpoint.write

    def write_and_stop(trainer):
        original(trainer)
        if trainer.step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(checkpoint, "write", write_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, graph=first)
    monkeypatch.undo()
    replays = count_replays(monkeypatch)
    resumed = train(tmp_path, resume=True, graph=then)
    assert resumed.resumed and bool(replays) == bool(then)
    assert_same_run(plain_run, resumed)


def test_a_run_of_less_than_a_batch_is_plain(tmp_path):
    trainer = train(tmp_path, train_size=5, epochs=1, graph=True)
    assert trainer.graphed is None and trainer.step == 1


def test_graphs_are_the_default_on_a_gpu_only(monkeypatch):
    assert not is_graphed(Config())
    assert is_graphed(Config(graph=True))
    monkeypatch.setattr(backend, "_current", "cupy")
    assert is_graphed(Config()) and not is_graphed(Config(graph=False))
    assert not is_graphed(Config(clip_grad_norm=1.0))


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_backends_without_graphs_say_so(tmp_path, name, capsys):
    if backend.problem(name):
        pytest.skip(backend.problem(name))
    out = tmp_path / "run"
    command = f"train --dataset shapes --backend {name} --graph --steps 1 --out {out}"
    assert main(command.split()) == 1 and not out.exists()
    assert f"(backend cupy or emulator), but the backend is {name}" in capsys.readouterr().err


def test_clipping_and_graphs_exclude_each_other():
    with pytest.raises(ValueError, match="--graph and --clip-grad-norm exclude each other"):
        Config(graph=True, clip_grad_norm=1.0)


def test_the_command_line_says_that_steps_are_a_graph(tmp_path, capsys):
    options = "--model resnet8 --dataset shapes --image-size 8 --train-size 16 --test-size 4"
    options += f" --batch-size 16 --backend emulator --steps 1 --out {tmp_path / 'run'}"
    assert main(["train", *options.split(), "--graph"]) == 0
    assert "backend   emulator, steps as a graph\n" in capsys.readouterr().out


def test_a_checkpoint_from_before_there_were_graphs_is_resumed(tmp_path):
    train(tmp_path, epochs=None, steps=2)
    arrays, metadata = read_arrays(tmp_path / "checkpoint")
    from minires.training.weights import write_arrays

    assert '"graph": null' in metadata["config"]
    metadata["config"] = metadata["config"].replace(', "graph": null', "")
    write_arrays(tmp_path / "checkpoint", arrays, metadata)
    assert (
        Trainer(Config(**TINY | {"epochs": None, "steps": 2, "out": str(tmp_path)}), True).step == 2
    )


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
