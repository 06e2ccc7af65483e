"""What options of several commands share."""

from argparse import ArgumentParser
from dataclasses import fields

from minires import backend, data, models
from minires.cuda import PRECISIONS
from minires.training import Config

DEFAULTS = {field.name: field.default for field in fields(Config)}
MODELS = models.names()
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
    fastest = f"{', '.join(backend.BACKENDS)}, or auto: the fastest that works here"
    option(p, "--model", str, MODELS, defaults)
    option(p, "--shortcut", str, SHORTCUT, defaults, tuple("ABC"))
    option(p, "--dataset", str, f"{', '.join(data.names())}; {auto}", defaults)
    option(p, "--data-dir", str, "where CIFAR lies, or is downloaded to", defaults)
    p.add_argument("--no-download", dest="download", action="store_false", help="never download")
    option(p, "--image-size", int, "pixels a side (the data set's; shapes: any, 32)", defaults)
    option(p, "--batch-size", int, "images", defaults)
    option(p, "--backend", str, fastest, defaults)
    import_option(p)
    meaning = "of products; auto: tf32 on a GPU with tensor cores"
    option(p, "--precision", str, meaning, defaults, PRECISIONS)


def import_option(p: ArgumentParser) -> None:
    """--import, of every command that looks up names of networks and data sets."""
    p.add_argument(
        "--import",
        dest="imports",
        action="append",
        metavar="MODULE",
        help="first import this module, or .py file, which registers networks, data sets or "
        "backends; may be repeated",
    )


def option(p, flag: str, kind: type, meaning: str, defaults=DEFAULTS, choices=None) -> None:
    """An option of Config, its default in the help text."""
    default = defaults[flag.strip("-").replace("-", "_")]
    text = f"{meaning} (default: {default})".strip() if default is not None else meaning
    metavar = None if choices else {int: "N", float: "X", str: flag.strip("-").upper()}[kind]
    p.add_argument(flag, type=kind, choices=choices, metavar=metavar, help=text)
