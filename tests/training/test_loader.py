"""Batches: every image once, reproducible, augmented as the paper says."""

import numpy as np
import pytest
from cases import BACKENDS
from operation_checks import check_augment

import minires as mr
from minires.data import Loader, Normalization, ResidentBatches, load_shapes
from minires.data.dataset import DataError, Dataset

TRAIN, _ = load_shapes(50, 1, image_size=8)
NORM = Normalization.make("per-pixel", TRAIN.images)


def collect(batches):
    pairs = [(x.numpy().copy(), labels.copy()) for x, labels in batches]
    return [np.concatenate(part) for part in zip(*pairs, strict=True)]


def test_every_image_comes_once_with_its_label():
    x, labels = collect(Loader(TRAIN, NORM, 16))
    expected = TRAIN.images / np.float32(255) - NORM.mean
    np.testing.assert_allclose(x, expected, atol=1e-6)
    assert (labels == TRAIN.labels).all() and x.dtype == np.float32


def test_shuffling_permutes_anew_in_every_epoch():
    loader = Loader(TRAIN, NORM, 16, shuffle=True)
    first, second = (collect(loader.batches(epoch)) for epoch in (0, 1))
    assert not np.array_equal(first[1], second[1])
    for x, labels in (first, second):
        keys = sorted(zip(x.sum((1, 2, 3)).round(3), labels, strict=True))
        plain_x, plain = collect(Loader(TRAIN, NORM, 16))
        assert keys == sorted(zip(plain_x.sum((1, 2, 3)).round(3), plain, strict=True))


def test_a_batch_depends_on_seed_epoch_and_number_alone():
    loader = Loader(TRAIN, NORM, 16, shuffle=True, augment=True, seed=3)
    whole = [x.numpy() for x, _ in loader.batches(2)]
    rest = [x.numpy() for x, _ in loader.batches(2, start=2)]
    assert all((a == b).all() for a, b in zip(whole[2:], rest, strict=True))
    other = next(iter(Loader(TRAIN, NORM, 16, shuffle=True, augment=True, seed=4)))[0].numpy()
    assert not np.array_equal(whole[0], other)


def test_plain_iteration_goes_on_to_the_next_epoch():
    loader = Loader(TRAIN, NORM, 50, shuffle=True, augment=True)
    expected = [next(loader.batches(epoch))[0].numpy() for epoch in range(3)]
    for epoch in range(3):
        [(x, _)] = loader
        np.testing.assert_array_equal(x.numpy(), expected[epoch])


def test_every_random_choice_has_a_stream_of_its_own():
    """NumPy pads a short seed with zeros: default_rng((0, 0)) and default_rng(0) are one stream."""
    loader = Loader(TRAIN, NORM, 50)
    streams = [np.random.default_rng(0)]
    streams += [loader._generator(*place) for place in ((0,), (1,), (0, 0), (0, 1), (1, 0))]
    draws = {rng.integers(2**63) for rng in streams}
    assert len(draws) == len(streams)


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [16, 16, 16, 2]), (True, [16, 16, 16])])
def test_the_last_batch(drop_last, sizes):
    loader = Loader(TRAIN, NORM, 16, drop_last=drop_last)
    assert [len(labels) for _, labels in loader] == sizes and len(loader) == len(sizes)


def test_augmentation_is_a_crop_of_the_padded_image_or_of_its_mirror():
    """Every augmented image is found among all 2 x 9 x 9 crops; all offsets and flips occur."""
    x, _ = collect(Loader(TRAIN, NORM, 50, augment=True, seed=1))
    plain, _ = collect(Loader(TRAIN, NORM, 50))
    found = []
    for image, original in zip(x, plain, strict=True):
        padded = np.pad(original, ((4, 4), (4, 4), (0, 0)))
        crops = {
            (top, left, flip): padded[top : top + 8, left : left + 8][:, :: -1 if flip else 1]
            for top in range(9)
            for left in range(9)
            for flip in (False, True)
        }
        matches = [key for key, crop in crops.items() if np.array_equal(crop, image)]
        assert matches
        found.append(matches[0])
    tops, lefts, flips = (set(part) for part in zip(*found, strict=True))
    assert len(tops) > 6 and len(lefts) > 6 and flips == {False, True}


@pytest.mark.parametrize("name", BACKENDS)
def test_the_augment_kernel_is_its_definition(name):
    with mr.use(name):
        check_augment()


