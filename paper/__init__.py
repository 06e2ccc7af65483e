"""The paper's tables and figures as experiments that anybody can run: `minires reproduce NAME`.

An experiment is a module with

    TITLE       what it shows, and where the paper has it
    MODELS      budget -> names of the networks it compares
    SEEDS       budget -> how many seeds of each
    BUDGETS     what the budgets mean here, where they are not those of `setting.BUDGETS`
    KINDS       kinds of networks that it is about, if not all: "resnet", "plain", "vgg"
    COLUMNS     column of a row -> how a number in it is printed: the table; a row may hold more
    trainings(setting) -> list of Training: the networks it needs trained
    measure(setting, runs) -> list of rows: what comes out, from the finished runs
    figure(rows, title) -> bytes: a PNG image like the paper's
    finding(rows) -> str: in words, from the rows alone

Networks are trained first, one after the other or by Dask (`queue.py`), and kept under
``OUT/runs/``; what one experiment has trained another uses. Then `OUT/NAME.json` and
`OUT/NAME.png` are written. A command that was stopped is repeated: what is finished stays.

    report.py      runs an experiment and writes down what comes out
    setting.py     what it is run with: budget, networks, seeds, data
    detection/     the detector of the experiment `detection` (`backbones.py`) and its scenes
    results/       what came out so far, beside the paper's numbers

See docs/decisions/paper.md, "An experiment is a module".
"""

from importlib import import_module
from types import ModuleType

NAMES = {
    "table6": "table6",
    "figure6": "figure6",
    "figure7": "figure7",
    "table3-cifar": "table3_cifar",
    "ensemble": "ensemble",
    "multicrop": "multicrop",
    "gradnorm": "gradnorm",
    "depth1202": "depth1202",
    "detection": "backbones",
}
"""Name -> module of each experiment."""


def load(name: str) -> ModuleType:
    """The module of an experiment; a ValueError if there is none of this name."""
    if name not in NAMES:
        raise ValueError(f"no experiment is named {name!r}; there are {', '.join(NAMES)}")
    return import_module(f"minires.paper.{NAMES[name]}")
