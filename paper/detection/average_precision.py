"""Average precision: one number for how good the detections of a class are.

All detections of a class, over all images, are put in order of their scores, the surest first. Each
is asked which object of its class and image it overlaps most, and is right if

    the overlap (intersection over union) reaches a threshold, and
    no surer detection has found the same object already (a duplicate is wrong).

After the first k detections, recall is the share of all objects that are found, precision the share
of the k that are right. Average precision is the area below precision over recall, where the
precision at a recall is the best one at this recall or a larger one (Everingham et al., PASCAL VOC
from 2010 on: all points, instead of eleven). Each right detection adds one object to recall, so

    AP = (sum of the precision at each right detection) / (number of objects)

mAP is the mean over the classes. With a threshold of 0.5 it is the measure of PASCAL VOC; the mean
over the thresholds 0.50, 0.55, ..., 0.95 is the one that COCO introduced (there with precision read
at 101 points; here at all of them).
"""

from collections.abc import Sequence

import numpy as np

from minires.paper.detection.boxes import Detections, intersection_over_union

THRESHOLDS = tuple(np.arange(50, 100, 5) / 100)
"""0.50, 0.55, ..., 0.95."""


def average_precisions(
    found: Sequence[Detections],
    boxes: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    num_classes: int,
    thresholds: Sequence[float] = THRESHOLDS,
) -> np.ndarray:
    """Average precision at each threshold, of each class.

    Parameters
    ----------
    found : sequence of Detections
        The detections in each image.
    boxes, labels : sequence of arrays (n, 4) and (n,)
        The objects that are there in each image.
    num_classes : int
    thresholds : sequence of float
        Least overlap of a right detection.

    Returns
    -------
    float64 (len(thresholds), num_classes)
        0 to 1; NaN for a class that has no object in any image, so `numpy.nanmean` over the
        classes is mAP. Detections with equal scores count in the order of their images.

    Raises
    ------
    ValueError
        If the three sequences are not of one length.
    """
    if not len(found) == len(boxes) == len(labels):
        raise ValueError(
            f"average_precisions: each image needs its detections, boxes and labels, but there are "
            f"{len(found)}, {len(boxes)} and {len(labels)}"
        )
    result = np.full((len(thresholds), num_classes), np.nan)
    for label in range(num_classes):
        number = sum(int((own == label).sum()) for own in labels)
        if number:
            overlaps, objects = _matched(found, boxes, labels, label)
            for i, threshold in enumerate(thresholds):
                right = _first_of_each(objects, overlaps >= threshold)
                result[i, label] = _area(right, number)
    return result


def _matched(found, boxes, labels, label: int) -> tuple[np.ndarray, np.ndarray]:
    """(largest overlap, number of the object it is with) of each detection, the surest first."""
    scores, overlaps, objects, count = [], [], [], 0
    for detections, own_boxes, own_labels in zip(found, boxes, labels, strict=True):
        chosen, there = detections.labels == label, own_boxes[own_labels == label]
        scores.append(detections.scores[chosen])
        if len(there):
            table = intersection_over_union(detections.boxes[chosen], there)
            overlaps.append(table.max(axis=1))
            objects.append(count + table.argmax(axis=1))
        else:  # whatever is said to be here is wrong
            overlaps.append(np.full(len(scores[-1]), -1.0))
            objects.append(np.full(len(scores[-1]), -1))
        count += len(there)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return np.concatenate(overlaps)[order], np.concatenate(objects)[order]


def _first_of_each(objects: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Which detections are right: those `near` their object, if none before them was."""
    places = np.flatnonzero(near)
    _, first = np.unique(objects[places], return_index=True)
    right = np.zeros(len(objects), bool)
    right[places[first]] = True
    return right


def _area(right: np.ndarray, number: int) -> float:
    """Below precision over recall; `number` objects there are."""
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best_from_here[right].sum() / number)
