"""Training: what a run leaves behind, and that it can be stopped and resumed to the same bits."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest

from minires import backend, cuda, models, optim
from minires.data import load_shapes
from minires.training import Config, Trainer, TrainingError, evaluate, load_weights
from minires.training.config import PAPER_STEPS
from minires.training.evaluate import Metrics
from minires.training.weights import WeightsError, read_arrays

TINY = {
    "model": "resnet8",
    "dataset": "shapes",
    "image_size": 8,
    "train_size": 80,
    "test_size": 40,
    "batch_size": 16,
    "backend": "numpy",
}


def train(out, resume=False, **settings) -> Trainer:
    trainer = Trainer(Config(**{**TINY, "epochs": 2, **settings, "out": str(out)}), resume)
    trainer.run()
    return trainer


def arrays(out, name="last.safetensors"):
    return read_arrays(out / name)[0]


def assert_same_bits(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.tobytes() == second[name].tobytes(), name


def test_a_run_leaves_the_promised_files(tmp_path):
    trainer = train(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "metrics.csv",
        "config.json",
        "curves.png",
        "last.safetensors",
        "best.safetensors",
        "checkpoint",
    }
    with open(tmp_path / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == (
        "epoch step lr train_loss train_acc test_loss test_acc seconds images_per_second".split()
    )
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "5"), ("2", "10")]
    assert [float(row["test_acc"]) for row in rows] == [r["test_acc"] for r in trainer.history]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "config.json").read_text())["model"] == "resnet8"


def test_seconds_end_when_the_device_is_ready(tmp_path, monkeypatch):
    """Replays of a graph are only queued; whoever reads the sums waits until they are done."""

    def late(self):
        time.sleep(0.2)
        return state(self)

    state = Metrics.state
    monkeypatch.setattr(Metrics, "state", late)
    trainer = train(tmp_path, epochs=1)
    assert trainer.history[0]["seconds"] >= 0.4  # read as the step is shown, and at the end


def test_saved_weights_evaluate_to_the_recorded_accuracy(tmp_path):
    trainer = train(tmp_path)
    model = models.resnet8()
    normalization = load_weights(tmp_path / "last.safetensors", model)
    loss, accuracy = evaluate(model, trainer.test_set, normalization, batch_size=7)
    assert accuracy == trainer.history[-1]["test_acc"]
    assert loss == pytest.approx(trainer.history[-1]["test_loss"], rel=1e-5)


def test_the_loss_falls(tmp_path):
    history = train(tmp_path, epochs=12, lr=0.05, augment=False).history
    assert history[-1]["train_loss"] < history[0]["train_loss"] - 0.5


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
    train(tmp_path / "a")
    train(tmp_path / "b")
    train(tmp_path / "c", seed=1)
    assert_same_bits(arrays(tmp_path / "a"), arrays(tmp_path / "b"))
    name = "conv1.weight"
    assert not np.array_equal(arrays(tmp_path / "a")[name], arrays(tmp_path / "c")[name])


class Interruption(Exception):
    """Stands for whatever ends a process in the middle of an epoch."""


@pytest.mark.parametrize(
    ("stop_at", "settings"),
    [(3, {}), (5, {}), (7, {}), (9, {}), (5, {"optimizer": "adam"}), (7, {"optimizer": "adamw"})],
)
def test_a_stopped_run_resumes_to_the_same_bits(tmp_path, stop_at, settings, monkeypatch):
    settings = settings | {"checkpoint_every": 2}
    whole = train(tmp_path / "whole", **settings)

    original = Trainer._train_step

    def interrupted(self, x, labels):
        if self.step == stop_at:
            raise Interruption
        original(self, x, labels)

    monkeypatch.setattr(Trainer, "_train_step", interrupted)
    with pytest.raises(Interruption):
        train(tmp_path / "stopped", **settings)
    monkeypatch.undo()
    resumed = train(tmp_path / "stopped", resume=True, **settings)
    assert resumed.resumed
    for name in ("last.safetensors", "best.safetensors", "checkpoint"):
        assert_same_bits(arrays(tmp_path / "whole", name), arrays(tmp_path / "stopped", name))
    timing = ("seconds", "images_per_second")
    for a, b in zip(whole.history, resumed.history, strict=True):
        assert {k: a[k] for k in a if k not in timing} == {k: b[k] for k in b if k not in timing}


def test_a_killed_process_resumes_to_the_same_bits(tmp_path):
    """kill -9 in the middle of an epoch, then --resume, on the real command line."""

    def command(out, *more):
        options = [f"--{k.replace('_', '-')}={v}" for k, v in TINY.items()]
        options += ["--epochs=10", "--checkpoint-every=3", f"--out={tmp_path / out}", *more]
        return [sys.executable, "-m", "minires", "train", *options]

    killed = subprocess.Popen(command("killed"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL, "the run ended before it could be killed"

    subprocess.run(command("killed", "--resume"), check=True, capture_output=True)
    subprocess.run(command("whole"), check=True, capture_output=True)
    assert_same_bits(arrays(tmp_path / "killed"), arrays(tmp_path / "whole"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_finishes_the_step_and_loses_nothing(tmp_path, monkeypatch, number):
    """Even one that comes in the middle of the update of the parameters."""
    original = optim.SGD.step

    def interrupted(self):
        self.count = getattr(self, "count", 0) + 1
        if self.count == 4:
            os.kill(os.getpid(), number)
        original(self)

    monkeypatch.setattr(optim.SGD, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped")
    monkeypatch.undo()
    config = Config(**{**TINY, "epochs": 2, "out": str(tmp_path / "stopped")})
    assert Trainer(config, resume=True).step == 4
    train(tmp_path / "stopped", resume=True)
    train(tmp_path / "whole")
    assert_same_bits(arrays(tmp_path / "stopped"), arrays(tmp_path / "whole"))


def test_a_checkpoint_at_the_end_of_an_epoch_resumes_into_its_evaluation(tmp_path, monkeypatch):
    """Killed after the last step of an epoch, before the row of the epoch is written."""
    original = Trainer._finish_epoch

    def killed(self, epoch):
        raise Interruption

    monkeypatch.setattr(Trainer, "_finish_epoch", killed)
    with pytest.raises(Interruption):
        train(tmp_path / "stopped", checkpoint_every=5)
    monkeypatch.setattr(Trainer, "_finish_epoch", original)
    resumed = train(tmp_path / "stopped", resume=True, checkpoint_every=5)
    assert [row["step"] for row in resumed.history] == [5, 10]
    train(tmp_path / "whole", checkpoint_every=5)
    assert_same_bits(arrays(tmp_path / "stopped"), arrays(tmp_path / "whole"))


def test_a_finished_run_resumes_to_nothing_more_to_do(tmp_path):
    train(tmp_path)
    before = (tmp_path / "last.safetensors").read_bytes()
    resumed = train(tmp_path, resume=True)
    assert resumed.step == resumed.total
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_a_finished_run_is_not_overwritten(tmp_path):
    train(tmp_path)
    with pytest.raises(TrainingError, match="already holds a training run.*--resume"):
        train(tmp_path)


def test_other_settings_cannot_be_resumed(tmp_path):
    train(tmp_path)
    with pytest.raises(TrainingError, match=r"lr was 0\.1 and is now 0\.2"):
        train(tmp_path, resume=True, lr=0.2)


def test_a_setting_that_is_new_since_then_had_its_default():
    earlier = asdict(Config())
    del earlier["precision"]
    assert Config().differences(earlier) == []
    changed = Config(precision="tf32").differences(earlier)
    assert changed == ["precision was 'auto' and is now 'tf32'"]


def test_the_precision_of_products_is_a_setting(tmp_path):
    with pytest.raises(ValueError, match="precision tf32 is for tensor cores.*backend is numpy"):
        train(tmp_path / "refused", backend="numpy", precision="tf32")
    with pytest.raises(ValueError, match="precision is auto, float32, .*, but not 'half'"):
        train(tmp_path / "refused", backend="numpy", precision="half")
    assert not (tmp_path / "refused").exists()
    train(tmp_path / "run", backend="numpy", precision="float32")
    assert cuda._precision.get() == "float32"


def test_a_resumed_run_stays_with_what_auto_chose(tmp_path, monkeypatch):
    from minires import data

    shapes = data.load_shapes(80, 40, image_size=32)
    monkeypatch.setattr(data, "load", lambda *a: (*shapes, "shapes"))
    first = train(tmp_path, dataset="auto", backend="auto", steps=2, epochs=None)
    assert (first.config.dataset, first.config.backend) == ("shapes", backend.default())
    assert json.loads((tmp_path / "config.json").read_text())["dataset"] == "shapes"
    asked = []
    monkeypatch.setattr(data, "load", lambda name, *a: asked.append(name) or (*shapes, name))
    train(tmp_path, resume=True, dataset="auto", backend="auto", steps=2, epochs=None)
    assert asked == ["shapes"]


def test_a_damaged_checkpoint_is_named(tmp_path):
    train(tmp_path)
    content = (tmp_path / "checkpoint").read_bytes()
    (tmp_path / "checkpoint").write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="checkpoint: not a whole safetensors file"):
        train(tmp_path, resume=True)


def test_divergence_is_said_and_writes_no_nan_weights(tmp_path):
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match="diverged.*smaller --lr"):
        train(tmp_path, lr=1e20)
    assert not (tmp_path / "last.safetensors").exists()


def test_steps_may_end_within_an_epoch(tmp_path):
    history = train(tmp_path, epochs=None, steps=7).history
    assert [row["step"] for row in history] == [5, 7]


def test_every_option_of_the_recipe_trains(tmp_path):
    train(
        tmp_path,
        shortcut="B",
        nesterov=True,
        decay_norm_bias=False,
        schedule="one-cycle",
        warm_up=2,
        clip_grad_norm=1.0,
        label_smoothing=0.1,
        augment=False,
        normalization="cifar10",
    )


def test_the_default_recipe_is_the_papers():
    config = Config(dataset="cifar10")
    assert config.total_steps(391) == PAPER_STEPS == 64_000
    rate = config.learning_rate(64_000)
    steps = (0, 31_999, 32_000, 47_999, 48_000, 63_999)
    assert [rate(i) for i in steps] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert (config.batch_size, config.momentum, config.weight_decay) == (128, 0.9, 1e-4)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 1e-4}),
        ("adam", {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.0}),
        ("adamw", {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.01}),
    ],
)
def test_every_optimizer_has_its_own_defaults(tmp_path, optimizer, expected):
    names = ("lr", "momentum", "nesterov", "betas", "weight_decay")
    config = asdict(Config(optimizer=optimizer))
    assert {name: config[name] for name in names} == dict.fromkeys(names) | expected
    given = asdict(Config(optimizer=optimizer, lr=0.5, weight_decay=0.25))
    assert given == config | {"lr": 0.5, "weight_decay": 0.25}
    trainer = train(tmp_path, optimizer=optimizer, schedule="constant", epochs=None, steps=1)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["lr"] == expected["lr"] == trainer.optimizer.lr
    assert trainer.optimizer.groups[0]["weight_decay"] == expected["weight_decay"]
    assert type(trainer.optimizer).__name__.lower() == optimizer


def test_vectors_may_be_spared_from_weight_decay(tmp_path):
    trainer = train(tmp_path, optimizer="adamw", decay_norm_bias=False, epochs=None, steps=1)
    decayed, spared = trainer.optimizer.groups
    assert decayed["weight_decay"] == 0.01 and spared["weight_decay"] == 0
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in spared["params"]} == {1}


def test_deep_nets_warm_up_as_in_the_paper():
    rate = Config(model="resnet110").learning_rate(64_000)
    assert [rate(i) for i in (0, 399, 400)] == pytest.approx([0.01, 0.01, 0.1])
    assert Config(model="resnet110", warm_up=0).learning_rate(64_000)(0) == pytest.approx(0.1)


def test_a_shortened_run_keeps_the_shape_of_the_schedule():
    config = Config(dataset="cifar10", epochs=10)
    total = config.total_steps(391)
    rate = config.learning_rate(total)
    assert total == 3910
    assert [rate(i) for i in (1954, 1955, 2932, 2933)] == pytest.approx([0.1, 0.01, 0.01, 0.001])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 1, "steps": 1}, "not both"),
        ({"epochs": 0}, "epochs must be an integer, at least 1, but is 0"),
        ({"batch_size": 0}, "batch_size"),
        ({"schedule": "linear"}, "step, cosine, one-cycle or constant"),
        ({"optimizer": "rmsprop"}, "optimizer is one of sgd, adam, adamw, but is 'rmsprop'"),
        ({"optimizer": "adamw", "momentum": 0.9}, "momentum is no setting of the optimizer adamw"),
        ({"betas": (0.9, 0.99)}, "betas is no setting of the optimizer sgd"),
        ({"seed": -1}, "seed"),
        ({"lr": float("nan")}, "lr must be a finite number, at least 0, but is nan"),
        ({"lr": float("inf")}, "lr must be a finite number, at least 0, but is inf"),
        ({"clip_grad_norm": -1}, "clip_grad_norm must be"),
        ({"label_smoothing": 1.5}, "label_smoothing must be .* at most 1, but is 1.5"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 1.5}, "batch_size must be an integer, at least 1, but is 1.5"),
        ({"batch_size": None}, "batch_size must be an integer, at least 1, but is None"),
        ({"seed": None}, "seed must be an integer, at least 0, but is None"),
        ({"seed": True}, "seed must be an integer, at least 0, but is True"),
        ({"lr": "0.1"}, "lr must be a finite number, at least 0, but is '0.1'"),
        ({"momentum": 1j}, "momentum must be a finite number"),
        ({"augment": 1}, "augment must be True or False, but is 1"),
        ({"schedule": None}, "schedule must be a text, but is None"),
    ],
)
def test_settings_of_another_kind_are_named(settings, message):
    with pytest.raises(TypeError, match=message):
        Config(**settings)


def test_paths_and_numpys_numbers_serve_as_settings(tmp_path):
    config = Config(out=tmp_path, data_dir=tmp_path, lr=np.float32(0.5), seed=np.int64(3))
    found = json.loads(config.to_json())
    assert (found["out"], found["lr"], found["seed"]) == (str(tmp_path), 0.5, 3)


def test_evaluation_restores_every_mode_and_changes_nothing():
    model, (_, test) = models.resnet8(), load_shapes(10, 10, image_size=8)
    from minires.data import Normalization

    before = model.state_dict()
    model.train()
    model.bn1.eval()  # frozen on purpose
    evaluate(model, test, Normalization.make("cifar10"))
    assert model.training and model.layer1[0].bn1.training and not model.bn1.training
    assert_same_bits(before, model.state_dict())
