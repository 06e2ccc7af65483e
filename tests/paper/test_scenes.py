"""The built-in scenes: the same bytes everywhere, boxes tight around what is painted."""

import hashlib

import numpy as np
import pytest

from minires.data import DataError
from minires.paper.detection import Scenes, load_scenes, scenes
from minires.paper.detection.scenes import boxes_of

# A promise to every machine and NumPy version, as in test_shapes.py.
SHA256_OF_SMALL_SET = "f799b50b3866de38e164007784a5aa470aa37ab257887aa9c486757c9d05cbc5"


@pytest.fixture(scope="module")
def train() -> Scenes:
    return load_scenes(400, 1)[0]


def test_the_bytes_are_the_recorded_ones():
    digest = hashlib.sha256()
    for part in load_scenes(100, 20, seed=7):
        digest.update(part.images.tobytes())
        for boxes, labels in zip(part.boxes, part.labels, strict=True):
            digest.update(boxes.astype("<f4").tobytes() + labels.astype("<i8").tobytes())
    assert digest.hexdigest() == SHA256_OF_SMALL_SET


@pytest.mark.parametrize(("size", "most"), [(32, 1), (64, 4), (65, 8)])
def test_every_image_has_labelled_boxes_inside_of_it(size, most):
    found = load_scenes(70, 30, image_size=size, most_shapes=most)
    for part, count in zip(found, (70, 30), strict=True):
        assert part.images.shape == (count, size, size, 3) and part.images.dtype == np.uint8
        assert len(part) == len(part.boxes) == len(part.labels) == count
        assert part.image_size == size and len(part.classes) == 10
        for boxes, labels in zip(part.boxes, part.labels, strict=True):
            assert boxes.dtype == np.float32 and labels.dtype == np.int64
            assert boxes.shape == (len(labels), 4) and 1 <= len(labels) <= most
            assert (boxes[:, :2] >= 1).all() and (boxes[:, 2:] <= size - 1).all()
            assert (boxes[:, 2:] - boxes[:, :2] >= 0.1 * size).all()
            assert set(labels) <= set(range(10))


def test_boxes_are_tight_around_the_painted_pixels(monkeypatch):
    painted = []
    paint, add_shapes = scenes.paint, scenes._add_shapes

    def noting_paint(image, distance, colour):
        painted.append(distance)
        paint(image, distance, colour)

    def checked_add_shapes(draws, image, *others):
        before = image.copy()
        boxes, labels = add_shapes(draws, image, *others)
        changed = (image != before).any(axis=1)
        for box, distance, mask in zip(boxes, painted[-1], changed, strict=True):
            half_covered = np.argwhere(np.clip(0.5 - distance[0], 0, 1) >= 0.5)
            if box.any():
                ends = half_covered.min(axis=0), half_covered.max(axis=0) + 1
                assert box.tolist() == [*ends[0][::-1], *ends[1][::-1]]
                x0, y0, x1, y1 = box
                for edge in (mask[y0, x0:x1], mask[y1 - 1, x0:x1], mask[y0:y1, x0]):
                    assert edge.any()
                mask[max(y0 - 3, 0) : y1 + 3, max(x0 - 3, 0) : x1 + 3] = False
            assert not mask.any()
        return boxes, labels

    monkeypatch.setattr(scenes, "paint", noting_paint)
    monkeypatch.setattr(scenes, "_add_shapes", checked_add_shapes)
    load_scenes(64, 64, most_shapes=6)
    assert len(painted) == 12


def test_the_box_of_a_distance_counts_pixels_that_are_half_covered():
    distance = np.full((2, 1, 5, 7), 9, np.float32)
    distance[0, 0, 1:4, 2:6] = -1
    distance[0, 0, 4, 6] = 0.01  # less than half
    distance[1, 0, 4, 0] = 0
    assert boxes_of(distance).tolist() == [[2, 1, 6, 4], [0, 4, 1, 5]]


def patch_mean(image, row: int, column: int) -> np.ndarray:
    """Colour around a pixel, with less noise: of 3 x 3."""
    return image[row - 1 : row + 2, column - 1 : column + 2].mean(axis=(0, 1))


