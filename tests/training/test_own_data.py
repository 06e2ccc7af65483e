"""One's own data: images and tables of any kind, PyTorch's data sets and loaders, saved arrays."""

import pickle

import numpy as np
import pytest

import minires as mr
from minires import Tensor, nn, optim
from minires import functional as F
from minires.data import (
    DataError,
    DataLoader,
    Dataset,
    Loader,
    Normalization,
    ResidentBatches,
    Subset,
    TensorDataset,
    load_shapes,
    random_split,
)
from minires.training import evaluate, load_weights, save_weights

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 8, 8), np.uint8)
LABELS = RNG.integers(0, 3, 20)


class TestDataset:
    @pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u4", "i8", "u8"])
    def test_labels_of_any_integer_kind_become_int64(self, kind):
        part = Dataset("own", GREY, LABELS.astype(kind))
        assert part.labels.dtype == np.int64 and part.classes == ("0", "1", "2")

    def test_grey_images_get_a_channel_and_are_not_copied(self):
        part = Dataset("grey", GREY, LABELS)
        assert part.images.shape == (20, 8, 8, 1) and np.shares_memory(part.images, GREY)
        assert repr(part) == "Dataset('grey': 20 images of 8 x 8 x 1, uint8, 3 classes)"

    def test_lists_tensors_tables_and_targets(self):
        table = Dataset("moons", [[0.5, 1.0], [2.0, 3.0]], [0, 1], ("a", "b"))
        assert table.images.shape == (2, 2) and table[1][1] == 1
        tensors = Dataset("t", mr.ones(4, 3), mr.tensor([0, 1, 1, 0]))
        assert len(tensors) == 4 and tensors.subset(2).classes == ("0", "1")
        targets = Dataset("houses", np.ones((5, 3)), np.arange(5.0))
        assert targets.labels.dtype == np.float32 and targets.classes == ()
        assert repr(targets) == "Dataset('houses': 5 rows of 3, float64, targets)"

    def test_what_is_no_data_set_is_said(self):
        nan = np.ones((3000, 2))
        nan[2001, 1] = np.nan
        for images, labels, message in (
            (nan, np.zeros(3000, int), r"images must be finite, but images\[2001\] has a NaN"),
            (np.ones((2, 3)), [1.0, np.inf], r"labels must be finite, but labels\[1\]"),
            (np.ones((2, 3)), [0, 10**9], "0 to 99,999, but run from 0 to 1,000,000,000"),
            (np.ones((2, 3)), [-1, 1], "run from -1 to 1; targets of a regression must be floats"),
            (GREY.astype(int), LABELS, "images must be uint8, 0 to 255, or floats, but are int64"),
            (GREY, LABELS[:5], r"labels must be 20, one per image, but are \(5,\)"),
            (np.array([["a"], ["b"]]), [0, 1], "images must be an array of numbers, but are <U1"),
            (GREY, LABELS.astype(object), "labels must be an array of numbers, but are object"),
        ):
            with pytest.raises(DataError, match=message):
                Dataset("own", images, labels)
        with pytest.raises(DataError, match='the name comes first, .* write Dataset."mine", ima'):
            Dataset(GREY, LABELS, "own")

    def test_two_data_sets_are_compared_by_identity(self):
        a, b = Dataset("g", GREY, LABELS), Dataset("g", GREY, LABELS)
        assert a == a and a != b and len({a, b}) == 2


