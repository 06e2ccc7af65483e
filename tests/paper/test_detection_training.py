"""The detector's training: it learns, resumes to the same bits, and is compared by `reproduce`."""

import hashlib
import json

import numpy as np
import pytest
from cases import BACKENDS

from minires import models, use
from minires.cli import main
from minires.paper import backbones as experiment
from minires.paper.detection import (
    DetectionConfig,
    Detections,
    DetectionTrainer,
    average_precisions,
    detect,
    encode,
    load_scenes,
    loop,
)
from minires.paper.detection.loop import flipped
from minires.paper.setting import Budget
from minires.training import TrainingError
from minires.training.weights import WeightsError, read_arrays, write_arrays


def config(out, **more) -> DetectionConfig:
    settings = {"model": "vgg8", "train_size": 20, "test_size": 6, "image_size": 32, "epochs": 3}
    settings |= {"batch_size": 8, "backend": "numpy", "warm_up": 2, "out": str(out)}
    return DetectionConfig(**settings | more)


def silent(_):
    pass


def stop(_):
    raise KeyboardInterrupt


class TestTraining:
    def test_it_learns_to_find_what_it_has_seen(self, tmp_path):
        more = {"train_size": 8, "epochs": 120, "batch_size": 4, "image_size": 64, "flip": False}
        trainer = DetectionTrainer(config(tmp_path, **more))
        trainer.run(silent)
        detector, scenes = trainer.detector, trainer.train
        found = detect(detector, scenes, trainer.normalization)
        precision = average_precisions(found, scenes.boxes, scenes.labels, 10, (0.5,))
        assert np.nanmean(precision) > 0.7
        first, last = trainer.history[0], trainer.history[-1]
        assert all(last[part] < 0.5 * first[part] for part in ("objectness", "classes", "boxes"))

    @pytest.mark.parametrize("name", BACKENDS)
    def test_every_backend_takes_the_same_steps(self, tmp_path, name):
        more = {"train_size": 8, "batch_size": 4, "epochs": 1, "lr": 1e-3}
        more |= {} if name in ("numpy", "numba") else {"precision": "float32"}
        histories = []
        for used in ("numpy", name):
            trainer = DetectionTrainer(config(tmp_path / used, backend=used, **more))
            trainer.run(silent)
            histories.append([trainer.history[0][p] for p in ("objectness", "classes", "boxes")])
        assert histories[1] == pytest.approx(histories[0], rel=1e-3)
        assert len(detect(trainer.detector, trainer.test, trainer.normalization)) == 6

    def test_a_stopped_run_goes_on_to_the_same_bits(self, tmp_path):
        whole = DetectionTrainer(config(tmp_path / "whole"))
        whole.run(silent)
        with pytest.raises(KeyboardInterrupt):
            DetectionTrainer(config(tmp_path / "stopped")).run(stop)
        resumed = DetectionTrainer(config(tmp_path / "stopped"))
        assert len(resumed.history) == 1
        resumed.run(silent)
        finished = DetectionTrainer(config(tmp_path / "stopped"))
        assert len(finished.history) == 3
        finished.run(stop)
        for other in (resumed, finished):
            for name, value in whole.detector.state_dict().items():
                np.testing.assert_array_equal(value, other.detector.state_dict()[name], name)
            losses = [[{**row, "seconds": 0} for row in t.history] for t in (whole, other)]
            assert losses[0] == losses[1] and len(losses[0]) == 3

    def test_the_seed_decides_and_every_epoch_has_another_order(self, tmp_path):
        one, two = (DetectionTrainer(config(tmp_path, seed=seed)) for seed in (0, 1))
        orders = [
            np.concatenate([chosen for _, chosen, _ in trainer.batches(epoch)])
            for trainer, epoch in ((one, 0), (one, 1), (two, 0), (one, 0))
        ]
        assert all(sorted(order) == list(range(20)) for order in orders)
        assert orders[0].tolist() == orders[3].tolist()
        assert orders[0].tolist() != orders[1].tolist() != orders[2].tolist()
        assert orders[0].tolist() != orders[2].tolist()
        assert [i for i, _, _ in one.batches(2)] == [6, 7, 8]
        weights = [t.detector.shared.conv.weight.data for t in (one, two)]
        assert not np.array_equal(*weights)
        assert np.array_equal(one.train.images, two.train.images)

    @pytest.mark.parametrize("flip", [True, False])
    def test_boxes_are_mirrored_with_their_images(self, tmp_path, flip):
        trainer = DetectionTrainer(config(tmp_path, flip=flip))
        flips = np.concatenate([flips for _, _, flips in trainer.batches(0)])
        assert 4 < flips.sum() < 16 if flip else not flips.any()
        plain, mirrored = (
            trainer.images.input(np.arange(20), np.full(20, way)).data for way in (False, True)
        )
        for image, other, boxes in zip(plain, mirrored, trainer.train.boxes, strict=True):
            for box, own in zip(boxes, flipped(boxes, 32), strict=True):
                (x0, y0, x1, y1), (u0, v0, u1, v1) = box.astype(int), own.astype(int)
                np.testing.assert_array_equal(image[y0:y1, x0:x1], other[v0:v1, u0:u1][:, ::-1])

    def test_a_step_mirrors_the_boxes_of_the_images_that_it_mirrors(self, tmp_path, monkeypatch):
        trainer, seen = DetectionTrainer(config(tmp_path)), []
        monkeypatch.setattr(loop, "encode", lambda *a: seen.append(a[0]) or encode(*a))
        trainer._step(0, np.array([3, 5]), np.array([False, True]))
        np.testing.assert_array_equal(seen[0][0], trainer.train.boxes[3])
        np.testing.assert_array_equal(seen[0][1], flipped(trainer.train.boxes[5], 32))

    def test_the_learning_rate_warms_up_and_falls_twice(self, tmp_path, monkeypatch):
        rates = []
        monkeypatch.setattr(loop.optim.SGD, "step", lambda sgd: rates.append(sgd.lr))
        DetectionTrainer(config(tmp_path, epochs=9, batch_size=10)).run(silent)
        assert rates == pytest.approx([0.002] + [0.02] * 11 + [0.002] * 4 + [0.0002] * 2)

    def test_the_backbone_begins_with_the_given_weights(self, tmp_path):
        net = models.vgg8()
        write_arrays(tmp_path / "w.safetensors", net.state_dict(), {})
        given = str(tmp_path / "w.safetensors")
        trainer = DetectionTrainer(config(tmp_path / "run", weights=given, seed=3))
        for name, value in trainer.detector.backbone.state_dict().items():
            np.testing.assert_array_equal(value, net.state_dict()[name])
        random = DetectionTrainer(config(tmp_path / "other", seed=3)).detector.backbone
        name = "features.0.conv.weight"
        assert not np.array_equal(random.state_dict()[name], net.state_dict()[name])
        with pytest.raises(KeyError, match="the state does not fit this CifarResNet"):
            DetectionTrainer(config(tmp_path / "run", weights=given, model="resnet8"))

    def test_another_run_is_not_gone_on_with(self, tmp_path):
        write_arrays(tmp_path / "w.safetensors", models.vgg8().state_dict(), {})
        weights = str(tmp_path / "w.safetensors")
        with pytest.raises(KeyboardInterrupt):
            DetectionTrainer(config(tmp_path / "run", weights=weights)).run(stop)
        with pytest.raises(TrainingError, match="other settings.*: lr was 0.02 and is now 0.1"):
            DetectionTrainer(config(tmp_path / "run", weights=weights, lr=0.1))
        write_arrays(tmp_path / "w.safetensors", models.vgg8().state_dict(), {})
        with pytest.raises(TrainingError, match="sha256 of the weights was '.*' and is now '"):
            DetectionTrainer(config(tmp_path / "run", weights=weights))
        write_arrays(tmp_path / "checkpoint", {"a": np.zeros(1)}, {"state": "{}"})
        with pytest.raises(WeightsError, match="is not the checkpoint of a detector"):
            DetectionTrainer(config(tmp_path))
        with pytest.raises(WeightsError, match="there is no such file"):
            DetectionTrainer(config(tmp_path / "new", weights=str(tmp_path / "nothing")))

    def test_a_run_that_diverges_says_so(self, tmp_path):
        with (
            pytest.raises(TrainingError, match="diverged; try a smaller lr"),
            np.errstate(all="ignore"),
        ):
            DetectionTrainer(config(tmp_path, lr=1e20, warm_up=0)).run(silent)
        arrays, _ = read_arrays(tmp_path / "checkpoint")  # that of before the first step
        assert all(np.isfinite(array).all() for array in arrays.values())

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"epochs": 0}, "epochs must be an integer, at least 1, but is 0"),
            ({"lr": -1}, "lr must be a finite number, at least 0, but is -1"),
            ({"precision": "bf16"}, "precision bf16 is for the training of classifiers"),
        ],
    )
    def test_settings_that_make_no_sense_are_a_value_error(self, settings, message):
        with pytest.raises(ValueError, match=message):
            DetectionConfig(**settings)

    def test_detection_judges_each_image_by_itself_and_restores_modes(self, tmp_path):
        trainer = DetectionTrainer(config(tmp_path))
        detector = trainer.detector.train()
        detector.shared.eval()
        detector.objectness.bias.data[...] = 1  # so that there is something to compare
        wholes = [detect(detector, trainer.test, trainer.normalization, n) for n in (6, 1)]
        assert detector.backbone.training and not detector.shared.bn.training
        for one, other in zip(*wholes, strict=True):
            assert len(one.scores) > 0
            np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)
            np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)