def test_labels_belong_to_their_boxes(train):
    """A square has its colour at the middle and near the corners, a ring has a hole."""
    gaps = {"square": [], "ring": [], "circle": []}
    for image, boxes, labels in zip(train.images / 255, train.boxes, train.labels, strict=True):
        for (x0, y0, x1, y1), label in zip(boxes.astype(int), labels, strict=True):
            name, row = train.classes[label], (y0 + y1) // 2
            middle = patch_mean(image, row, (x0 + x1) // 2)
            if name == "square":
                gaps[name].append(np.abs(middle - patch_mean(image, y0 + 4, x0 + 4)).sum())
            elif name in gaps:  # a point of the rim
                rim = patch_mean(image, row, x0 + (x1 - x0) // 8)
                gaps[name].append(np.abs(middle - rim).sum())
    # Strokes run over some of them; the colour of a few hardly differs from the background's.
    alike = {name: np.mean(np.array(values) < 0.45) for name, values in gaps.items()}
    assert alike["square"] > 0.75 and alike["circle"] > 0.75 and alike["ring"] < 0.3


def test_boxes_hardly_overlap(train):
    shared = []
    for boxes in train.boxes:
        for i in range(len(boxes)):
            for j in range(i):
                (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = boxes[i], boxes[j]
                width = max(0, min(ax1, bx1) - max(ax0, bx0))
                height = max(0, min(ay1, by1) - max(ay0, by0))
                smaller = min((ax1 - ax0) * (ay1 - ay0), (bx1 - bx0) * (by1 - by0))
                shared.append(width * height / smaller)
    assert len(shared) > 400 and max(shared) <= 0.05


def test_numbers_classes_and_places_are_spread(train):
    numbers = np.bincount([len(labels) for labels in train.labels], minlength=5)
    assert numbers[0] == 0 and numbers[1:4].min() > 70 and numbers[4] > 20
    assert np.bincount(np.concatenate(train.labels), minlength=10).min() > 50
    boxes = np.concatenate(train.boxes)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert np.abs(middles.mean(axis=0) - 32).max() < 1.5
    assert (middles.min(axis=0) < 9).all() and (middles.max(axis=0) > 55).all()


def test_each_set_depends_on_the_seed_and_not_on_the_other_ones_size():
    train, test = load_scenes(70, 5)
    other_train, test_again = load_scenes(66, 5)
    assert np.array_equal(test.images, test_again.images)
    assert np.array_equal(train.images[:64], other_train.images[:64])
    prints = [
        {image.tobytes() for image in part.images}
        for seed in (0, 1)
        for part in load_scenes(70, 70, seed=seed)
    ]
    assert len(set.union(*prints)) == 4 * 70


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"train_size": 0}, "train_size must be an integer, at least 1, but is 0"),
        ({"test_size": 2.0}, "test_size must be an integer, at least 1, but is 2.0"),
        ({"seed": -1}, "seed must be an integer, at least 0, but is -1"),
        (
            {"image_size": 31},
            "image_size must be an integer, at least 32 and at most 128, but is 31",
        ),
        ({"most_shapes": 9}, "most_shapes must be an integer, at least 1 and at most 8, but is 9"),
    ],
)
def test_bad_arguments_give_a_sentence(arguments, sentence):
    with pytest.raises((TypeError, ValueError), match=f"load_scenes: {sentence}"):
        load_scenes(**arguments)


def test_scenes_that_do_not_fit_together_are_refused():
    images, box, label = np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 4)), np.zeros(1, int)
    with pytest.raises(DataError, match="1 images, 0 arrays of boxes and 1 of labels"):
        Scenes(images, (), (label,), ("a",))
    with pytest.raises(DataError, match=r"image 0 has 1 labels, .* \(1, 4\), but are \(2, 4\)"):
        Scenes(images, (np.zeros((2, 4)),), (label,), ("a",))
    Scenes(images, (box,), (label,), ("a",))