class TestLoader:
    def test_without_a_normalisation_bytes_lie_from_0_to_1(self):
        for loader in (Loader(Dataset("g", GREY, LABELS), 8), Loader(Dataset("g", GREY, LABELS))):
            x, labels = next(iter(loader))
            assert x.dtype == np.float32 and x.shape[1:] == (8, 8, 1)
            expected = GREY[: len(labels), :, :, None] / 255
            np.testing.assert_allclose(x.numpy(), expected, rtol=1e-6)
        assert "of 8 x 8 x 1" in repr(loader) and len(Loader(Dataset("g", GREY, LABELS), 8)) == 3

    def test_floats_are_taken_as_they_are_and_normalised(self):
        images = RNG.standard_normal((6, 4, 4, 3))
        norm = Normalization.make("cifar10")
        x, _ = next(iter(Loader(Dataset("f", images, LABELS[:6]), norm, 6)))
        expected = (images - norm.mean) * norm.inv_std
        np.testing.assert_allclose(x.numpy(), expected, rtol=1e-5, atol=1e-6)

    def test_floats_are_augmented_as_bytes_are(self):
        bytes_ = RNG.integers(0, 256, (10, 8, 8, 3), np.uint8)
        how = {"batch_size": 10, "augment": True, "pad": 2, "seed": 3}
        a, _ = next(iter(Loader(Dataset("b", bytes_, LABELS[:10]), **how)))
        b, _ = next(iter(Loader(Dataset("f", bytes_ / 255, LABELS[:10]), **how)))
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)

    def test_a_table_trains(self):
        mr.seed(0)
        x = RNG.standard_normal((200, 2))
        part = Dataset("halves", x, (x[:, 0] > x[:, 1]).astype(int))
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
        adam = optim.Adam(model, lr=0.05)
        for _ in range(20):
            for batch, labels in Loader(part, 50, shuffle=True):
                adam.zero_grad()
                F.cross_entropy(model(batch), labels).backward()
                adam.step()
        assert evaluate(model, part)[1] > 0.95
        with pytest.raises(ValueError, match=r"halves has rows of \(2,\)"):
            Loader(part, 50, augment=True)

    def test_a_transform_is_given_every_batch(self):
        loader = Loader(Dataset("g", GREY, LABELS), 8, transform=lambda x: x * 0)
        assert all(not x.numpy().any() for x, _ in loader)
        with pytest.raises(TypeError, match="transform must be a function"):
            Loader(Dataset("g", GREY, LABELS), 8, transform=3)

    def test_a_transform_may_return_an_array_of_as_many_rows(self):
        part = Dataset("g", GREY, LABELS)
        rows = Loader(part, 8, transform=lambda x: x.numpy().reshape(len(x), -1).astype("f8"))
        assert [(x.shape, x.dtype) for x, _ in rows][0] == ((8, 64), np.float32)
        one = Loader(part, 8, transform=lambda x: mr.stack([image.flip(1) for image in x]))
        flipped, plain = (next(iter(loader))[0].numpy() for loader in (one, Loader(part, 8)))
        np.testing.assert_array_equal(flipped, plain[:, :, ::-1])
        with pytest.raises(ValueError, match="given 8 images at once, .* returned a Tensor of"):
            next(iter(Loader(part, 8, transform=lambda x: x[:3])))

    def test_bytes_stay_bytes_in_memory(self):
        part = Dataset("g", GREY, LABELS)
        loader = Loader(part, 8)
        assert loader.images.dtype == np.uint8 and np.shares_memory(loader.images, GREY)

    def test_two_batch_sizes_are_one_too_many(self):
        with pytest.raises(TypeError, match="two batch sizes are given, 8 and 16"):
            Loader(Dataset("g", GREY, LABELS), 8, batch_size=16)
        assert Loader(Dataset("g", GREY, LABELS), np.int64(8)).batch_size == 8

    def test_parts_of_a_data_set_are_loaded_as_data_sets_are(self):
        mr.seed(0)
        train, rest = random_split(Dataset("g", GREY, LABELS), (15, 5))
        assert isinstance(train, Dataset) and (len(train), len(rest)) == (15, 5)
        assert {image.tobytes() for part in (train, rest) for image in part.images} == {
            image.tobytes() for image in GREY
        }
        loader = Loader(Subset(Subset(train, range(10)), [3, 2]), 2, augment=True, pad=0)
        assert loader.images.dtype == np.uint8
        assert loader.labels.tolist() == train.labels[[3, 2]].tolist()

    def test_what_a_kernel_cannot_make_is_said(self):
        for part in (
            Loader(Dataset("f", GREY / 255, LABELS), 5),
            Loader(Dataset("g", GREY, LABELS), 5, transform=lambda x: x),
            Loader(Dataset("g", GREY, LABELS / 2), 5),
        ):
            with pytest.raises(ValueError, match="ResidentBatches: .* uint8 images with classes"):
                ResidentBatches(part)


