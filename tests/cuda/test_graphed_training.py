"""Training as replays of a graph: what lies on the device, and whole runs."""

import os
import signal

import numpy as np
import pytest
from traces import TINY_RUN, assert_same_bits, assert_same_run, loader, run_tiny

import minires as mr
from minires import backend
from minires.cli import main
from minires.cuda import graph
from minires.data import Loader, Normalization, ResidentBatches, load_shapes
from minires.training import Config, Diverged, Trainer, checkpoint
from minires.training.evaluate import Metrics
from minires.training.graphed import is_graphed
from minires.training.weights import read_arrays, write_arrays

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)


@pytest.fixture(autouse=True)
def on_the_emulator(fresh_start):
    mr.use("emulator")


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


@pytest.mark.parametrize(
    "name", [n for n in ("numpy", "numba", "emulator") if not backend.problem(n)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adam_reads_learning_rate_and_step_from_memory(name, dtype):
    with mr.use(name):
        arrays = np.random.default_rng(0).random((4, 2000)).astype(dtype)
        results = []
        for lr, done in ((0.1, 6), (np.asarray(0.1), 6), (0.1, 7)):
            p, g, m, v = arrays.copy()
            t, how = np.array(done), ((0.9, 0.999), 1e-8, [1e-2], True)
            backend.kernel("adam").update([p], [g], [m], [v], [t], lr, *how)
            assert t == done + 1
            results.append({"p": p, "m": m, "v": v})
        assert_same_bits(*results[:2])
        assert results[0]["p"].tobytes() != results[2]["p"].tobytes()


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


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory) -> Trainer:
    with mr.use("emulator"):
        return run_tiny(tmp_path_factory.mktemp("plain"))


def count_replays(monkeypatch) -> list:
    replays, replay = [], graph.Graph.replay
    monkeypatch.setattr(graph.Graph, "replay", lambda g, *x: replays.append(g) or replay(g, *x))
    return replays


def test_a_run_of_replays_has_the_bits_of_a_plain_run(tmp_path, plain_run, monkeypatch):
    replays = count_replays(monkeypatch)
    assert_same_run(plain_run, run_tiny(tmp_path, graph=True))
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
        run_tiny(tmp_path, graph=first)
    monkeypatch.undo()
    replays = count_replays(monkeypatch)
    resumed = run_tiny(tmp_path, resume=True, graph=then)
    assert resumed.resumed and bool(replays) == bool(then)
    assert_same_run(plain_run, resumed)


def test_a_run_of_adamw_replays_and_resumes_to_the_same_bits(tmp_path, monkeypatch):
    """The step number is on the device: neither a replay nor a resumed run counts anew."""
    settings = {"optimizer": "adamw", "decay_norm_bias": False}
    plain = run_tiny(tmp_path / "plain", **settings)
    assert_same_run(plain, run_tiny(tmp_path / "graph", graph=True, **settings))
    original = checkpoint.write

    def write_and_stop(trainer):
        original(trainer)
        if trainer.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(checkpoint, "write", write_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run_tiny(tmp_path / "stopped", graph=True, **settings)
    monkeypatch.undo()
    resumed = run_tiny(tmp_path / "stopped", resume=True, graph=True, **settings)
    assert_same_run(plain, resumed)
    assert int(resumed.optimizer.state()["step.0"]) == 6


def test_a_run_of_less_than_a_batch_is_plain(tmp_path):
    trainer = run_tiny(tmp_path, train_size=5, epochs=1, graph=True)
    assert trainer.graphed is None and trainer.step == 1


def test_graphs_are_the_default_on_a_gpu_only(monkeypatch):
    assert not is_graphed(Config())
    assert is_graphed(Config(graph=True))
    monkeypatch.setattr(backend._current, "process", "cupy")
    assert is_graphed(Config()) and not is_graphed(Config(graph=False))
    assert not is_graphed(Config(clip_grad_norm=1.0))
    assert not is_graphed(Config(on_nan="skip")) and not is_graphed(Config(detect_anomaly=True))


def test_a_graph_that_diverges_says_so_when_its_sums_are_read(tmp_path):
    """No single step is looked at; the array that is not finite is named, and never kept."""
    with np.errstate(all="ignore"), pytest.raises(Diverged, match="not finite.*has diverged; try"):
        run_tiny(tmp_path, graph=True, lr=1e38, train_size=16, batch_size=8)
    arrays, _ = read_arrays(tmp_path / "checkpoint")
    assert all(np.isfinite(array).all() for array in arrays.values())


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
    run_tiny(tmp_path, epochs=None, steps=2)
    arrays, metadata = read_arrays(tmp_path / "checkpoint")
    assert '"graph": null' in metadata["config"]
    metadata["config"] = metadata["config"].replace(', "graph": null', "")
    write_arrays(tmp_path / "checkpoint", arrays, metadata)
    config = Config(**TINY_RUN | {"epochs": None, "steps": 2, "out": str(tmp_path)})
    assert Trainer(config, True).step == 2
