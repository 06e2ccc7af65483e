"""The detector: cells and boxes, its loss and its gradients, the network."""

from types import SimpleNamespace

import numpy as np
import pytest

from minires import Tensor, models, nn
from minires.gradcheck import gradcheck
from minires.paper.detection import (
    Detector,
    Predictions,
    average_precisions,
    binary_cross_entropy,
    decode,
    detection_loss,
    encode,
    load_scenes,
    smooth_l1,
)
from minires.paper.detection.loss import BETA, BOX_WEIGHT


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
