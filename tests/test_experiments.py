"""`minires reproduce`: every experiment runs, resumes, and measures what it says."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import minires as mr
from minires import experiments, models, nn
from minires import functional as F
from minires.cli import main
from minires.experiments import figure6, gradients, gradnorm, setting, table3_cifar, table6
from minires.experiments.figure7 import response_std
from minires.experiments.gradnorm import activation_gradients
from minires.experiments.predictions import CENTRE, error, probabilities, softmax
from minires.experiments.queue import train, train_all
from minires.experiments.report import table
from minires.experiments.runs import Run, mean_and_std, read_run
from minires.experiments.setting import BUDGETS, Setting
from minires.training import Config, Trainer, TrainingError
from minires.training.weights import read_arrays

TINY = {"steps": 3, "dataset": "shapes", "batch_size": 16, "train_size": 32, "test_size": 32}
TINY |= {"image_size": 16}
NETS = ("plain8", "resnet8")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The smoke budget, but of seconds."""
    for budgets in (BUDGETS, gradnorm.BUDGETS):
        monkeypatch.setitem(budgets, "smoke", setting.Budget("tiny", TINY))
    with mr.use("numba"):
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Where the experiments of this file leave their networks, each trained once."""
    return tmp_path_factory.mktemp("reproduce")


def make(out, nets=NETS, seeds=(0,), **options) -> Setting:
    return Setting("smoke", nets, seeds, out, options | {"backend": "numba"}, download=False)


def reproduce(capsys, out, *arguments) -> tuple[int, str, str]:
    options = ["--budget", "smoke", "--backend", "numba", "--no-download", "--out", out]
    status = main([str(word) for word in ("reproduce", *arguments, *options)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def assert_same_weights(one: Path, other: Path) -> None:
    (first, _), (second, _) = (read_arrays(path / "last.safetensors") for path in (one, other))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


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
        assert experiments.load(name).COLUMNS.keys() <= row.keys()


@pytest.mark.parametrize("name", experiments.NAMES)
def test_every_experiment_knows_every_budget(name):
    module = experiments.load(name)
    for budget in BUDGETS:
        assert module.MODELS[budget] and module.SEEDS[budget] >= 1
        Setting(budget, module.MODELS[budget], (0,), None)  # the networks exist


def test_the_full_budget_is_the_recipe_of_the_paper(tmp_path):
    full = Setting("full", ("resnet20",), (3,), tmp_path, {"dataset": "cifar10"}).trainings()[0]
    assert full.config == Config(
        model="resnet20", seed=3, dataset="cifar10", out=str(tmp_path / "runs" / "resnet20-seed3")
    )
    assert full.config.total_steps(391) == 64_000
    assert Setting("shortened", ("plain20",), (0,), tmp_path).config("plain20", 0).steps == 6_400


def test_a_finished_network_is_not_trained_again(out, monkeypatch):
    train_all(make(out).trainings(), note=lambda text: None)

    def refuse(*arguments, **options):
        raise AssertionError("a second training")

    monkeypatch.setattr(Trainer, "__init__", refuse)
    runs = train_all(make(out).trainings(), note=lambda text: None)
    assert [run.config.model for run in runs] == list(NETS)


def test_a_stopped_run_is_taken_up_again(tmp_path, monkeypatch):
    """To the weights of one that was never stopped."""
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


def test_a_record_without_weights_serves_curves_only(out, tmp_path, capsys):
    """Weights of deep networks are too large for a repository; their curves are not."""
    train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    for name in ("config.json", "metrics.csv"):
        kept = tmp_path / "runs" / "resnet8-seed0" / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes((out / "runs" / "resnet8-seed0" / name).read_bytes())
    status, said, _ = reproduce(capsys, tmp_path, "table6", "--model", "resnet8", "--seeds", 1)
    assert status == 0 and "1 of 1 networks are trained already" in said
    status, _, err = reproduce(capsys, tmp_path, "figure7", "--model", "resnet8")
    assert status == 1 and "but not its weights (last.safetensors)" in err
    assert not (tmp_path / "figure7.json").exists()


def test_dask_workers_train_what_a_queue_here_would(out, tmp_path):
    """Each in its own directory; what they find out comes back."""
    distributed = pytest.importorskip("distributed")
    here = make(out).trainings()
    train_all(here, note=lambda text: None)
    there = make(tmp_path).trainings()
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        runs = train_all(there, False, cluster.scheduler_address, lambda text: None)
    for one, other in zip(here, there, strict=True):
        assert_same_weights(Path(one.config.out), Path(other.config.out))
    assert [run.config.model for run in runs] == list(NETS)


def test_a_worker_returns_its_files(out):
    """For a driver on another machine."""
    (training,) = make(out, ("resnet8",)).trainings()
    files = train(training, download=False)
    assert {"metrics.csv", "curves.png", "last.safetensors", "config.json"} <= files.keys()


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--model", "resnet50"], "networks for CIFAR, not with resnet50"),
        (["--model", "resnet21"], "no network is named 'resnet21'"),
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
        path = Path(training.config.out)
        copy = tmp_path / "runs" / path.name
        copy.mkdir(parents=True)
        for name in ("config.json", "metrics.csv"):
            (copy / name).write_bytes((path / name).read_bytes())
    config = tmp_path / "runs" / "plain8-seed0" / "config.json"
    config.write_text(config.read_text().replace('"shapes"', '"cifar10"').replace("16,", "32,"))
    status, _, err = reproduce(capsys, tmp_path, "figure6", "--model", *NETS, "--dataset", "auto")
    assert status == 1 and ("different data" in err or "other settings" in err)


# What is measured


def test_table6_gives_mean_and_standard_deviation_of_the_last_epoch():
    def run(*accuracies):
        rows = [{"train_acc": 0.5, "test_acc": a} for a in accuracies]
        return Run(None, Config(model="resnet20"), rows)

    runs = [run(0.95, 0.91), run(0.92, 0.93)]
    (row,) = table6.measure(make(None, ("resnet20",), (0, 1)), runs)
    assert row["error"] == pytest.approx(8) and row["std"] == pytest.approx(math.sqrt(2))
    assert row["best_epoch"] == pytest.approx(6) and row["paper"] == 8.75
    assert row["parameters"] == 269_722 and row["akamaster"] == 8.27
    assert mean_and_std([3.0]) == (3.0, None)


def test_figure6_says_what_depth_does_to_the_training_error():
    rows = [
        {"model": "plain56", "train_error": 20.0, "test_error": 22.0},
        {"model": "plain20", "train_error": 12.0, "test_error": 15.0},
        {"model": "resnet20", "train_error": 11.0, "test_error": 14.0},
        {"model": "resnet56", "train_error": 8.5, "test_error": 12.0},
    ]
    plain, residual = figure6.finding(rows).split("; ")
    assert plain.startswith("plain56 has +8.00") and "+7.00 of test error against plain20" in plain
    assert residual.startswith("resnet56 has -2.50") and "-2.00 of test error" in residual


def test_layer_responses_are_those_of_batch_norm_alone():
    """Before the residual and before the ReLU: against a forward pass written by hand."""
    with mr.use("numpy"):
        mr.seed(0)
        net = models.build("resnet8", fused=False).eval()
        rng = np.random.default_rng(0)
        for _, module in net.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean[...] = rng.standard_normal(module.running_mean.shape)
                module.running_var[...] = rng.uniform(0.5, 2, module.running_var.shape)
        images = [mr.Tensor(rng.standard_normal((n, 8, 8, 3), np.float32)) for n in (3, 2)]
        found = response_std(net, [(x, None) for x in images])
        x = mr.Tensor(np.concatenate([image.data for image in images]))
        first = net.bn1(net.conv1(x))
        block = net.layer1[0]
        y = F.relu(first)
        second = block.bn1(block.conv1(y))
        third = block.bn2(block.conv2(F.relu(second)))
        expected = [np.std(response.data) for response in (first, second, third)]
        assert len(found) == 7
        assert found[:3] == pytest.approx(expected, rel=1e-4)
        assert "forward" not in vars(net.bn1)  # as it was before


def test_gradient_norms_are_kept_and_leave_training_as_it_is(out):
    plain, watched = (
        make(out, ("resnet8",)).training("resnet8", 0, k) for k in ("plain", "watched")
    )
    runs = train_all([plain, watched], note=lambda text: None)
    assert_same_weights(*(run.path for run in runs))
    record = json.loads((runs[1].path / gradients.FILE).read_text())
    assert record["steps"] == [0, 1, 2] and len(record["layers"]) == 7
    assert np.shape(record["norms"]) == (3, 7) and np.all(np.array(record["norms"]) > 0)


def test_the_first_norms_are_those_at_initialisation(out):
    """Of weights and of blocks' results: against a first step taken by hand."""
    (run,) = train_all([make(out).training("resnet8", 0, "watched")], note=lambda text: None)
    record = json.loads((run.path / gradients.FILE).read_text())
    trainer = Trainer(Config(**{**run.config.__dict__, "out": str(out / "none")}))
    results = []
    for stage in (trainer.model.layer1, trainer.model.layer2, trainer.model.layer3):
        block = stage[0]

        def kept(x, block=block):
            y = type(block).forward(block, x)
            y.retain_grad()
            results.append(y)
            return y

        block.forward = kept
    x, labels = next(trainer.loader.batches(0))
    F.cross_entropy(trainer.model(x), labels).backward()
    first = np.linalg.norm(trainer.model.conv1.weight.grad.ravel())
    assert record["norms"][0][0] == pytest.approx(first, rel=1e-5)
    by_hand = [np.linalg.norm(y.grad.ravel()) for y in results]
    assert activation_gradients(run) == pytest.approx(by_hand, rel=1e-5)


