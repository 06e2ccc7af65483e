"""Overlaps, suppression and average precision: against cases computed by hand."""

import numpy as np
import pytest

from minires.paper.detection import (
    THRESHOLDS,
    Detections,
    average_precisions,
    intersection_over_union,
    non_maximum_suppression,
)


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
