"""What the experiments measure is what they say."""

import json
import math

import numpy as np
import pytest
from experiment_runs import assert_same_weights, make, make_tiny, reproduce

import minires as mr
from minires import functional as F
from minires import models, nn
from minires.paper import (
    ensemble,
    figure6,
    figure7,
    gradients,
    gradnorm,
    multicrop,
    table3_cifar,
    table6,
)
from minires.paper.figure7 import response_std
from minires.paper.gradnorm import activation_gradients
from minires.paper.predictions import CENTRE, error, probabilities, softmax
from minires.paper.queue import train_all
from minires.paper.report import table
from minires.paper.runs import Run, mean_and_std
from minires.paper.setting import Setting
from minires.training import Config, Trainer


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    make_tiny(monkeypatch)
    with mr.use("numba"):
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder in which the experiments of this file leave their networks, each trained once."""
    return tmp_path_factory.mktemp("reproduce")


def finished(*test_accuracies, model="resnet20", dataset="cifar10", **settings) -> Run:
    """A run with these accuracies after its epochs; in training always 4 percent higher."""
    rows = [
        {"step": 10 * epoch, "train_acc": accuracy + 0.04, "test_acc": accuracy, "seconds": 30.0}
        for epoch, accuracy in enumerate(test_accuracies, 1)
    ]
    return Run(None, Config(model=model, dataset=dataset, **settings), rows)


def test_table6_gives_mean_and_standard_deviation_of_the_last_epoch():
    runs = [finished(0.95, 0.91), finished(0.92, 0.93), finished(0.5, model="resnet14")]
    row, _ = table6.measure(make(None, ("resnet20", "resnet14"), (0, 1)), runs)
    assert row["error"] == pytest.approx(8) and row["std"] == pytest.approx(math.sqrt(2))
    assert row["errors"] == pytest.approx([9, 7]) and row["train_error"] == pytest.approx(4)
    assert row["best_epoch"] == pytest.approx(6) and row["paper"] == 8.75
    assert row["parameters"] == 269_722 and row["akamaster"] == 8.27 and row["runs"] == 2
    assert mean_and_std([3.0]) == (3.0, None)


def test_table6_has_the_numbers_of_the_paper_beside_cifar10_only():
    assert table6.PAPER == {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}
    (row,) = table6.measure(make(None, ("resnet20",)), [finished(0.6, dataset="cifar100")])
    assert row["paper"] is None and row["akamaster"] is None
    assert row["parameters"] == 269_722 + 90 * 65  # of 100 classes
    with pytest.raises(ValueError, match="with networks named resnetD, not with plain20"):
        Setting("smoke", ("plain20",), (0,), None, kinds=table6.KINDS)


def test_table3_tells_the_options_apart():
    runs = [
        finished(accuracy, model=model, shortcut=shortcut, seed=seed)
        for model, shortcut, accuracies in (
            ("plain20", None, (0.80, 0.82)),
            ("resnet20", None, (0.90, 0.92)),
            ("resnet20", "B", (0.91, 0.93)),
            ("resnet20", "C", (0.92, 0.94)),
        )
        for seed, accuracy in enumerate(accuracies)
    ]
    rows = table3_cifar.measure(make(None, ("resnet20",), (0, 1)), runs)
    assert [row["option"] for row in rows] == ["none", "A", "B", "C"]
    assert [row["error"] for row in rows] == pytest.approx([19, 9, 8, 7])
    assert [row["train_error"] for row in rows] == pytest.approx([15, 5, 4, 3])
    assert [row["std"] for row in rows] == pytest.approx([math.sqrt(2)] * 4)
    assert [row["paper_imagenet_34_layers"] for row in rows] == [28.54, 25.03, 24.52, 24.19]
    parameters = [row["parameters"] for row in rows]
    assert parameters[0] == parameters[1] < parameters[2] < parameters[3]


def test_figure6_has_the_curves_of_training_and_test():
    (row,) = figure6.measure(None, [finished(0.95, 0.91, seed=3)])
    assert (row["model"], row["seed"], row["iterations"], row["minutes"]) == ("resnet20", 3, 20, 1)
    errors = [row["train_error"], row["test_error"], row["best_epoch"]]
    assert errors == pytest.approx([5, 9, 5])
    assert row["curve"]["step"] == [10, 20]
    assert row["curve"]["train_error"] == pytest.approx([1, 5])
    assert row["curve"]["test_error"] == pytest.approx([5, 9])


def test_figure6_compares_means_over_the_seeds():
    rows = [
        {"model": model, "train_error": error, "test_error": error + 1}
        for model, errors in (("resnet20", (11.0, 13.0)), ("resnet56", (6.0, 8.0)))
        for error in errors
    ]
    assert figure6.finding(rows).startswith("resnet56 has -5.00 percentage points of training")
    assert figure6.finding(rows[:2]) == ""  # two seeds are not two depths


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


def test_figure7_measures_a_run_also_of_half_storage(out):
    """It measures in float32: plain operations have no half storage."""
    (run,) = train_all(make(out, ("resnet8",)).trainings(), note=lambda text: None)
    rows = figure7.measure(None, [run])
    half = Run(
        run.path, Config(**{**vars(run.config), "precision": "fp16", "backend": "numpy"}), []
    )
    rows += figure7.measure(None, [half])
    assert rows[0]["std"] == pytest.approx(rows[1]["std"], rel=1e-3)
    std = rows[0]["std"]
    assert rows[0]["layers"] == len(std) == 7 and rows[0]["largest_std"] == max(std)
    assert rows[0]["mean_std"] == pytest.approx(sum(std) / 7)
    assert rows[0]["median_std"] == pytest.approx(sorted(std)[3])


def test_gradnorm_divides_the_first_by_the_last(tmp_path, monkeypatch):
    """At initialisation, and in the median of the last quarter."""
    monkeypatch.setattr(gradnorm, "activation_gradients", lambda run: [6.0, 1.0, 2.0])
    norms = [[8.0, 1.0, 2.0], *[[99.0, 99.0, 99.0]] * 7, [9.0, 1, 3], [3.0, 1, 1], [50.0, 1, 10]]
    record = {"layers": ["a", "b", "c"], "steps": list(range(12)), "norms": norms + [norms[9]]}
    (tmp_path / gradients.FILE).write_text(json.dumps(record))
    run = Run(tmp_path, Config(model="resnet8", seed=2), [])
    (row,) = gradnorm.measure(None, [run])
    assert (row["model"], row["seed"], row["blocks"]) == ("resnet8", 2, 3)
    assert row["activations_first_to_last"] == 3 and row["weights_first_to_last"] == 4
    assert row["trained"] == [3, 1, 1] and row["trained_first_to_last"] == 3
    assert row["first_layer"]["norm"] == [n[0] for n in record["norms"]]


def test_gradients_of_a_scaled_loss_are_scaled_back(out, tmp_path):
    """The norms of float16 are those of float32, about."""
    plain = make(out, ("resnet8",)).training("resnet8", 0, "watched")
    half = Setting("smoke", ("resnet8",), (0,), tmp_path, {"backend": "numpy"}).training(
        "resnet8", 0, "watched", precision="fp16"
    )
    runs = train_all([plain, half], note=lambda text: None)
    first, other = (json.loads((r.path / gradients.FILE).read_text())["norms"][0] for r in runs)
    assert first == pytest.approx(other, rel=0.05)


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
    """The norms of weights and of blocks' results, against a first step taken by hand."""
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


