"""From boxes to what each cell should say, and from what the cells say to boxes.

The image of S x S pixels has G x G cells of STRIDE x STRIDE pixels. The cell at column i, row j,
whose middle is at ((i + 1/2), (j + 1/2)) STRIDE, describes a box with middle (x, y), width w and
height h by four numbers::

    (x - middle_x) / R    (y - middle_y) / R    log(w / R)    log(h / R)

the form of R-CNN (Girshick et al. 2014, appendix C) with one square of R = REFERENCE pixels in the
place of all anchors. So a pixel weighs about the same in all four.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minires.paper.detection.boxes import Detections, non_maximum_suppression

STRIDE = 4
REFERENCE = 16.0
LEAST_SCORE = 0.02
OVERLAP = 0.45
MOST = 50


class Targets(NamedTuple):
    """What a batch of N images should get; cells are counted (image, row, column).

    objectness (N, G, G, 1) float32: 1 where an object's centre lies, else 0; cells (P,) int64: the
    P cells with an object; labels (P,) int64 and offsets (P, 4) float32: theirs.
    """

    objectness: np.ndarray
    cells: np.ndarray
    labels: np.ndarray
    offsets: np.ndarray


def encode(boxes: Sequence[np.ndarray], labels: Sequence[np.ndarray], image_size: int) -> Targets:
    """Targets for images with these boxes (n, 4) and labels (n,).

    If two centres lie in one cell, it is responsible for the smaller object.

    Raises
    ------
    ValueError
        If the image size is no multiple of the stride, or a centre lies outside of the image.
    """
    if image_size % STRIDE:
        raise ValueError(
            f"encode: images must have a multiple of {STRIDE} pixels a side, but have {image_size}"
        )
    side = image_size // STRIDE
    image = np.repeat(np.arange(len(boxes)), [len(own) for own in boxes])
    box = np.concatenate([*boxes, np.zeros((0, 4), np.float32)])
    label = np.concatenate([*labels, np.zeros(0, np.int64)])
    middle, size = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
    column, row = (middle // STRIDE).astype(np.int64).T
    outside = (middle < 0) | (middle >= image_size)
    if outside.any():
        raise ValueError(
            f"encode: the centre of box {box[outside.any(axis=1)][0].tolist()} lies outside of the "
            f"image of {image_size} x {image_size} pixels"
        )
    small_first = np.argsort(size.prod(axis=1), kind="stable")
    cells, first = np.unique(((image * side + row) * side + column)[small_first], return_index=True)
    chosen = small_first[first]
    shift = middle[chosen] - _middles(side)[cells % side**2]
    offsets = np.concatenate([shift / REFERENCE, np.log(size[chosen] / REFERENCE)], axis=1)
    objectness = np.zeros((len(boxes), side, side, 1), np.float32)
    objectness.reshape(-1)[cells] = 1
    return Targets(objectness, cells, label[chosen], offsets.astype(np.float32))


def decode(
    objectness: np.ndarray,
    classes: np.ndarray,
    offsets: np.ndarray,
    least_score: float = LEAST_SCORE,
    overlap: float = OVERLAP,
    most: int = MOST,
) -> list[Detections]:
    """What the head says (host arrays as in `Predictions`) as detections of each image.

    A score is the probability of an object times that of its class; every cell offers all classes.
    Those below `least_score` are dropped, then for each class all that overlap a surer one by more
    than `overlap`; the surest `most` of an image stay.
    """
    side = objectness.shape[1]
    boxes = boxes_of(offsets.reshape(-1, side**2, 4), side)
    presence = 1 / (1 + np.exp(-objectness.astype(np.float64)))
    shares = np.exp(classes.astype(np.float64) - classes.max(axis=-1, keepdims=True))
    scores = presence * shares / shares.sum(axis=-1, keepdims=True)
    scores = scores.reshape(len(boxes), side**2, -1)
    return [
        _selected(*both, least_score, overlap, most) for both in zip(boxes, scores, strict=True)
    ]


def boxes_of(offsets: np.ndarray, side: int) -> np.ndarray:
    """Offsets (..., side^2, 4) as boxes of the same shape, in pixels, cut off at the image."""
    offsets = offsets.astype(np.float64)
    middle = _middles(side) + offsets[..., :2] * REFERENCE
    # A box larger than the image is as wrong as one of e^10 pixels, which would overflow.
    half = (
        np.exp(np.minimum(offsets[..., 2:], np.log(2 * side * STRIDE / REFERENCE))) * REFERENCE / 2
    )
    return np.clip(np.concatenate([middle - half, middle + half], axis=-1), 0, side * STRIDE)


def _middles(side: int) -> np.ndarray:
    """(x, y) of the middles of all cells, row by row: (side^2, 2), in pixels."""
    rows, columns = np.divmod(np.arange(side**2), side)
    return (np.stack([columns, rows], axis=1) + 0.5) * STRIDE


def _selected(boxes, scores, least_score: float, overlap: float, most: int) -> Detections:
    """One image's boxes (cells, 4) and scores (cells, K) as Detections."""
    cells, labels = np.nonzero(scores >= least_score)
    kept = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        kept.append(
            own[non_maximum_suppression(boxes[cells[own]], scores[cells[own], label], overlap)]
        )
    kept = np.concatenate([*kept, np.zeros(0, np.int64)])
    own_scores = scores[cells[kept], labels[kept]]
    best = np.argsort(-own_scores, kind="stable")[:most]
    kept = kept[best]
    return Detections(boxes[cells[kept]], own_scores[best], labels[kept])
