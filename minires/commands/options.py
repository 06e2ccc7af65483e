"""What options of several commands share."""

from dataclasses import fields

from minires import backend, data, models
from minires.cuda import PRECISIONS
from minires.training import Config

DEFAULTS = {field.name: field.default for field in fields(Config)}
MODELS = f"resnetD or plainD, D = 6n + 2, for CIFAR; for ImageNet {', '.join(models.IMAGENET)}"
SHORTCUT = "option of a resnet; if not given A for CIFAR, B for ImageNet"


def count(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


count.__name__ = "number of at least 1"  # in argparse's message: invalid ... value


def common_options(p, defaults: dict) -> None:
    """Those of `minires train` and `eval`."""
    auto = "auto: CIFAR-10 if found or downloadable, else the built-in shapes"
    backends = ("auto", *backend.BACKENDS)
    option(p, "--model", str, MODELS, defaults)
    option(p, "--shortcut", str, SHORTCUT, defaults, tuple("ABC"))
    option(p, "--dataset", str, auto, defaults, data.NAMES)
    option(p, "--data-dir", str, "where CIFAR lies, or is downloaded to", defaults)
    p.add_argument("--no-download", dest="download", action="store_false", help="never download")
    option(p, "--image-size", int, "pixels a side, for shapes only", defaults)
    option(p, "--batch-size", int, "images", defaults)
    option(p, "--backend", str, "auto: the fastest that works here", defaults, backends)
    meaning = "of products; auto: tf32 on a GPU with tensor cores"
    option(p, "--precision", str, meaning, defaults, PRECISIONS)


def option(p, flag: str, kind: type, meaning: str, defaults=DEFAULTS, choices=None) -> None:
    """An option of Config, its default in the help text."""
    default = defaults[flag.strip("-").replace("-", "_")]
    text = f"{meaning} (default: {default})".strip() if default is not None else meaning
    metavar = None if choices else {int: "N", float: "X", str: flag.strip("-").upper()}[kind]
    p.add_argument(flag, type=kind, choices=choices, metavar=metavar, help=text)
