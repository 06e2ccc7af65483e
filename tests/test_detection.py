"""The detector: overlaps, average precision by hand, gradients of its loss, resumed training."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from cases import BACKENDS

from minires import Tensor, models, nn, use
from minires.cli import main
from minires.data import load_scenes
from minires.detection import (
    THRESHOLDS,
    DetectionConfig,
    Detections,
    DetectionTrainer,
    Detector,
    Predictions,
    average_precisions,
    binary_cross_entropy,
    decode,
    detect,
    detection_loss,
    encode,
    intersection_over_union,
    loop,
    non_maximum_suppression,
    smooth_l1,
)
from minires.detection.loop import flipped
from minires.detection.loss import BETA, BOX_WEIGHT
from minires.experiments import detection as experiment
from minires.experiments.setting import Budget
from minires.gradcheck import gradcheck
from minires.training import TrainingError
from minires.training.weights import WeightsError, read_arrays, write_arrays


class TestOverlap:
    @pytest.mark.parametrize(
        ("box", "expected"),
        [
            ([0, 0, 2, 2], 1),
            ([1, 1, 3, 3], 1 / 7),
            ([0, 0, 2, 1], 1 / 2),
            ([0, 0, 4, 4], 1 / 4),
            ([2, 0, 4, 2], 0),  # they touch
            ([5, 5, 6, 6], 0),
            ([1, 1, 1, 1], 0),
        ],
    )
    def test_it_is_the_shared_area_over_that_of_both(self, box, expected):
        boxes, others = np.array([[0, 0, 2, 2], box]), np.array([box, [9, 9, 10, 10]])
        table = intersection_over_union(boxes, others)
        assert table.shape == (2, 2)
        assert table[0] == pytest.approx([expected, 0])
        assert intersection_over_union(others, boxes).T == pytest.approx(table)

    def test_boxes_without_area_share_nothing(self):
        assert intersection_over_union(np.zeros((1, 4)), np.zeros((2, 4))).tolist() == [[0, 0]]

    def test_what_is_no_list_of_boxes_is_a_value_error(self):
        with pytest.raises(ValueError, match=r"others must be \(n, 4\).*but are \(4,\)"):
            intersection_over_union(np.zeros((1, 4)), np.zeros(4))


class TestSuppression:
    # side by side; each shares 8 of 12 with its neighbour, 6 of 14 with the next but one
    ROW = np.array([[0, 0, 10, 1], [2, 0, 12, 1], [4, 0, 14, 1]])

    def test_the_surest_stays_and_its_neighbours_go(self):
        assert non_maximum_suppression(self.ROW, np.array([0.1, 0.9, 0.5]), 0.5).tolist() == [1]

    def test_what_is_gone_suppresses_nothing(self):
        assert non_maximum_suppression(self.ROW, np.array([0.9, 0.5, 0.1]), 0.5).tolist() == [0, 2]

    def test_only_what_overlaps_more_goes(self):
        scores = np.array([0.1, 0.5, 0.9])
        assert non_maximum_suppression(self.ROW, scores, 8 / 12).tolist() == [2, 1, 0]
        assert non_maximum_suppression(self.ROW, scores, 0.4).tolist() == [2]

    def test_of_many_boxes_no_two_overlap_and_each_other_had_a_surer_one(self):
        rng = np.random.default_rng(0)
        corner = rng.uniform(0, 20, (60, 2))
        boxes, scores = np.concatenate([corner, corner + 10], axis=1), rng.random(60)
        kept = non_maximum_suppression(boxes, scores, 0.3)
        table = intersection_over_union(boxes, boxes) > 0.3
        assert 3 < len(kept) < 30 and (np.diff(scores[kept]) < 0).all()
        assert table[kept][:, kept].sum() == len(kept)  # with itself only
        for gone in set(range(60)) - set(kept.tolist()):
            assert any(scores[i] > scores[gone] and table[i, gone] for i in kept)

    def test_equal_scores_keep_their_order(self):
        twice = self.ROW[[0, 0, 2]]
        assert non_maximum_suppression(twice, np.ones(3), 0.5).tolist() == [0, 2]
        assert non_maximum_suppression(twice[:0], np.ones(0), 0.5).tolist() == []


HERE, THERE = [0, 0, 10, 10], [20, 20, 30, 30]


def said(*triples) -> Detections:
    """(box, score, label) of one image."""
    boxes, scores, labels = zip(*triples, strict=True) if triples else ([], [], [])
    return Detections(np.reshape(boxes, (-1, 4)), np.array(scores), np.array(labels, int))


def precision_of(found, objects, classes=1, thresholds=(0.5,)) -> np.ndarray:
    """(thresholds, classes); `objects` has (box, label) of each image."""
    boxes = [np.reshape([box for box, _ in image], (-1, 4)) for image in objects]
    labels = [np.array([label for _, label in image], int) for image in objects]
    return average_precisions(found, boxes, labels, classes, thresholds)


class TestAveragePrecision:
    BOTH = [(HERE, 0), (THERE, 0)]

    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            ([(HERE, 0.9, 0), (THERE, 0.8, 0)], 1),  # all
            ([], 0),
            ([(HERE, 0.9, 0)], 1 / 2),  # one missed
            # a duplicate between the two: right, wrong, right
            ([(HERE, 0.9, 0), (HERE, 0.8, 0), (THERE, 0.7, 0)], (1 + 2 / 3) / 2),
            ([(HERE, 0.9, 0), (HERE, 0.5, 0), (THERE, 0.7, 0)], 1),  # a duplicate at the end
            ([(HERE, 0.2, 1), (THERE, 0.3, 1)], 0),  # of another class
            # wrong, right, right: the best precision from a recall on counts
            ([([50, 50, 60, 60], 0.9, 0), (HERE, 0.8, 0), (THERE, 0.7, 0)], 2 / 3),
            ([(HERE, 0.8, 0), ([50, 50, 60, 60], 0.7, 0), (THERE, 0.6, 0)], (1 + 2 / 3) / 2),
        ],
    )
    def test_of_one_image_by_hand(self, found, expected):
        precision = precision_of([said(*found)], [self.BOTH], thresholds=THRESHOLDS)
        assert precision == pytest.approx(np.full((10, 1), expected))

    def test_the_overlap_decides_at_which_thresholds_it_counts(self):
        six_tenths = said(([0, 0, 10, 6], 0.9, 0))
        precision = precision_of([six_tenths], [[(HERE, 0)]], thresholds=THRESHOLDS)
        assert precision[:, 0].tolist() == [1, 1, 1] + [0] * 7
        assert len(THRESHOLDS) == 10 and THRESHOLDS[0] == 0.5 and THRESHOLDS[-1] == 0.95

    def test_a_surer_detection_takes_the_object_from_a_better_one(self):
        found = said(([0, 0, 10, 6], 0.9, 0), (HERE, 0.8, 0))
        precision = precision_of([found], [[(HERE, 0)]], thresholds=(0.5, 0.9))
        assert precision[:, 0] == pytest.approx([1, 1 / 2])  # at 0.9 the first one is just wrong

    def test_a_detection_belongs_to_the_object_that_it_overlaps_most(self):
        objects = [([0, 0, 10, 10], 0), ([0, 2, 10, 12], 0)]
        twice = said(([0, 0, 10, 11], 0.9, 0), ([0, 0, 10, 10], 0.8, 0))
        assert precision_of([twice], [objects])[0, 0] == pytest.approx(1 / 2)
        objects.append((THERE, 0))
        exact = said(*((box, 0.5, 0) for box, _ in objects[:2]))
        assert precision_of([exact], [objects])[0, 0] == pytest.approx(2 / 3)

    def test_objects_are_found_in_their_own_image_only(self):
        found = [said((THERE, 0.9, 0)), said((HERE, 0.8, 0))]
        assert precision_of(found, [[(HERE, 0)], [(THERE, 0)]])[0, 0] == 0
        assert precision_of(found[::-1], [[(HERE, 0)], [(THERE, 0)]])[0, 0] == 1

    def test_scores_are_ordered_over_all_images(self):
        found = [said((THERE, 0.6, 0), (HERE, 0.3, 0)), said((THERE, 0.7, 0))]
        precision = precision_of(found, [[(HERE, 0)], [(THERE, 0)]])
        assert precision[0, 0] == pytest.approx((1 + 2 / 3) / 2)

    def test_equal_scores_count_in_the_order_of_their_images(self):
        right, wrong = said((HERE, 0.5, 0)), said((THERE, 0.5, 0))
        assert precision_of([right, wrong], [[(HERE, 0)], []])[0, 0] == 1
        assert precision_of([wrong, right], [[], [(HERE, 0)]])[0, 0] == 1 / 2

    def test_classes_are_apart_and_one_without_objects_is_nan(self):
        found = said((HERE, 0.9, 0), (THERE, 0.8, 2), (HERE, 0.7, 1))
        precision = precision_of([found], [[(HERE, 0), (THERE, 1)]], classes=4)
        assert precision[0, :2].tolist() == [1, 0] and np.isnan(precision[0, 2:]).all()

    def test_detections_of_another_number_of_images_are_a_value_error(self):
        with pytest.raises(ValueError, match="but there are 0, 1 and 1"):
            precision_of([], [[(HERE, 0)]])


class TestGrid:
    def test_an_object_belongs_to_the_cell_of_its_middle(self):
        box = np.array([[10, 20, 20, 40]], np.float32)
        targets = encode([np.zeros((0, 4)), box], [np.zeros(0, int), np.array([7])], 64)
        assert targets.objectness.shape == (2, 16, 16, 1) and targets.objectness.sum() == 1
        assert targets.objectness[1, 30 // 4, 15 // 4] == 1
        assert targets.cells.tolist() == [256 + 7 * 16 + 3] and targets.labels.tolist() == [7]
        expected = [(15 - 14) / 16, (30 - 30) / 16, np.log(10 / 16), np.log(20 / 16)]
        assert targets.offsets[0] == pytest.approx(expected)
        assert targets.offsets.dtype == targets.objectness.dtype == np.float32

    def test_in_one_cell_the_smaller_object_wins(self):
        boxes = np.array([[4, 4, 24, 24], [9, 9, 19, 19], [40, 40, 50, 50]], np.float32)
        targets = encode([boxes], [np.array([1, 2, 3])], 64)
        assert targets.labels.tolist() == [2, 3] and targets.objectness.sum() == 2

    def test_decoding_gives_back_what_was_encoded(self):
        _, test = load_scenes(1, 30)
        targets = encode(test.boxes, test.labels, 64)
        classes, offsets = np.zeros((30, 16, 16, 10)), np.zeros((30, 16, 16, 4))
        classes.reshape(-1, 10)[targets.cells, targets.labels] = 20
        offsets.reshape(-1, 4)[targets.cells] = targets.offsets
        found = decode(40 * targets.objectness - 20, classes, offsets)
        precision = average_precisions(found, test.boxes, test.labels, 10, (0.999,))
        assert np.nanmin(precision) == 1
        assert [len(f.scores) for f in found] == [len(boxes) for boxes in test.boxes]
        assert min(f.scores.min() for f in found) > 0.99

    def test_the_score_is_that_of_an_object_times_that_of_its_class(self):
        objectness, classes = np.full((1, 1, 1, 1), np.log(3)), np.log([[[[1.0, 2.0, 5.0]]]])
        (found,) = decode(objectness, classes, np.zeros((1, 1, 1, 4)), least_score=0.1)
        assert found.labels.tolist() == [2, 1]
        assert found.scores == pytest.approx([0.75 * 5 / 8, 0.75 * 2 / 8])

    def test_suppression_is_by_class_and_the_surest_are_kept(self):
        objectness = np.full((1, 2, 2, 1), -50.0)
        objectness[0, 0] = [[2], [1]]
        classes, offsets = np.zeros((1, 2, 2, 2)), np.zeros((1, 2, 2, 4))
        (both,) = decode(objectness, classes, offsets)  # boxes of 16 pixels, cut off at 8
        assert sorted(both.labels.tolist()) == [0, 1] and len(np.unique(both.scores)) == 1
        (all_four,) = decode(objectness, classes, offsets, overlap=1)
        assert len(all_four.scores) == 4 and (np.diff(all_four.scores) <= 0).all()
        (two,) = decode(objectness, classes, offsets, overlap=1, most=2)
        assert two.scores.tolist() == all_four.scores[:2].tolist()

    def test_boxes_end_at_the_image_and_nothing_overflows(self):
        offsets = np.full((1, 4, 4, 4), 1e4)
        with np.errstate(all="raise"):
            (found,) = decode(np.full((1, 4, 4, 1), 9.0), np.zeros((1, 4, 4, 1)), offsets)
        assert found.boxes.min() >= 0 and found.boxes.max() <= 16

    def test_what_has_no_cell_is_a_value_error(self):
        box, label = [np.array([[60.0, 0, 70, 10]])], [np.zeros(1, int)]
        with pytest.raises(ValueError, match=r"centre of box \[60.0, 0.0, 70.0, 10.0\] lies out"):
            encode(box, label, 64)
        with pytest.raises(ValueError, match="a multiple of 4 pixels a side, but have 66"):
            encode(box, label, 66)


class TestLoss:
    def test_binary_cross_entropy_is_its_formula(self):
        rng = np.random.default_rng(0)
        z, t = rng.standard_normal((4, 5)) * 3, rng.random((4, 5))
        p = 1 / (1 + np.exp(-z))
        expected = -(t * np.log(p) + (1 - t) * np.log(1 - p))
        np.testing.assert_allclose(binary_cross_entropy(Tensor(z), t).data, expected, rtol=1e-12)

    def test_binary_cross_entropy_is_stable(self):
        z = Tensor(np.array([1000, 1000, -1000, -1000], np.float32), requires_grad=True)
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            loss = binary_cross_entropy(z, np.array([1, 0, 1, 0], np.float32))
            loss.backward(np.ones(4, np.float32))
        assert loss.data.tolist() == [0, 1000, 1000, 0] and z.grad.tolist() == [0, 1, -1, 0]

    def test_smooth_l1_is_a_square_and_then_a_line(self):
        d = np.array([-2, -0.5, -0.25, 0, 0.25, 0.5, 2])
        expected = [1.75, 0.25, 0.0625, 0, 0.0625, 0.25, 1.75]
        np.testing.assert_allclose(smooth_l1(Tensor(d), 0.5).data, expected)
        with pytest.raises(ValueError, match="beta must be above 0, but is 0"):
            smooth_l1(Tensor(d), 0)

    def test_their_gradients_are_right(self):
        rng = np.random.default_rng(0)
        z = rng.uniform(0.1, 4, 20) * rng.choice([-1, 1], 20)  # the kinks are at 0
        gradcheck(lambda z: binary_cross_entropy(z, rng_targets(20)), [z])
        gradcheck(lambda d: smooth_l1(d, 1.0), [z])

    @staticmethod
    def some():
        """Predictions (float64) for two images of 2 x 2 cells, 3 objects of 4 classes."""
        rng = np.random.default_rng(1)
        far = rng.uniform(0.2, 2, (3, 2, 2, 4)) * rng.choice([-1, 1], (3, 2, 2, 4))
        predictions = [far[0, :, :, :1].repeat(2, 0)[:2] * 1.5, far[:2] * 2, far[1:]]
        predictions = [np.ascontiguousarray(p) for p in predictions]
        targets = SimpleNamespace(
            objectness=np.zeros((2, 2, 2, 1), np.float64),
            cells=np.array([1, 4, 6]),
            labels=np.array([3, 0, 1]),
            offsets=rng.uniform(-0.05, 0.05, (3, 4)),
        )
        targets.objectness.reshape(-1)[targets.cells] = 1
        return predictions, targets

    def test_the_whole_is_what_its_definition_says(self):
        (z, c, o), t = self.some()
        parts = detection_loss(Predictions(*map(Tensor, (z, c, o))), t)
        p = 1 / (1 + np.exp(-z))
        objectness = -np.where(t.objectness == 1, np.log(p), np.log(1 - p)).sum() / 3
        own = c.reshape(-1, 4)[t.cells]
        shares = np.exp(own) / np.exp(own).sum(axis=1, keepdims=True)
        classes = -np.log(shares[[0, 1, 2], t.labels]).mean()
        d = np.abs(o.reshape(-1, 4)[t.cells] - t.offsets)
        boxes = BOX_WEIGHT * np.where(d < BETA, d * d / (2 * BETA), d - BETA / 2).sum() / 3
        assert [part.item() for part in parts] == pytest.approx([objectness, classes, boxes])

    def test_the_wholes_gradients_are_right(self):
        predictions, targets = self.some()

        def loss(*parts):
            a, b, c = detection_loss(Predictions(*parts), targets)
            return a + 2 * b + 3 * c

        gradcheck(loss, predictions)
        tensors = [Tensor(p, requires_grad=True) for p in predictions]
        loss(*tensors).backward()
        for tensor in tensors[1:]:  # cells without an object have a say in objectness only
            rows = tensor.grad.reshape(-1, 4).any(axis=1)
            assert np.flatnonzero(rows).tolist() == targets.cells.tolist()

    def test_a_batch_without_objects_teaches_objectness(self):
        predictions, _ = self.some()
        tensors = [Tensor(p.astype(np.float32), requires_grad=True) for p in predictions]
        nothing = encode([np.zeros((0, 4))] * 2, [np.zeros(0, int)] * 2, 8)
        parts = detection_loss(Predictions(*tensors), nothing)
        (parts[0] + parts[1] + parts[2]).backward()
        assert parts[0].item() > 0 and parts[1].item() == parts[2].item() == 0
        assert (tensors[0].grad > 0).all() and tensors[1].grad is None


def rng_targets(count: int) -> np.ndarray:
    return np.random.default_rng(5).random(count)


class TestDetector:
    HEAD = 9 * 64 * 64 + 2 * 64 + (64 + 1) + (64 * 10 + 10) + (64 * 4 + 4)

    @pytest.mark.parametrize("name", ["vgg8", "resnet8", "plain14"])
    def test_every_backbone_gets_the_same_head(self, name):
        net = models.build(name)
        classifier, whole = 64 * 10 + 10, net.num_parameters()
        detector = Detector(net, 10)
        assert detector.num_parameters() == whole - classifier + self.HEAD
        x = Tensor(np.random.default_rng(0).standard_normal((2, 12, 12, 3)).astype(np.float32))
        said = detector(x)
        assert [part.shape for part in said] == [(2, 3, 3, 1), (2, 3, 3, 10), (2, 3, 3, 4)]
        (
            said.objectness.sum() + (said.classes * said.classes).sum() + said.offsets.sum()
        ).backward()
        for name, parameter in detector.named_parameters():
            assert parameter.grad is not None and np.isfinite(parameter.grad).all(), name
        assert np.abs(detector.backbone.features(x).data).max() > 0

    def test_it_begins_with_the_belief_that_cells_are_empty(self):
        detector = Detector(models.vgg8(), 10)
        for value in (detector.objectness.weight, detector.classes.weight):
            value.data[...] = 0
        said = detector(Tensor(np.ones((1, 8, 8, 3), np.float32)))
        assert 1 / (1 + np.exp(-said.objectness.data)) == pytest.approx(np.full((1, 2, 2, 1), 0.01))

    def test_what_is_no_backbone_is_a_value_error(self):
        with pytest.raises(ValueError, match="network for CIFAR .*, but is a Sequential"):
            Detector(nn.Sequential(), 10)


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
        trainer = DetectionTrainer(config(tmp_path, backend="numba", **more))
        detector, scenes = trainer.run(silent), trainer.train
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
        assert resumed.epoch == 1
        resumed.run(silent)
        finished = DetectionTrainer(config(tmp_path / "stopped"))
        assert finished.epoch == 3
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
        with pytest.raises(TrainingError, match="other settings: lr was 0.02 and is now 0.1"):
            DetectionTrainer(config(tmp_path / "run", weights=weights, lr=0.1))
        write_arrays(tmp_path / "w.safetensors", models.vgg8().state_dict(), {})
        with pytest.raises(TrainingError, match="sha256 of the weights was '.*' and is now '"):
            DetectionTrainer(config(tmp_path / "run", weights=weights))
        write_arrays(tmp_path / "checkpoint", {"a": np.zeros(1)}, {"state": "{}"})
        with pytest.raises(TrainingError, match="is not the checkpoint of a detector"):
            DetectionTrainer(config(tmp_path))
        with pytest.raises(WeightsError, match="there is no such file"):
            DetectionTrainer(config(tmp_path / "new", weights=str(tmp_path / "nothing")))

    def test_a_run_that_diverges_says_so(self, tmp_path):
        with (
            pytest.raises(TrainingError, match="diverged; try a smaller lr"),
            np.errstate(all="ignore"),
        ):
            DetectionTrainer(config(tmp_path, lr=1e20, warm_up=0)).run(silent)
        assert not (tmp_path / "checkpoint").exists()

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"epochs": 0}, "epochs must be at least 1, but is 0"),
            ({"lr": -1}, "lr must not be negative, but is -1"),
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
        fixed = ["--budget", "smoke", "--backend", "numba", "--out", str(out)]
        with use("numba"):
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
            settings = json.loads(read_arrays(checkpoint)[1]["detector"])["settings"]
            assert settings["sha256 of the weights"] == digest and settings["seed"] == 1
        self.reproduce(tmp_path, "--seeds", "2")
        assert "epoch" not in capsys.readouterr().out
        again = json.loads((tmp_path / "detection.json").read_text())
        assert again["rows"] == content["rows"]

    def test_what_is_measured_is_what_was_found(self, tmp_path, monkeypatch):
        """A detector that knows the answers of two thirds of the scenes, at an overlap of 0.72."""
        high = np.array([[1, 0, 0, 0], [0, 1, 0, 1 - 1 / 0.72], [0, 0, 1, 0], [0, 0, 0, 1 / 0.72]])

        def oracle(detector, scenes, normalization):
            found = zip(scenes.boxes, np.ones(len(scenes)), scenes.labels, strict=True)
            known = [Detections(b @ high, np.full(len(b), s), label) for b, s, label in found]
            return known[:4] + [said()] * 2

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
