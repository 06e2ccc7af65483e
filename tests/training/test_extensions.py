"""A network and a data set of one's own: registered by a module, trained by the command line."""

import json
import re
import shutil
import sys

import numpy as np
import pytest

from minires import data, extensions, models, nn
from minires.cli import main
from minires.data import DataError, Dataset
from minires.paper.setting import Setting
from minires.training import Config, Trainer
from minires.training.weights import read_arrays

MODULE = '''
"""A small network for small images of three colours."""

import numpy as np

from minires import data, models, nn


class MyNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten())
        self.linear = nn.Linear(4 * 6 * 6, num_classes)

    def forward(self, x):
        return self.linear(self.body(x))


def load(data_dir, download, image_size):
    labels = np.arange(48) % 3
    images = np.zeros((48, image_size, image_size, 3), np.uint8)
    images[np.arange(48), :, :, labels] = 200
    part = data.Dataset("colours", images, labels, ("red", "green", "blue"))
    return part, part.subset(30)


models.register("mynet", MyNet, image_size=6, classes=3, recipe={"warm_up": 3})
data.register("colours", load, classes=3, image_size=6, recipe={"epochs": 2})
'''
OPTIONS = "--batch-size 16 --backend numpy --lr 0.05 --model mynet --dataset colours".split()


@pytest.fixture(autouse=True)
def own_tables(monkeypatch):
    """Entries, modules and directories of imports that a test adds are gone after it."""
    tables = [(table, dict(table)) for table in (models.NETWORKS, data.SOURCES)]
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if "my_module" in name:
            del sys.modules[name]
    for table, before in tables:
        table.clear()
        table.update(before)


