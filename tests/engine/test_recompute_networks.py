"""Networks that are trained with recomputing: steps, graphs, whole runs."""

import os
import signal
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from traces import (
    Training,
    assert_same_bits,
    assert_same_run,
    batches,
    images,
    run_tiny,
)

import minires as mr
from minires import Tensor, backend, models
from minires import functional as F
from minires.cli import main
from minires.cuda_graph import capture
from minires.models import BasicBlock
from minires.recompute import recomputed
from minires.training import Config
from minires.training import checkpoint as checkpoints
from minires.training.graphed import is_graphed


def works(name: str):
    """A parameter of a test that is skipped where backend `name` does not work."""
    marks = [pytest.mark.skipif(backend.problem(name) is not None, reason=f"no {name}")]
    return pytest.param(name, marks=marks + [pytest.mark.emulator] * (name == "emulator"))


# Steps


@pytest.mark.parametrize("name", [works("numpy"), works("numba"), works("emulator")])
@pytest.mark.parametrize(
    ("model", "shortcut"), [("resnet14", "A"), ("resnet8", "B"), ("plain8", None)]
)
def test_training_steps_have_the_bits_of_plain_ones(name, model, shortcut):
    """Losses, weights, velocities and running statistics, as the backend likes to compute."""
    mr.use(name)
    kept, recomputed = (Training(model=model, shortcut=shortcut) for _ in range(2))
    recomputed.model.recompute = True
    for batch in batches(2):
        kept.step(*batch)
        recomputed.step(*batch)
        assert_same_bits(kept.state(), recomputed.state())


@pytest.mark.parametrize("fused", [False, True])
def test_both_ways_to_compute_a_block_have_them(fused):
    kept, recomputed = (Training(fused) for _ in range(2))
    recomputed.model.recompute = True
    for batch in batches(2):
        kept.step(*batch)
        recomputed.step(*batch)
    assert_same_bits(kept.state(), recomputed.state())


@pytest.mark.skipif(backend.problem("emulator") is not None, reason="no emulator")
@pytest.mark.emulator
def test_replays_of_a_graph_have_the_bits_of_plain_steps():
    mr.use("emulator")
    kept, recomputed = (Training() for _ in range(2))
    recomputed.model.recompute = True
    captured = capture(recomputed.step, *batches(1)[0])
    for batch in batches(3):
        kept.step(*batch)
        captured.replay(*batch)
        assert_same_bits(kept.state(), recomputed.state())


# Networks


def test_only_training_recomputes(monkeypatch):
    calls = []
    monkeypatch.setattr(models.blocks, "recomputed", lambda *a: calls.append(a) or recomputed(*a))
    net, x = models.build("resnet44", recompute=True), Tensor(images(2, 8, 8, 3))
    assert net.state_dict().keys() == models.build("resnet44").state_dict().keys()
    net(x)
    assert [len(blocks) for blocks, _ in calls] == [2] * 10  # of 21; the last is ordinary
    calls.clear()
    net.eval()(x)
    models.build("resnet44")(x)
    assert not calls


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9, 18])
def test_every_block_runs_once_and_in_order(n, monkeypatch):
    ran = []
    forward = BasicBlock.forward
    monkeypatch.setattr(BasicBlock, "forward", lambda b, x: ran.append(b) or forward(b, x))
    net = models.CifarResNet(n, recompute=True)
    net(Tensor(images(2, 4, 4, 3)))
    assert ran == [*net.layer1, *net.layer2, *net.layer3]


def bytes_of_a_step(recompute: bool) -> tuple[int, int]:
    """What is held after the forward of a training step, and the most at any time."""
    net = models.build("resnet44", recompute=recompute)
    x = Tensor(images(128, 16, 16, 3))
    tracemalloc.start()
    try:
        loss = F.cross_entropy(net(x), np.zeros(128, np.int64))
        held, _ = tracemalloc.get_traced_memory()
        loss.backward()
        return held, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_training_step_of_a_deep_net_takes_less_memory():
    """What is held shrinks 5.8 times, the peak 2.5: a reference convolution has 4 MB of its own."""
    held, peak = bytes_of_a_step(False)
    held_then, peak_then = bytes_of_a_step(True)
    assert 5 * held_then < held and 2.2 * peak_then < peak


def test_networks_without_blocks_are_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match="alexnet has no blocks.* in resnets and plain nets"):
        models.build("alexnet", recompute=True)
    out = tmp_path / "run"
    command = f"train --model vgg16 --image-size 224 --dataset shapes --recompute --out {out}"
    assert main(command.split()) == 1 and not out.exists()
    assert "minires: vgg16 has no blocks whose input" in capsys.readouterr().err


# Whole runs


def test_a_run_may_be_resumed_with_and_without_to_the_same_bits(tmp_path, monkeypatch):
    kept = run_tiny(tmp_path / "kept", backend="numpy")
    assert_same_run(kept, run_tiny(tmp_path / "all", backend="numpy", recompute=True))
    original = checkpoints.write

    def write_and_stop(trainer):
        original(trainer)
        if trainer.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(checkpoints, "write", write_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run_tiny(tmp_path / "some", backend="numpy", recompute=True)
    monkeypatch.undo()
    assert_same_run(kept, run_tiny(tmp_path / "some", resume=True, backend="numpy"))


@pytest.mark.skipif(backend.problem("emulator") is not None, reason="no emulator")
@pytest.mark.emulator
def test_runs_of_replays_and_in_half_storage_have_the_bits_too(tmp_path):
    how = {"precision": "bf16", "epochs": 1}
    kept = run_tiny(tmp_path / "kept", **how)
    assert_same_run(kept, run_tiny(tmp_path / "all", recompute=True, graph=True, **how))


def test_the_command_line_recomputes(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(models.blocks, "recomputed", lambda *a: calls.append(a) or recomputed(*a))
    options = "train --model resnet8 --dataset shapes --image-size 8 --train-size 16 --test-size 4"
    options += f" --batch-size 16 --steps 1 --backend numpy --out {tmp_path}/"
    assert main(f"{options}kept".split()) == 0 and not calls
    assert main(f"{options}run --recompute".split()) == 0 and calls


def test_a_graph_must_be_asked_for_beside_it(monkeypatch):
    """Its arrays would take more memory, not less."""
    monkeypatch.setattr(backend._current, "process", "cupy")
    config = Config(recompute=True)
    assert not is_graphed(config) and is_graphed(replace(config, graph=True))