def test_normalization_survives_the_metadata_exactly():
    for norm in (NORM, Normalization.make("imagenet")):
        back = Normalization.from_metadata(norm.to_metadata())
        assert back.name == norm.name
        assert back.mean.tobytes() == norm.mean.tobytes()
        assert back.inv_std.tobytes() == norm.inv_std.tobytes()
    assert Normalization.from_metadata({}) is None


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"batch_size": 1.5}, TypeError, "batch_size must be an integer, at least 1, but is 1.5"),
        ({"batch_size": None}, TypeError, "batch_size must be an integer, .* but is None"),
        ({"batch_size": -1}, ValueError, "batch_size must be .* but is -1"),
        ({"batch_size": True}, TypeError, "batch_size must be .* but is True"),
        ({"seed": None}, TypeError, "Loader: seed must be an integer, at least 0, but is None"),
        ({"seed": -1}, ValueError, "seed must be"),
        ({"seed": 0.5}, TypeError, "seed must be"),
        ({"pad": -1}, ValueError, "pad must be"),
        ({"pad": 4.0}, TypeError, "pad must be"),
        ({"shuffle": 3}, TypeError, "shuffle must be True or False, but is 3"),
        ({"augment": None}, TypeError, "augment must be True or False"),
        ({"drop_last": "no"}, TypeError, "drop_last must be True or False, but is 'no'"),
    ],
)
def test_a_loaders_numbers_are_looked_at(settings, error, message):
    with pytest.raises(error, match=message):
        Loader(TRAIN, NORM, **settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TRAIN, "per-pixel"), "normalization must be a Normalization, but is a str"),
        (((TRAIN.images, TRAIN.labels), NORM), "dataset must be a Dataset, but is a tuple"),
        ((None, NORM), "dataset must be a Dataset, but is a NoneType"),
    ],
)
def test_a_loader_is_given_a_data_set_and_a_normalisation(arguments, message):
    with pytest.raises(TypeError, match=message):
        Loader(*arguments)


@pytest.mark.parametrize(
    "images", [TRAIN.images / 255, TRAIN.images[:0], TRAIN.images[0], [[1]], TRAIN.images[..., 0]]
)
def test_a_normalisation_is_made_of_images(images):
    with pytest.raises(ValueError, match=r"needs training images, an array \(N,H,W,C\) of uint8"):
        Normalization.make("per-pixel", images)


def test_numpys_own_numbers_serve_as_well():
    loader = Loader(TRAIN, NORM, np.int64(16), seed=np.uint8(3), pad=np.array(2), shuffle=np.True_)
    assert [len(labels) for _, labels in loader] == [16, 16, 16, 2] and type(loader.seed) is int


@pytest.mark.parametrize("place", [(0, -2), (0, 5), (-1, 0), (0.0, 0), (None, 0), (0, 1.5)])
def test_a_batch_that_there_is_not_is_refused(place):
    with pytest.raises((TypeError, ValueError), match="Loader.batches: (epoch|start) must be an i"):
        next(Loader(TRAIN, NORM, 16).batches(*place))
    with pytest.raises((TypeError, ValueError), match="Loader.batches: (epoch|start) must be an i"):
        ResidentBatches(Loader(TRAIN, NORM, 16)).load(*place)
    assert [*Loader(TRAIN, NORM, 16).batches(0, 4)] == []  # behind the last one


@pytest.mark.parametrize("count", [-1, 51, 10**9, 1.5, None, "10", True])
def test_a_subset_has_as_many_images_as_were_asked_for(count):
    with pytest.raises((TypeError, ValueError), match="shapes: subset: count must be an integer"):
        TRAIN.subset(count)
    assert [len(TRAIN.subset(n)) for n in (0, 1, 50)] == [0, 1, 50]


@pytest.mark.parametrize(
    ("images", "labels", "classes", "message"),
    [
        (TRAIN.images, None, TRAIN.classes, "labels must be an array of numbers, but are object"),
        (TRAIN.images, TRAIN.labels.astype(str), TRAIN.classes, "labels must be an array of num"),
        (TRAIN.images, TRAIN.labels / 2, TRAIN.classes, "labels of 10 classes must be integers"),
        (TRAIN.images, TRAIN.labels.astype(bool), TRAIN.classes, "labels must be an array of num"),
        (TRAIN.images, TRAIN.labels * np.nan, None, r"labels\[0\] has a NaN or inf"),
        (TRAIN.images, TRAIN.labels[:, None], TRAIN.classes, "labels must be 50 integers, one per"),
        (TRAIN.images[0, 0, 0], TRAIN.labels, TRAIN.classes, r"a table \(N,F\), but are \(3,\)"),
        ([[1], [1, 2]], [0, 1], None, "images must be an array of numbers"),
        (TRAIN.images, TRAIN.labels, 10, "classes must be a tuple of names, but are 10"),
    ],
)
def test_a_data_set_of_another_kind_is_said(images, labels, classes, message):
    with pytest.raises(DataError, match=message):
        Dataset("wrong", images, labels, classes)


def test_what_cannot_be_loaded_is_refused_in_words():
    from minires.data import load

    with pytest.raises(ValueError, match="batch_size"):
        Loader(TRAIN, NORM, 0)
    with pytest.raises(ValueError, match="drop_last"):
        Loader(TRAIN, NORM, 64, drop_last=True)
    with pytest.raises(ValueError, match="no normalisation is named 'mnist'"):
        Normalization.make("mnist")
    with pytest.raises(ValueError, match=r"\(8, 8, 3\), but these are \(16, 16, 3\)"):
        Loader(load_shapes(1, 1, image_size=16)[0], NORM)
    with pytest.raises(DataError, match="labels must be 0 to 9, but run from 0 to 10"):
        Dataset("wrong", TRAIN.images[:2], np.array([0, 10]), TRAIN.classes)
    with pytest.raises(DataError, match="one per image"):
        Dataset("wrong", TRAIN.images[:2], np.array([0]), TRAIN.classes)
    with pytest.raises(DataError, match="no data set is named 'mnist'"):
        load("mnist")
    with pytest.raises(DataError, match="32 x 32"):
        load("cifar10", image_size=16)