class TestExperiment:
    """`minires reproduce detection`."""

    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch):
        recipe = {"steps": 2, "dataset": "shapes", "batch_size": 16, "train_size": 32}
        budget = Budget("tiny", recipe | {"test_size": 16, "image_size": 16})
        monkeypatch.setitem(experiment.BUDGETS, "smoke", budget)
        settings = {"train_size": 16, "test_size": 6, "epochs": 2, "batch_size": 8}
        monkeypatch.setitem(experiment.DETECTORS, "smoke", settings)

    @staticmethod
    def reproduce(out, *arguments) -> None:
        fixed = ["--budget", "smoke", "--backend", "numpy", "--out", str(out)]
        with use("numpy"):
            assert main(["reproduce", "detection", *arguments, *fixed]) == 0

    def test_it_compares_backbones_and_goes_on_where_it_was(self, tmp_path, capsys):
        self.reproduce(tmp_path, "--seeds", "2")
        said = capsys.readouterr().out
        assert all(f"{n} epoch 2/2" in said for n in ("vgg8", "resnet20"))
        content = json.loads((tmp_path / "detection.json").read_text())
        assert [(r["model"], r["parameters"], r["runs"]) for r in content["rows"]] == [
            ("vgg8", 147_263, 2),
            ("resnet20", 307_039, 2),
        ]
        assert (tmp_path / "detection.png").read_bytes().startswith(b"\x89PNG")
        for row in content["rows"]:
            assert 0 <= row["map_50_95"] <= row["map_50"] <= 100
            assert row["map_50_std"] is not None
            mean = np.mean(row["map_at_each_threshold"])
            assert mean == pytest.approx(row["map_50_95"], rel=1e-5)
            begun = tmp_path / "runs" / f"backbone-{row['model']}-seed1" / "last.safetensors"
            checkpoint = tmp_path / "runs" / f"detector-{row['model']}-seed1" / "checkpoint"
            digest = hashlib.sha256(begun.read_bytes()).hexdigest()
            metadata = {k: json.loads(v) for k, v in read_arrays(checkpoint)[1].items() if "{" in v}
            assert metadata["state"]["run"]["sha256 of the weights"] == digest
            assert metadata["config"]["seed"] == 1
        self.reproduce(tmp_path, "--seeds", "2")
        assert "epoch" not in capsys.readouterr().out
        again = json.loads((tmp_path / "detection.json").read_text())
        assert again["rows"] == content["rows"]

    def test_what_is_measured_is_what_was_found(self, tmp_path, monkeypatch):
        """A detector that knows the answers of two thirds of the scenes, at an overlap of 0.72."""
        high = np.array([[1, 0, 0, 0], [0, 1, 0, 1 - 1 / 0.72], [0, 0, 1, 0], [0, 0, 0, 1 / 0.72]])

        def oracle(detector, scenes, normalization):
            nothing = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
            found = zip(scenes.boxes, np.ones(len(scenes)), scenes.labels, strict=True)
            known = [Detections(b @ high, np.full(len(b), s), label) for b, s, label in found]
            return known[:4] + [nothing] * 2

        monkeypatch.setattr(experiment, "detect", oracle)
        self.reproduce(tmp_path, "--model", "vgg8")
        (row,) = json.loads((tmp_path / "detection.json").read_text())["rows"]
        _, test = load_scenes(1, 6)
        labels = [np.concatenate(part) for part in (test.labels, test.labels[:4])]
        there, known = (np.bincount(part, minlength=10) for part in labels)
        expected = {c: 100 * k / t for c, k, t in zip(test.classes, known, there, strict=True) if t}
        assert row["map_50_of_each_class"] == pytest.approx(expected, rel=1e-5)
        mean = np.mean(list(expected.values()))
        assert [row["map_50"], row["map_50_95"]] == pytest.approx([mean, mean / 2], rel=1e-5)
        assert row["map_50_std"] is None
        assert np.allclose(row["examples"][0]["boxes"], test.boxes[0] @ high)

    def test_the_figure_shows_what_was_found(self):
        _, test = load_scenes(1, 2)
        row = {"model": "vgg8", "map_50": 90.0, "map_50_std": None}
        row |= {"map_50_95": 60.0, "map_50_95_std": 2.0}
        row |= {"scenes": {"test_size": 2, "image_size": 64}}
        nothing = {"boxes": [], "scores": [], "labels": []}
        found = {"boxes": test.boxes[0].tolist(), "labels": test.labels[0].tolist()}
        found["scores"] = [0.9] * len(test.labels[0])
        pictures = [
            experiment.figure([row | {"examples": [example, nothing]}], "a title")
            for example in (nothing, found)
        ]
        assert all(picture.startswith(b"\x89PNG") for picture in pictures)
        assert pictures[0] != pictures[1]
        assert "vgg8 90.0 and 60.0 (the paper, on COCO: VGG-16 41.5" in experiment.finding([row])