class TestNormalization:
    def test_it_is_called_with_one_image_or_several(self):
        train, _ = load_shapes(10, 1, image_size=8)
        norm = Normalization.make("per-pixel", train.images)
        x, _ = next(iter(Loader(train, norm, 10)))
        np.testing.assert_allclose(norm(train.images), x.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(norm(train.images[3]), x.numpy()[3], rtol=1e-5, atol=1e-6)
        assert repr(norm) == "Normalization('per-pixel', 8 x 8 x 3)"
        with pytest.raises(ValueError, match=r"made for images of \(8, 8, 3\), but these are"):
            norm(GREY)

    def test_images_of_any_channels_have_a_per_pixel_mean(self, tmp_path):
        part = Dataset("g", GREY, LABELS)
        norm = Normalization.make("per-pixel", part.images)
        assert norm.mean.shape == (8, 8, 1) and norm.inv_std.shape == (1,)
        loader = Loader(part, norm, 20)
        x, _ = next(iter(loader))
        np.testing.assert_allclose(x.numpy().mean(0), 0, atol=1e-6)
        assert repr(loader).endswith("1 batches of 20, per-pixel)")
        model = nn.Linear(2, 2)
        save_weights(tmp_path / "w", model, norm)
        assert load_weights(tmp_path / "w", model).mean.tobytes() == norm.mean.tobytes()


class TestDataLoader:
    def test_tensors_side_by_side_come_in_batches(self):
        x, y = mr.arange(10), mr.randn(10, 2)
        loader = DataLoader(TensorDataset(x, y), batch_size=4)
        batches = list(loader)
        assert [len(a) for a, _ in batches] == [4, 4, 2] and len(loader) == 3
        np.testing.assert_array_equal(batches[1][1].numpy(), y.numpy()[4:8])
        with pytest.raises(ValueError, match=r"one length, but are \(10,\), \(3,\)"):
            TensorDataset(x, mr.ones(3))

    def test_a_new_order_in_every_epoch_by_the_seed(self):
        loader = DataLoader(TensorDataset(mr.arange(10)), 10, shuffle=True)
        mr.seed(5)
        first, second = (next(iter(loader))[0].tolist() for _ in range(2))
        mr.seed(5)
        assert next(iter(loader))[0].tolist() == first != second
        assert sorted(first) == sorted(second) == list(range(10))

    def test_anything_with_items_is_stacked(self):
        class Squares:
            def __len__(self):
                return 5

            def __getitem__(self, i):
                return {"x": np.full(2, i, np.float32), "y": float(i * i)}, i

        (named, i), *_ = DataLoader(Squares(), 3)
        assert named["x"].shape == (3, 2) and named["y"].tolist() == [0, 1, 4]
        assert named["y"].dtype == np.float32 and i.tolist() == [0, 1, 2]
        images, labels = next(iter(DataLoader(Dataset("g", GREY, LABELS), 2)))
        assert images.shape == (2, 8, 8, 1) and labels.dtype == np.int64
        assert images.dtype == np.float32  # as a Loader makes them
        np.testing.assert_allclose(images.numpy(), GREY[:2, ..., None] / 255, rtol=1e-6)
        table = Dataset("t", np.ones((6, 2)), np.ones(6))
        x, y = next(iter(DataLoader(Subset(table, [5, 1, 0]), 2)))
        assert x.dtype == y.dtype == np.float32 and x.shape == (2, 2)
        items = [mr.ones(2), mr.ones(3)]
        with pytest.raises(ValueError, match="cannot be stacked; give a collate_fn"):
            next(iter(DataLoader(items, 2)))
        assert next(iter(DataLoader(items, 2, collate_fn=len))) == 2
        with pytest.raises(ValueError, match="num_workers must be 0, but is 4"):
            DataLoader(items, 2, num_workers=4)
        with pytest.raises(TypeError, match="__len__ and __getitem__, but a int has not"):
            DataLoader(3)

    def test_a_data_set_is_parted(self):
        whole = TensorDataset(mr.arange(10))
        for lengths, sizes in (((7, 3), [7, 3]), ((0.5, 0.25, 0.25), [6, 2, 2])):
            parts = random_split(whole, lengths)
            assert [len(p) for p in parts] == sizes
            assert sorted(int(p[i][0].item()) for p in parts for i in range(len(p))) == [*range(10)]
        with pytest.raises(ValueError, match="are not 10 items together"):
            random_split(whole, (5, 6))
        with pytest.raises(IndexError, match="no item 10"):
            Subset(whole, [10])
        assert repr(Subset(whole, [1, 2])) == "Subset(2 of TensorDataset((10,) int64))"


class TestFiles:
    def test_arrays_by_name_come_back(self, tmp_path):
        values = {"w": mr.ones(2, 3), "deep": {"a": np.arange(3), "n": 7}, "half": np.ones(2, "f2")}
        mr.save(tmp_path / "x.safetensors", values)
        found = mr.load(tmp_path / "x.safetensors")
        assert found.keys() == {"w", "deep.a", "deep.n", "half"} and found["deep.n"] == 7
        np.testing.assert_array_equal(found["w"], np.ones((2, 3)))
        layer = nn.Linear(2, 2)
        mr.save(tmp_path / "layer.safetensors", layer)
        nn.Linear(2, 2).load_state_dict(mr.load(tmp_path / "layer.safetensors"))

    def test_what_cannot_be_saved_leaves_no_file(self, tmp_path):
        for value, message in (
            ({"a": "text"}, "a must be an array of numbers"),
            ({"a": {"b": None}}, "a.b must be an array of numbers"),
            ({3: np.ones(2)}, "names must be texts"),
            (np.ones(3), "must come by name, in a dict, not as a ndarray"),
            ({"a": {"b": np.ones(2)}, "a.b": np.ones(2)}, "two arrays would be named 'a.b'"),
            (
                {"a": np.ones(2, complex)},
                r"a must be an array of numbers, but is a ndarray .complex",
            ),
            ({"a": np.ones(2, np.longdouble)}, "a must be an array of numbers, but is a ndarray"),
            ({"a": [1, [2]]}, "a must be an array of numbers .setting an array element"),
            (optim.SGD(nn.Linear(1, 1), 0.1), r"not as a SGD; write save\(path, x.state\(\)\)"),
        ):
            with pytest.raises(TypeError, match=message):
                mr.save(tmp_path / "x.safetensors", value)
        with pytest.raises(TypeError, match="the path comes first"):
            mr.save({"a": np.ones(2)}, tmp_path / "x.safetensors")
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(ValueError, match="there is no such file"):
            mr.load(tmp_path / "x.safetensors")

    def test_a_pickle_is_named_and_not_run(self, tmp_path):
        for content in (pickle.dumps({"a": 1}, 2), pickle.dumps({"a": 1}, 4), b"PK\x03\x04rest"):
            (tmp_path / "x.pkl").write_bytes(content)
            with pytest.raises(ValueError, match="x.pkl: a pickle or a file of torch.save, which"):
                mr.load(tmp_path / "x.pkl")

    def test_weights_need_a_path_and_a_module_and_nothing_else(self, tmp_path):
        layer, other = nn.Linear(2, 2), nn.Linear(2, 2)
        save_weights(tmp_path / "w", layer)
        assert load_weights(tmp_path / "w", other) is None
        np.testing.assert_array_equal(layer.weight.numpy(), other.weight.numpy())
        with pytest.raises(TypeError, match="load_weights: the path comes first, then the model"):
            load_weights(layer, tmp_path / "w")
        with pytest.raises(TypeError, match=r"must be a Module, .*a dict; .* write minires.load"):
            load_weights(tmp_path / "w", {})
        with pytest.raises(TypeError, match=r"must be a Module, .*a dict; .* write minires.save"):
            save_weights(tmp_path / "w", {})


def test_one_number_is_formatted_as_numbers_are():
    loss = Tensor([2.34567])
    assert f"{loss:.3f}" == "2.346" and round(loss, 2) == 2.35 and int(loss) == 2
    assert f"{mr.ones(2)}" == str(mr.ones(2)) and round(Tensor(2.6)) == 3
    with pytest.raises(TypeError, match=r"format '.3f' is for one number, but this tensor is \(2,"):
        f"{mr.ones(2):.3f}"


def test_an_optimizer_is_one_line():
    sgd = optim.SGD(nn.Linear(2, 3), lr=0.1, momentum=0.9)
    assert repr(sgd) == "SGD(lr=0.1, momentum=0.9, nesterov=False; 2 parameters, 9 numbers)"


class TestNotebooks:
    def test_a_module_is_a_table_of_its_parts(self):
        net = nn.Sequential({"conv": nn.Conv2d(3, 4, 3), "act": nn.LeakyReLU(0.2)})
        page = net._repr_html_()
        assert "conv" in page and "weight 3 x 3 x 3 x 4, bias 4" in page and "112" in page
        assert "LeakyReLU(negative_slope=0.2)" in page and "<script" not in page
        assert "parts more" in nn.Sequential(*[nn.ReLU() for _ in range(80)])._repr_html_()

    def test_a_data_set_shows_its_first_images(self):
        classes = ("<b>", "b", "c")
        page = Dataset("grey", GREY, LABELS, classes)._repr_html_()
        assert page.count("data:image/png") == 12 and "<b>" not in page
        floats = Dataset("f", RNG.standard_normal((2, 8, 8, 3)), [0, 1])._repr_html_()
        assert floats.count("<img") == 2
        assert "<img" not in Dataset("t", np.ones((3, 2)), [0, 1, 1])._repr_html_()