def certain(*classes, of=3) -> np.ndarray:
    """Probabilities (N, of): one image a class, of the weights that are given."""
    return np.array([[weights.get(k, 0.0) for k in range(of)] for weights in classes])


def test_an_ensemble_averages_probabilities(monkeypatch):
    """Two unsure networks against a sure one; the order is the one asked for."""
    labels = np.array([0, 1])
    of_seed = [
        certain({0: 0.9, 1: 0.1}, {0: 0.4, 1: 0.6}),
        certain({0: 0.4, 1: 0.6}, {0: 0.9, 1: 0.1}),
        certain({0: 0.4, 1: 0.6}, {0: 0.1, 1: 0.9}),
    ]
    monkeypatch.setattr(
        ensemble, "probabilities", lambda run: (of_seed[run.config.seed][None], labels)
    )
    rows = ensemble.measure(None, [finished(0.5, seed=seed) for seed in range(3)])
    assert [row["own_error"] for row in rows] == [0, 100, 50]
    assert [row["error"] for row in rows] == [0, 50, 0]
    assert [row["mean_error"] for row in rows] == [0, 50, 50]
    assert [row["added"][-6:] for row in rows] == ["seed 0", "seed 1", "seed 2"]


def test_views_are_averaged_by_their_kind(monkeypatch):
    """The image is wrong, its mirror image right, and every shift by 4 pixels very wrong."""

    def found(run, views):
        weight = {
            (offset, flip): 0.9 if offset[0] % 8 == 0 and offset != CENTRE else 0.7 - 0.5 * flip
            for offset, flip in views
        }
        return np.stack([certain({1: weight[v], 0: 1 - weight[v]}) for v in views]), np.array([0])

    monkeypatch.setattr(multicrop, "probabilities", found)
    rows = multicrop.measure(make(None, ("resnet20",)), [finished(0.5), finished(0.5, seed=1)])
    errors = {row["views"]: row["error"] for row in rows}
    assert errors == {
        "image": 100,
        "flip": 0,
        "5 crops, 2 pixels": 100,
        "10 crops, 2 pixels": 0,
        "10 crops, 4 pixels": 100,
    }
    assert [row["number"] for row in rows] == [1, 2, 5, 10, 10]
    assert all(row["runs"] == 2 and row["std"] == 0 for row in rows)
    for way, by in (("10 crops, 2 pixels", 2), ("10 crops, 4 pixels", 4)):
        corners = {(4 + y, 4 + x) for y in (-by, by) for x in (-by, by)}
        views = multicrop.VIEWS[way]
        assert set(views) == {(o, f) for o in corners | {(4, 4)} for f in (False, True)}


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