def test_a_resumed_watched_run_has_one_record(tmp_path):
    training = make(tmp_path, ("resnet8",)).training("resnet8", 0, "watched")

    class Stopped(Exception):
        pass

    def learn(trainer, *batch):
        gradients.Watched.learn(trainer, *batch)
        if trainer.step == 2:
            raise Stopped  # its norms are written, its checkpoint is not

    with pytest.raises(Stopped):
        type("Broken", (gradients.Watched,), {"learn": learn})(training.config).run()
    (run,) = train_all([training], note=lambda text: None)
    assert json.loads((run.path / gradients.FILE).read_text())["steps"] == [0, 1, 2]


def test_views_are_what_they_say(out):
    """The unshifted view is the test image; a mirrored view of a mirrored image, too."""
    (run,) = train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    views = [(CENTRE, False), (CENTRE, True), ((4, 6), False)]
    (plain, flipped, shifted), labels = probabilities(run, views)
    net, normalization = run.network()
    _, test = run.data_sets()
    pixels = test.images.astype(np.float32) / 255 - normalization.mean
    moved = np.zeros_like(pixels)
    moved[:, :, :-2] = pixels[:, :, 2:]  # 2 columns further into the image, zeros behind
    for own, images in ((plain, pixels), (flipped, pixels[:, :, ::-1]), (shifted, moved)):
        logits = net(mr.Tensor(np.ascontiguousarray(images))).numpy()
        assert own == pytest.approx(softmax(logits), abs=1e-4)
    assert np.array_equal(labels, test.labels)
    assert 100 * (1 - run.history[-1]["test_acc"]) == pytest.approx(error(plain, labels))