@pytest.fixture
def forget(own_tables):
    """Forget what was imported, as a new process would."""

    def forgotten():
        for name in [name for name in sys.modules if "my_module" in name]:
            del sys.modules[name]
        models.NETWORKS.pop("mynet", None)
        data.SOURCES.pop("colours", None)

    return forgotten


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with my_module.py."""
    (tmp_path / "my_module.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("module", ["my_module", "my_module.py"])
def test_a_registered_network_trains_resumes_and_evaluates(module, here, forget, capsys):
    train = ["train", "--import", module, *OPTIONS, "--out", "whole"]
    status, out, err = run(capsys, *train)
    assert status == 0, err
    assert "data      colours\n" in out and "mynet, 547 parameters" in out
    assert "6 iterations of 16 images, 2.0 epochs" in out  # the recipe of the data set
    assert json.loads((here / "whole" / "config.json").read_text())["image_size"] == 6

    forget()
    status, out, err = run(capsys, "eval", "--weights", "whole/best.safetensors")
    assert status == 0 and "of 30)" in out, err

    forget()
    part = ["train", "--import", module, *OPTIONS, "--epochs", "1", "--out", "part"]
    assert run(capsys, *part)[0] == 0
    forget()
    status, out, err = run(capsys, "train", "--resume", "--out", "part")
    assert status == 0 and "resumed   at iteration 3" in out, err


def test_a_resumed_run_has_the_bits_of_a_whole_one(here, forget, monkeypatch, capsys):
    config = Config(
        model="mynet",
        dataset="colours",
        batch_size=16,
        backend="numpy",
        imports=("my_module",),
        checkpoint_every=1,
        out="whole",
    )
    Trainer(config).run()

    class Stop(Exception):
        pass

    step = Trainer._train_step

    def stopping(self, x, labels):
        if self.step == 4:
            raise Stop
        step(self, x, labels)

    arguments = ["train", "--import", "my_module", *OPTIONS[:4], "--model", "mynet"]
    arguments += ["--dataset", "colours", "--checkpoint-every", "1", "--out", "part"]
    forget()
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(Trainer, "_train_step", stopping)
        main(arguments)
    forget()
    assert main(["train", "--resume", "--out", "part"]) == 0
    for name in ("last.safetensors", "best.safetensors"):
        whole, part = (read_arrays(here / run / name)[0] for run in ("whole", "part"))
        assert {n: a.tobytes() for n, a in whole.items()} == {
            n: a.tobytes() for n, a in part.items()
        }


def test_a_run_says_which_module_it_needs_when_that_is_gone(here, forget, capsys):
    run(capsys, "train", "--import", "my_module.py", *OPTIONS, "--epochs", 1, "--out", "run")
    forget()
    (here / "my_module.py").rename(here / "moved.py")
    for command in ("train --resume --out run", "eval --weights run/best.safetensors"):
        status, _, err = run(capsys, *command.split())
        assert status == 1 and f"there is no file {here / 'my_module.py'}" in err
    status, out, err = run(capsys, "train", "--resume", "--out", "run", "--import", "moved.py")
    assert status == 0 and "done" in out, err


def test_weights_without_their_run_are_told_about_import(here, forget, capsys):
    run(capsys, "train", "--import", "my_module", *OPTIONS, "--epochs", 1, "--out", "run")
    forget()
    shutil.copy("run/best.safetensors", "alone.safetensors")
    status, _, err = run(capsys, *"eval --weights alone.safetensors".split())
    assert status == 1 and re.search(r"no (network|data set) is named .* --import", err)
    status, out, err = run(
        capsys, "eval", "--weights", "alone.safetensors", "--import", "my_module"
    )
    assert status == 0 and "of 30)" in out, err


def test_the_other_commands_know_it_too(here, forget, capsys):
    status, out, _ = run(capsys, "info", "--import", "my_module", "--model", "mynet")
    assert status == 0 and "mynet, images of 6 x 6 pixels" in out and "547" in out
    status, out, _ = run(capsys, "info", "--import", "my_module")
    assert status == 0 and re.search(r"^  colours", out, re.MULTILINE)
    forget()
    bench = "bench --import my_module --model mynet --backend numpy --batch-size 2"
    status, _, err = run(capsys, *bench.split())
    assert status == 1 and "mynet is for images of 6 x 6 pixels only" in err
    forget()
    words = "reproduce ensemble --budget smoke --import my_module --model mynet --dataset colours"
    words += " --seeds 2 --batch-size 16 --backend numpy --out results"
    status, out, err = run(capsys, *words.split())
    assert status == 0 and "2 networks averaged" in out, err
    assert (
        "--import my_module" in json.loads((here / "results/ensemble.json").read_text())["command"]
    )


BROKEN = {
    "nothing = undefined": "my_module.py, line 1: NameError: name 'undefined' is not defined",
    "\n\nimport not_there": "line 3: ModuleNotFoundError: No module named 'not_there'",
    "def f(:": "my_module.py, line 1: SyntaxError: ",
    "from minires import models, nn\nmodels.register('resnet20', nn.Linear)": (
        "there is already a network named 'resnet20'"
    ),
}


@pytest.mark.parametrize("source", BROKEN)
@pytest.mark.parametrize("name", ["my_module", "my_module.py"])
def test_an_error_of_the_module_is_shown_with_its_place(source, name, here, capsys):
    (here / "my_module.py").write_text(source)
    status, _, err = run(capsys, "train", "--import", name)
    assert status == 1 and f"--import {name}: " in err and BROKEN[source] in err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_other_module", "there is no such module here.*DIRECTORY/my_other_module.py"),
        ("no.such.package", "there is no such module"),
        ("absent.py", "there is no file .*absent.py"),
        ("", "there is no such module"),
    ],
)
def test_a_module_that_is_not_there_is_said_in_a_sentence(name, message, here):
    with pytest.raises(extensions.ExtensionError, match=f"--import {name}: {message}"):
        extensions.load([name])


def test_a_module_is_imported_once_and_finds_what_lies_beside_it(here, tmp_path):
    (here / "beside_my_module.py").write_text("number = 7")
    (here / "my_module.py").write_text(MODULE + "\nfrom beside_my_module import number\n")
    path = str(here / "my_module.py")
    assert extensions.load(["my_module.py"]) == extensions.load([path]) == (path,)
    assert models.build("mynet").num_parameters() == 547


class Tiny(nn.Module):
    """For images of 4 x 4 pixels."""

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.flat, self.linear = nn.Flatten(), nn.Linear(48, num_classes)

    def forward(self, x):
        return self.linear(self.flat(x))


def made_of(classes: int):
    """A function that makes a Tiny for `classes` classes, whatever it is asked for."""
    return lambda num_classes: Tiny(classes)


class TestNetworks:
    def test_an_entry_tells_what_the_network_is(self):
        entry = models.register("tiny", Tiny, image_size=4, classes=7, depth=1)
        assert models.get("tiny") is entry and "tiny" in models.names()
        assert models.build("tiny").linear.weight.shape == (48, 7)
        assert models.tiny(num_classes=2).linear.weight.shape == (48, 2)
        with pytest.raises(ValueError, match="tiny is for images of 4 x 4 pixels only, .* 32 x 32"):
            Config(model="tiny")
        with pytest.raises(ValueError, match="bf16 is for the resnets .* CIFAR: tiny"):
            Config(model="tiny", image_size=4, precision="bf16")
        for option in ({"shortcut": "A"}, {"recompute": True}, {"stride_in_3x3": True}):
            with pytest.raises(ValueError, match="tiny has no (shortcuts|blocks|bottlenecks)"):
                models.build("tiny", **option)

    @pytest.mark.parametrize("name", ["resnet20", "resnet26", "plain8", "vgg16", "alexnet"])
    def test_a_name_that_is_taken_is_refused(self, name):
        with pytest.raises(ValueError, match=f"already a network named '{name}'"):
            models.register(name, Tiny)

    @pytest.mark.parametrize("name", ["", "my net", "7up", "../net"])
    def test_what_is_no_name_is_refused(self, name):
        with pytest.raises(ValueError, match="cannot be a network's name"):
            models.register(name, Tiny)

    def test_what_cannot_make_it_is_refused(self):
        with pytest.raises(TypeError, match=r"must be made by make\(num_classes=...\): "):
            models.register("tiny", lambda classes: Tiny(classes))
        with pytest.raises(TypeError, match=r"make\(num_classes=..., fused=...\)"):
            models.register("tiny", Tiny, options=("fused",))
        with pytest.raises(ValueError, match="build has no option 'dilation'"):
            models.register("tiny", Tiny, options=("dilation",))

    def test_what_makes_no_module_is_said_so(self):
        models.register("tiny", lambda num_classes: [Tiny(num_classes)])
        with pytest.raises(ValueError, match="'tiny' must make a Module, but made a list"):
            models.build("tiny")

    @pytest.mark.parametrize(
        ("make", "size", "message"),
        [
            (made_of(3), 4, r"give logits \(1, 10\) for one image .* but gives \(1, 3\)"),
            (Tiny, 8, "tiny cannot take an image of 8 x 8 pixels: linear: "),
            (lambda num_classes: nn.Identity(), 8, r"but gives \(1, 8, 8, 3\)"),
        ],
    )
    def test_a_network_that_does_not_fit_is_told_before_it_is_trained(
        self, make, size, message, tmp_path
    ):
        models.register("tiny", make, any_size=True)
        settings = {"dataset": "shapes", "image_size": max(size, 8), "train_size": 16}
        if size < 8:
            network = models.get("tiny")
            with pytest.raises(ValueError, match=message):
                network.check_output(models.build("tiny"), size, 10)
            return
        config = Config("tiny", **settings, batch_size=8, backend="numpy", out=str(tmp_path))
        with pytest.raises(ValueError, match=message):
            Trainer(config)

    def test_a_probe_changes_neither_modes_nor_numbers(self):
        net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.GlobalAvgPool2d())
        net[1].eval()
        before = net.state_dict()
        models.register("small", lambda num_classes: net).check_output(net, 5, 2)
        assert net.training and net[0].training and not net[1].training
        for name, array in net.state_dict().items():
            np.testing.assert_array_equal(array, before[name])

    def test_a_recipe_gives_what_is_not_given(self):
        models.register("tiny", Tiny, image_size=8, recipe={"clip_grad_norm": 2.0, "warm_up": 5})
        config = Config("tiny", dataset="shapes", image_size=8)
        assert config.clip_grad_norm == 2.0 and config.warm_up is None
        assert config.learning_rate(64_000)(4) == pytest.approx(0.01)
        assert config.learning_rate(64_000)(64) == pytest.approx(0.1)
        given = Config("tiny", dataset="shapes", image_size=8, clip_grad_norm=1.0, warm_up=0)
        assert given.clip_grad_norm == 1.0 and given.learning_rate(100)(0) == pytest.approx(0.1)
        models.register("odd", Tiny, recipe={"colour": "red"})
        with pytest.raises(ValueError, match="recipe of odd or .* says 'colour', but a recipe is"):
            Config("odd")

    def test_an_experiment_takes_it_where_its_kinds_allow(self, tmp_path):
        models.register("tiny", Tiny, image_size=32)
        Setting("smoke", ("tiny",), (0,), tmp_path)
        with pytest.raises(ValueError, match="networks named resnetD, not with tiny"):
            Setting("smoke", ("tiny",), (0,), tmp_path, kinds=("resnet",))


def loader_of(count: int = 3, size: int = 6, classes: int = 3):
    """What loads gray images."""

    def load(data_dir, download, image_size):
        part = Dataset(
            "gray",
            np.full((count, size, size, 3), 9, np.uint8),
            np.zeros(count, np.int64),
            tuple(map(str, range(classes))),
        )
        return part, part

    return load


class TestDataSets:
    def test_an_entry_tells_what_the_data_are(self):
        data.register(
            "gray", loader_of(), classes=3, image_size=6, about="no colours", recipe={"epochs": 4}
        )
        train, _, note = data.load("gray")
        assert len(train) == 3 and note == "gray, no colours" and "gray" in data.names()
        config = Config(dataset="gray")
        assert config.image_size == 6 and config.total_steps(10) == 40
        assert Config(dataset="gray", steps=7).total_steps(10) == 7
        with pytest.raises(DataError, match="gray has 6 x 6 pixels, not 8 x 8"):
            data.load("gray", image_size=8)

    def test_without_a_length_of_its_own_it_is_the_papers(self):
        data.register("gray", loader_of(), classes=3)
        assert Config(dataset="gray").total_steps(10) == 64_000

    @pytest.mark.parametrize("name", ["cifar10", "cifar100", "shapes", "auto"])
    def test_a_name_that_is_taken_is_refused(self, name):
        with pytest.raises(ValueError, match=f"already a data set named '{name}'"):
            data.register(name, loader_of(), classes=3)

    def test_a_name_and_a_function_are_enough(self, tmp_path):
        part = loader_of(size=32)("", False, 32)[0]
        data.register("mine", lambda: (part, part.subset(2)))
        train, test, note = data.load("mine")
        assert (len(train), len(test), note) == (3, 2, "mine")
        data.register("named", lambda image_size: loader_of(size=image_size)("", False, 32))
        assert len(data.load("named")[0]) == 3
        options = ["--model", "resnet8", "--batch-size", "3", "--steps", "1", "--backend", "numpy"]
        out = str(tmp_path / "run")
        assert main(["train", "--dataset", "mine", *options, "--out", out]) == 0

    @pytest.mark.parametrize(
        "images", [np.ones((3, 32, 32)), np.ones((3, 4)), np.zeros((3, 32, 32, 1), np.uint8)]
    )
    def test_data_that_the_command_line_cannot_train_on_are_said(self, images, capsys):
        part = Dataset("own", images, [0, 1, 2])
        data.register("mine", lambda: (part, part))
        assert main(["train", "--dataset", "mine"]) == 1
        said = capsys.readouterr().err
        assert "classifiers on images (N,H,W,3) of uint8, but the training set of 'mine' is" in said
        assert said.count("\n") == 1 and "data.Loader" in said

    def test_training_and_test_set_have_the_same_classes(self):
        part = Dataset("own", np.zeros((3, 32, 32, 3), np.uint8), [0, 1, 2])
        data.register("mine", lambda: (part, part.take(slice(2))))
        data.load("mine")
        other = Dataset("own", part.images, [0, 1, 1])
        data.register("other", lambda: (part, other))
        with pytest.raises(DataError, match="must have the same classes, but have 3 and 2; give"):
            data.load("other")

    def test_what_is_no_name_or_cannot_load_is_refused(self):
        with pytest.raises(TypeError, match="some of these: it is a tuple"):
            data.register("gray", (1, 2))
        with pytest.raises(ValueError, match="cannot be a data set's name"):
            data.register("my/data", loader_of(), classes=3)
        with pytest.raises(TypeError, match=r"loaded by load\(data_dir=..., download=..., image_"):
            data.register("gray", lambda path: None, classes=3)

    @pytest.mark.parametrize(
        ("load", "message"),
        [
            (loader_of(classes=4), "registered with 3 classes, but its training set has 4"),
            (loader_of(size=5), "images of 6 x 6 pixels, but those of its training set have 5 x 5"),
            (lambda **_: None, "must return a training set and a test set, .* returned a NoneType"),
            (lambda **_: (1, 2), "two Datasets, but returned a tuple"),
        ],
    )
    def test_data_that_are_not_what_was_said_are_refused(self, load, message):
        data.register("gray", load, classes=3, image_size=6)
        with pytest.raises(DataError, match=message):
            data.load("gray")
