"""`minires reproduce`: every experiment runs, resumes, and leaves others alone."""

import json
import os
import signal
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from experiment_runs import NETS, assert_same_weights, copied, make, make_tiny, reproduce

import minires as mr
from minires import paper
from minires.cli import main
from minires.paper import (
    depth1202,
    queue,
)
from minires.paper.queue import train, train_all
from minires.paper.runs import read_run
from minires.paper.setting import BUDGETS, Setting
from minires.training import Config, Trainer, TrainingError


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    make_tiny(monkeypatch)
    with mr.use("numba"):
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder in which the experiments of this file leave their networks, each trained once."""
    return tmp_path_factory.mktemp("reproduce")


@pytest.mark.parametrize(
    "name, nets",
    [
        ("table6", ("resnet8",)),
        ("figure6", NETS),
        ("figure7", NETS),
        ("table3-cifar", ("resnet8",)),
        ("ensemble", ("resnet8", "plain8")),
        ("multicrop", ("resnet8",)),
        ("gradnorm", NETS),
    ],
)
def test_every_experiment_leaves_its_results(name, nets, out, capsys):
    status, said, err = reproduce(capsys, out, name, "--model", *nets)
    assert status == 0, err
    assert "budget smoke" in said and f"written: {out / name}.json" in said
    content = json.loads((out / f"{name}.json").read_text())
    assert content["budget"] == "smoke" and content["rows"] and content["finding"] in said
    assert content["command"].startswith(f"minires reproduce {name} --budget smoke --model")
    assert content["machine"] and content["date"] and content["networks"]
    assert all(network["dataset"] == "shapes" for network in content["networks"])
    assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for row in content["rows"]:
        assert paper.load(name).COLUMNS.keys() <= row.keys()


@pytest.mark.parametrize("name", paper.NAMES)
def test_every_experiment_knows_every_budget(name):
    module = paper.load(name)
    for budget in BUDGETS:
        assert module.MODELS[budget] and module.SEEDS[budget] >= 1
        Setting(budget, module.MODELS[budget], (0,), None)  # the networks exist


def test_the_full_budget_is_the_recipe_of_the_paper(tmp_path):
    full = Setting("full", ("resnet20",), (3,), tmp_path, {"dataset": "cifar10"}).trainings()[0]
    assert full.config == Config(
        model="resnet20", seed=3, dataset="cifar10", out=str(tmp_path / "runs" / "resnet20-seed3")
    )
    assert full.config.total_steps(391) == 64_000
    short = Setting("shortened", ("plain20",), (0,), tmp_path).config("plain20", 0)
    assert (short.total_steps(391), short.schedule) == (11_730, "cosine")


def test_a_finished_network_is_not_trained_again(out, monkeypatch):
    train_all(make(out).trainings(), note=lambda text: None)

    def refuse(*arguments, **options):
        raise AssertionError("a second training")

    monkeypatch.setattr(Trainer, "__init__", refuse)
    runs = train_all(make(out).trainings(), note=lambda text: None)
    assert [run.config.model for run in runs] == list(NETS)


def test_a_stopped_run_is_taken_up_again(tmp_path, monkeypatch):
    """The resumed run ends with the weights of one that was never stopped."""
    whole, stopped = (make(tmp_path / part, ("resnet8",)) for part in ("whole", "stopped"))
    train_all(whole.trainings(), note=lambda text: None)

    class Stopped(Exception):
        pass

    def learn(trainer, *batch):
        if trainer.step == 2:
            raise Stopped
        Trainer.learn(trainer, *batch)

    (training,) = stopped.trainings()
    broken = type("Broken", (Trainer,), {"learn": learn})
    with pytest.raises(Stopped):
        broken(training.config).run()
    assert (tmp_path / "stopped/runs/resnet8-seed0/checkpoint").exists()
    assert read_run(tmp_path / "stopped/runs/resnet8-seed0") is None  # not finished
    train_all([training], note=lambda text: None)
    assert_same_weights(*(part.out / "runs" / "resnet8-seed0" for part in (whole, stopped)))


def test_a_run_with_other_settings_is_left_alone(out):
    train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    with pytest.raises(TrainingError, match=r"other settings: batch_size was 16 and is now 8"):
        train_all(make(out, ("resnet8",), batch_size=8).trainings(), note=lambda text: None)


def test_an_unfinished_run_with_other_settings_is_left_alone(out, tmp_path):
    """Also by a worker on another machine, whose files would replace it."""
    pytest.importorskip("distributed")
    train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    other = make(tmp_path, ("resnet8",), batch_size=8).trainings()
    path = copied(out, tmp_path, "config.json", "checkpoint")
    before = (path / "checkpoint").read_bytes()
    with pytest.raises(TrainingError, match=r"other settings: batch_size was 16 and is now 8"):
        train_all(other, False, "inproc://nobody", lambda text: None)
    assert (path / "checkpoint").read_bytes() == before and not (path / "metrics.csv").exists()


HEAD = "epoch,step,lr,train_loss,train_acc,test_loss,test_acc,seconds,images_per_second\n"


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("config.json", "{", "config.json: not the settings of a training run"),
        ("config.json", "[]", "config.json: not the settings of a training run"),
        ("config.json", '{"steps": 3}', "model was 'resnet20' and is now 'resnet8'"),
        ("metrics.csv", "epoch,lr\n1,2\n", "metrics.csv: not the record of a training run"),
        ("metrics.csv", HEAD + "1,2,0.1,2.3", "metrics.csv: not the record of a training run"),
        ("metrics.csv", HEAD + "1,nan" + 7 * ",1", "metrics.csv: not the record of a training run"),
    ],
)
def test_a_damaged_record_is_said_in_a_sentence(name, content, sentence, out, tmp_path, capsys):
    train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    path = copied(out, tmp_path, "config.json", "metrics.csv", "checkpoint", "last.safetensors")
    (path / name).write_text(content)
    status, _, err = reproduce(capsys, tmp_path, "table6", "--model", "resnet8", "--seeds", 1)
    assert status == 1 and sentence in err.splitlines()[-1]
    assert not (tmp_path / "table6.json").exists()


@pytest.mark.parametrize("content", [None, HEAD])
def test_a_record_that_is_gone_is_restored_from_the_checkpoint(content, out, tmp_path, capsys):
    train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    path = copied(out, tmp_path, "config.json", "checkpoint", "last.safetensors")
    if content is not None:
        (path / "metrics.csv").write_text(content)
    status, _, _ = reproduce(capsys, tmp_path, "table6", "--model", "resnet8", "--seeds", 1)
    whole = out / "runs" / "resnet8-seed0" / "metrics.csv"
    assert status == 0 and (path / "metrics.csv").read_bytes() == whole.read_bytes()


def test_weights_that_are_gone_are_restored_by_the_command_that_is_named(out, tmp_path, capsys):
    train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    path = copied(out, tmp_path, "config.json", "metrics.csv", "checkpoint")
    words = ("figure7", "--model", "resnet8")
    status, _, err = reproduce(capsys, tmp_path, *words)
    assert status == 1 and f"minires train --out {path} --resume restores them" in err
    assert main(["train", "--out", str(path), "--resume"]) == 0
    assert reproduce(capsys, tmp_path, *words)[0] == 0


def test_data_may_lie_elsewhere_when_it_is_measured(out):
    train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    moved = make(out, ("resnet8",), data_dir="elsewhere").trainings()
    for trainings, place in ((moved, "elsewhere"), (make(out, ("resnet8",)).trainings(), "data")):
        (run,) = train_all(trainings, note=lambda text: None)
        assert run.config.data_dir == place


def test_ctrl_c_in_the_last_evaluation_stops_the_queue(tmp_path, monkeypatch):
    """The run at hand is finished; the next one must not begin."""
    finish = Trainer._finish_epoch

    def interrupted(trainer, epoch):
        if trainer.step == trainer.total:
            os.kill(os.getpid(), signal.SIGINT)
        finish(trainer, epoch)

    monkeypatch.setattr(Trainer, "_finish_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_all(make(tmp_path).trainings(), note=lambda text: None)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["plain8-seed0"]
    assert read_run(tmp_path / "runs" / "plain8-seed0") is not None


@pytest.mark.parametrize("by_dask", [False, True])
def test_a_run_that_diverges_keeps_no_other_from_training(by_dask, tmp_path, monkeypatch):
    class Unlucky(Trainer):
        def learn(self, x, labels, lr):
            super().learn(x, labels, lr * (1e20 if self.config.model == "plain8" else 1))

    def note(text):
        said.append(text)

    said = []
    monkeypatch.setattr(queue, "TRAINERS", {"plain": Unlucky})
    with (
        np.errstate(all="ignore"),
        dask_cluster() if by_dask else nullcontext() as address,
        pytest.raises(TrainingError, match=r"^(training )?plain8-seed0.* training has diverged"),
    ):
        train_all(make(tmp_path).trainings(), False, address, note)
    assert read_run(tmp_path / "runs" / "plain8-seed0") is None
    assert read_run(tmp_path / "runs" / "resnet8-seed0") is not None
    assert any("plain8-seed0" in text and "has diverged" in text for text in said)


def test_a_record_without_weights_serves_curves_only(out, tmp_path, capsys):
    """Weights of deep networks are too large for a repository; their curves are not."""
    train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    copied(out, tmp_path, "config.json", "metrics.csv")
    status, said, _ = reproduce(capsys, tmp_path, "table6", "--model", "resnet8", "--seeds", 1)
    assert status == 0 and "1 of 1 networks are trained already" in said
    status, _, err = reproduce(capsys, tmp_path, "figure7", "--model", "resnet8")
    assert status == 1 and "but not its weights (last.safetensors)" in err
    assert not (tmp_path / "figure7.json").exists()


@contextmanager
def dask_cluster(threads: int = 1):
    """The address of a scheduler with one worker in this process."""
    with local_cluster(1, threads) as cluster:
        yield cluster.scheduler_address


def local_cluster(workers: int, threads: int = 1):
    return pytest.importorskip("distributed").LocalCluster(
        n_workers=workers, threads_per_worker=threads, processes=False, dashboard_address=None
    )


def test_dask_workers_train_what_a_queue_here_would(out, tmp_path):
    """Each in its own directory; what they find out comes back."""
    here = make(out).trainings()
    train_all(here, note=lambda text: None)
    there = make(tmp_path).trainings()
    with dask_cluster(threads=2) as address:
        runs = train_all(there, False, address, lambda text: None)
    for one, other in zip(here, there, strict=True):
        assert_same_weights(Path(one.config.out), Path(other.config.out))
    assert [run.config.model for run in runs] == list(NETS)


def test_who_waits_for_dask_workers_is_told_so(tmp_path):
    def note(text):
        said.append(text)
        cluster.scale(1)

    said = []
    with local_cluster(0) as cluster:
        train_all(make(tmp_path, ("resnet8",)).trainings(), False, cluster.scheduler_address, note)
    assert said[0].startswith("1 networks to train, 0 workers at ")
    assert said[1].startswith("they wait until there is one: dask worker ")


def test_dask_workers_are_told_everything_and_what_they_say_is_a_sentence(tmp_path, monkeypatch):
    """A scheduler may hold another result for the same directory; a worker may lack a package."""
    distributed = pytest.importorskip("distributed")
    (training,) = make(tmp_path, ("resnet8",)).trainings()

    def broken(*arguments, **options):
        raise ModuleNotFoundError("No module named 'numba'")

    monkeypatch.setattr(queue, "TRAINERS", {"plain": broken})
    with dask_cluster() as address, distributed.Client(address) as other:
        kept = other.submit(dict, metrics="foreign", key=f"train {training.config.out}")
        with pytest.raises(TrainingError, match=r"resnet8-seed0 on a Dask worker failed: ModuleN"):
            train_all([training], False, address, lambda text: None)
        assert kept.result() == {"metrics": "foreign"}


def test_a_worker_returns_its_files(out):
    """A driver elsewhere needs them; the record comes last: it says that the run is finished."""
    (training,) = make(out, ("resnet8",)).trainings()
    files = train(training, download=False)
    assert {"metrics.csv", "curves.png", "last.safetensors", "config.json"} == files.keys()
    assert list(files)[-1] == "metrics.csv"


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--model", "resnet50"], "networks for CIFAR, not with resnet50"),
        (["--model", "resnet21"], "no network is named 'resnet21'"),
        (["--model", "vgg8"], "with networks named plainD and resnetD, not with vgg8"),
        (["--seeds", "0"], "at least one seed"),
        (["--model", "resnet8", "resnet8"], "asked for twice"),
        (["--dask", "tcp://127.0.0.1:1"], "no Dask scheduler answers at tcp://127.0.0.1:1"),
    ],
)
def test_what_cannot_be_reproduced_is_said_in_a_sentence(
    words, sentence, tmp_path, capsys, monkeypatch
):
    if "--dask" in words:
        distributed = pytest.importorskip("distributed")

        def unreachable(address, timeout):
            raise OSError("timed out")

        monkeypatch.setattr(distributed, "Client", unreachable)
    status, _, err = reproduce(capsys, tmp_path, "figure6", *words)
    assert status == 1 and sentence in err
    assert not list(tmp_path.iterdir())


def test_networks_of_different_data_are_not_compared(out, tmp_path, capsys):
    runs = make(out).trainings()
    train_all(runs, note=lambda text: None)
    for training in runs:
        path = copied(out, tmp_path, "config.json", "metrics.csv", run=training.name)
        if training.config.model == "plain8":
            text = (path / "config.json").read_text()
            (path / "config.json").write_text(text.replace('"shapes"', '"cifar10"'))
    status, _, err = reproduce(capsys, tmp_path, "figure6", "--model", *NETS, "--dataset", "auto")
    assert status == 1 and "trained on different data (cifar10, shapes)" in err
    assert not (tmp_path / "figure6.json").exists()


def test_an_out_that_cannot_be_is_said_before_anything_is_measured(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(depth1202, "measure", None)
    status, _, err = reproduce(capsys, tmp_path / "file", "depth1202", "--model", "resnet8")
    assert status == 1 and "File exists" in err


def killed(*arguments):
    os._exit(9)


def test_a_step_that_is_killed_for_memory_is_said_in_a_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(depth1202, "steps", killed)
    status, _, err = reproduce(capsys, tmp_path, "depth1202", "--model", "resnet8")
    assert status == 1 and "resnet8 with 4 images without checkpointing was killed" in err