def test_checkpointing_has_the_same_bits_and_holds_less(out, capsys):
    """The real step of depth1202, with 56 layers, in processes of their own."""
    words = ("depth1202", "--model", "resnet56", "--batch-size", 64)
    status, said, err = reproduce(capsys, out, *words)
    assert status == 0, err
    plain, saving = json.loads((out / "depth1202.json").read_text())["rows"]
    assert (plain["checkpointing"], saving["checkpointing"]) == ("no", "yes")
    assert plain["weights_sha256"] == saving["weights_sha256"] and plain["loss"] == saving["loss"]
    assert saving["memory_mb"] < 0.8 * plain["memory_mb"]
    assert "have the same bits" in said


def test_softmax_and_error():
    p = softmax(np.array([[1000.0, 1000.0, 0.0], [0.0, np.log(3), 0.0]], np.float32))
    assert p == pytest.approx(np.array([[0.5, 0.5, 0], [0.2, 0.6, 0.2]]), abs=1e-6)
    assert error(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1])) == (
        pytest.approx(100 / 3)
    )


def test_table3_compares_a_plain_net_and_all_options(tmp_path):
    found = table3_cifar.trainings(make(tmp_path, ("resnet8",)))
    assert [t.name for t in found] == [
        "plain8-seed0",
        "resnet8-seed0",
        "resnet8-optionB-seed0",
        "resnet8-optionC-seed0",
    ]
    assert [t.config.shortcut for t in found] == [None, None, "B", "C"]
    with pytest.raises(ValueError, match="plain8 has none"):
        table3_cifar.trainings(make(tmp_path, ("plain8",)))


def test_a_table_shows_gaps_as_dashes():
    rows = [{"model": "a", "error": 1.234, "std": None}, {"model": "long", "error": 10, "std": 2.0}]
    assert table(rows, {"model": "", "error": ".2f", "std": ".1f"}).splitlines() == [
        "model  error  std",
        "-----------------",
        "a       1.23    -",
        "long   10.00  2.0",
    ]
