"""The built-in shapes: the same bytes everywhere, balanced, and readable by outline only."""

import hashlib

import numpy as np
import pytest

from minires.data.outlines import CLASSES, OUTLINES
from minires.data.shapes import load_shapes

# A promise to every machine and NumPy version. If a change of the drawing code breaks it on
# purpose, record the new value, and measure the accuracies in load_shapes anew.
SHA256_OF_SMALL_SET = "43705456fe0204394740eb4bef91473cb17f7c437d1795f2aa2f7ee0549b5c88"


@pytest.fixture(scope="module")
def shapes():
    return load_shapes(train_size=3000, test_size=1000)


def test_the_bytes_are_the_recorded_ones():
    digest = hashlib.sha256()
    for part in load_shapes(train_size=200, test_size=50, seed=7, image_size=32):
        digest.update(part.images.tobytes())
        digest.update(part.labels.astype("<i8").tobytes())
    assert digest.hexdigest() == SHA256_OF_SMALL_SET


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_images_are_uint8_rgb_with_integer_labels(size):
    for part, count in zip(load_shapes(150, 30, image_size=size), (150, 30), strict=True):
        assert part.name == "shapes"
        assert part.images.shape == (count, size, size, 3)
        assert part.images.dtype == np.uint8
        assert part.images.flags.c_contiguous
        assert part.labels.shape == (count,)
        assert part.labels.dtype == np.int64
        assert part.classes == CLASSES
        assert len(set(part.classes)) == 10
        assert set(part.labels) == set(range(10))


def test_images_use_the_whole_range_of_levels(shapes):
    images = shapes[0].images
    assert images.min() == 0
    assert images.max() == 255
    assert 100 < images.mean() < 155
    # Clipping is rare: most pixels keep the colour they were drawn with.
    assert np.mean((images == 0) | (images == 255)) < 0.2


@pytest.mark.parametrize("count", [1, 9, 10, 123, 1000])
def test_classes_are_as_equal_as_the_size_allows(count):
    train, _ = load_shapes(count, 1, image_size=8)
    per_class = np.bincount(train.labels, minlength=10)
    assert per_class.sum() == count
    assert per_class.max() - per_class.min() <= 1


def test_labels_are_shuffled_and_every_prefix_is_about_balanced(shapes):
    labels = shapes[0].labels
    assert np.bincount(labels[:500], minlength=10).min() > 25
    # Neighbours share a class as often as chance has it: one time in ten.
    assert 0.07 < np.mean(labels[1:] == labels[:-1]) < 0.13


def test_train_and_test_share_no_image_and_no_image_comes_twice(shapes):
    prints = [image.tobytes() for part in shapes for image in part.images]
    assert len(set(prints)) == len(prints)


def test_another_seed_draws_other_images():
    first, second = load_shapes(100, 100, seed=0), load_shapes(100, 100, seed=1)
    for one, other in zip(first, second, strict=True):
        assert not np.array_equal(one.labels, other.labels)
        seen = {image.tobytes() for image in one.images}
        assert not any(image.tobytes() in seen for image in other.images)


def test_each_set_is_independent_of_the_other_ones_size():
    train, test = load_shapes(100, 40)
    train_again, other_test = load_shapes(100, 50)
    other_train, test_again = load_shapes(110, 40)
    assert np.array_equal(train.images, train_again.images)
    assert np.array_equal(test.images, test_again.images)
    assert len(other_train) == 110
    assert len(other_test) == 50


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"train_size": 0}, "train_size must be an integer, at least 1, but is 0"),
        ({"test_size": -3}, "test_size must be an integer, at least 1, but is -3"),
        ({"seed": -1}, "seed must be an integer, at least 0, but is -1"),
        ({"image_size": 7}, "image_size must be an integer, at least 8 and at most 64, but is 7"),
        ({"image_size": 65}, "image_size must be an integer, at least 8 and at most 64, but is 65"),
        ({"train_size": 10.0}, "train_size must be an integer, at least 1, but is 10.0"),
        ({"seed": None}, "seed must be an integer, at least 0, but is None"),
    ],
)
def test_bad_arguments_give_a_sentence(arguments, sentence):
    with pytest.raises((TypeError, ValueError), match=f"load_shapes: {sentence}"):
        load_shapes(**arguments)


@pytest.mark.parametrize("name", CLASSES)
def test_every_shape_has_the_area_it_claims_and_is_centred(name):
    distance, area = OUTLINES[name]
    grid = (np.arange(1200) + 0.5) / 400 - 1.5
    x, y = np.meshgrid(grid, grid)
    inside = distance(x, y) < 0
    assert inside.mean() * 9 == pytest.approx(area, rel=2e-3)
    centre = (x[inside].mean(), y[inside].mean())
    assert centre == pytest.approx((0, 0), abs=0.02)


def test_the_distance_is_about_one_pixel_per_pixel_at_the_edge():
    # Anti-aliasing relies on it: a slope of 2 would give hard edges, of 0.5 a blur.
    grid = (np.arange(1200) + 0.5) / 400 - 1.5
    x, y = np.meshgrid(grid, grid)
    for distance, _ in OUTLINES.values():
        field = distance(x, y)
        slope = np.hypot(*np.gradient(field, 1 / 400))[np.abs(field) < 0.02]
        assert np.median(slope) == pytest.approx(1, abs=0.01)


def test_the_mean_colour_does_not_tell_the_class(shapes):
    train, test = shapes
    colours = [part.images.mean(axis=(1, 2)) for part in shapes]
    centroids = np.stack([colours[0][train.labels == c].mean(axis=0) for c in range(10)])
    gaps = ((colours[1][:, None] - centroids) ** 2).sum(axis=-1)
    # Chance is 0.10, its standard deviation over 1,000 images 0.01.
    assert np.mean(gaps.argmin(axis=1) == test.labels) < 0.14


def test_the_area_of_the_shape_does_not_tell_the_class(shapes):
    # The spread of the pixels around their mean grows with the share that the shape covers.
    train, test = shapes
    spreads = [part.images.astype(np.float32).std(axis=(1, 2)).mean(axis=1) for part in shapes]
    centroids = np.array([spreads[0][train.labels == c].mean() for c in range(10)])
    nearest = np.abs(spreads[1][:, None] - centroids).argmin(axis=1)
    assert np.mean(nearest == test.labels) < 0.14


def test_a_linear_classifier_stays_low(shapes):
    train, test = shapes
    x, t = [part.images.reshape(len(part), -1).astype(np.float32) / 255 for part in shapes]
    mean = x.mean(axis=0)
    x, t = x - mean, t - mean
    targets = np.eye(10, dtype=np.float32)[train.labels] - np.float32(0.1)
    # Ridge regression in its dual form, for weights from nearly none to strong decay.
    kernel = x @ x.T
    for decay in (1.0, 300.0, 10_000.0):
        dual = np.linalg.solve(kernel + decay * np.eye(len(x), dtype=np.float32), targets)
        accuracy = np.mean((t @ (x.T @ dual)).argmax(axis=1) == test.labels)
        assert accuracy < 0.35
