"""Boxes: how much two of them overlap, and which of many on the same object to keep.

A box is x0, y0, x1, y1 in pixels, as in `minires.data.Scenes`.
"""

from typing import NamedTuple

import numpy as np


class Detections(NamedTuple):
    """What a detector found in one image, the surest first.

    boxes (n, 4) in pixels, scores (n,) from 0 to 1, labels (n,) int64.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def intersection_over_union(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The area that two boxes share, divided by the area that they cover together (IoU).

    Parameters
    ----------
    boxes : (n, 4)
    others : (m, 4)

    Returns
    -------
    (n, m)
        0 to 1: every box of `boxes` with every one of `others`. 0 if both have no area.

    Raises
    ------
    ValueError
        If an argument is no list of boxes.
    """
    boxes, others = _checked("boxes", boxes), _checked("others", others)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    areas = [np.maximum(b[:, 2:] - b[:, :2], 0).prod(axis=-1) for b in (boxes, others)]
    together = areas[0][:, None] + areas[1][None, :] - shared
    return np.divide(shared, together, out=np.zeros_like(shared), where=together > 0)


def non_maximum_suppression(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> np.ndarray:
    """Which boxes stay when of those on the same object only the surest is kept.

    Greedy: the box with the highest score stays, all that overlap it by more than `overlap` (IoU)
    go, and so on with what is left. Equal scores keep their order.

    Parameters
    ----------
    boxes : (n, 4)
        Boxes of one class.
    scores : (n,)
    overlap : float

    Returns
    -------
    int64 (k,)
        Indices, the surest first.
    """
    order = np.argsort(-scores, kind="stable")
    overlaps = intersection_over_union(boxes[order], boxes[order]) > overlap
    kept = np.ones(len(order), bool)
    for i in range(len(order)):
        if kept[i]:
            kept[i + 1 :] &= ~overlaps[i, i + 1 :]
    return order[kept]


def _checked(name: str, boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"{name} must be (n, 4), each x0, y0, x1, y1 in pixels, but are {boxes.shape}"
        )
    return boxes
