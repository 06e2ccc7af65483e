"""minires eval: the test accuracy of saved weights."""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

from minires import backend, data, extensions, models
from minires.commands.options import DEFAULTS, common_options
from minires.data import Normalization
from minires.data.normalization import NAMES as NORMALIZATIONS
from minires.interop import load_torch_state_dict
from minires.progress import bar
from minires.training import evaluate
from minires.training.weights import WeightsError, normalization_of, read_arrays


def evaluate_weights(
    weights: str,
    torch_layout: bool = False,
    normalization: str | None = None,
    download: bool = True,
    batch_size: int = 256,
    **given,
) -> None:
    """minires eval: what is not given of model, data set and so on, the weight file says."""

    weights = os.path.expanduser(weights)
    extensions.load(given.pop("imports", None) or _imports_of_run(Path(weights).parent))
    backend.use(given.get("backend", "auto"))
    backend.set_precision(given.get("precision", "auto"))
    arrays, metadata = (
        (load_torch_state_dict(weights), {}) if torch_layout else read_arrays(Path(weights))
    )
    noted = {name: metadata[name] for name in ("model", "shortcut", "dataset") if name in metadata}
    _warn(weights, arrays, noted, given)
    options = {"shortcut": None, "dataset": "auto", "data_dir": "data"} | noted | given
    if "model" not in options:
        raise ValueError(f"{weights} does not say which network it belongs to; give --model")
    size = given.get("image_size", _image_size(weights, metadata))
    size = size or data.get(options["dataset"]).image_size
    models.get(options["model"]).check_image_size(size)
    norm = normalization_of(weights, metadata)
    if norm is None and normalization is None:
        raise ValueError(
            f"{weights} does not say how its inputs were normalised; give --normalization "
            f"{'|'.join(NORMALIZATIONS)}"
        )
    train_set, test_set, note = data.load(options["dataset"], options["data_dir"], download, size)
    if normalization is not None:
        norm = Normalization.make(normalization, train_set.images)
    assert norm is not None
    net = models.build(options["model"], len(test_set.classes), options["shortcut"])
    net.load_state_dict(arrays)
    print(f"data      {note}, {len(test_set):,} test images")
    print(f"model     {options['model']}, {net.num_parameters():,} parameters, from {weights}")
    print(f"inputs    normalised {norm.name}")
    print(f"backend   {backend.current()}", flush=True)
    with bar(len(test_set), "image") as shown:
        loss, accuracy = evaluate(net, test_set, norm, batch_size, shown.update)
    right = round(accuracy * len(test_set))
    print(f"test accuracy {100 * accuracy:.2f} % ({right:,} of {len(test_set):,}), loss {loss:.4f}")


def _warn(weights: str, arrays: dict, noted: dict, given: dict) -> None:
    """Say on stderr what makes the accuracy that follows another than one may think."""
    dead = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if dead:
        print(
            f"minires: warning: {len(dead)} of {len(arrays)} arrays of {weights} hold NaN or "
            f"infinities, the first is {dead[0]}: the run that wrote it has diverged",
            file=sys.stderr,
        )
    for name in sorted(noted.keys() & given.keys()):
        if noted[name] != given[name]:
            print(
                f"minires: warning: {weights} says that its {name} is {noted[name]}, but "
                f"--{name} {given[name]} is given, and taken",
                file=sys.stderr,
            )


def _image_size(weights: str, metadata: dict[str, str]) -> int:
    """The size of images that the file tells, 0 if it tells none."""
    text = metadata.get("image_size", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise WeightsError(f"{weights}: its image_size must be a number, but is {text!r:.60}")
    return int(text)


def _imports_of_run(path: Path) -> list[str]:
    """The modules that the training run in directory `path` imported; none if there is no run."""
    try:
        found = json.loads((path / "config.json").read_text()).get("imports", [])
        return found if isinstance(found, list) else []
    except (
        OSError,
        ValueError,
        AttributeError,
        RecursionError,
    ):  # the file beside it is something else
        return []


def add(commands) -> None:
    """The command's options."""
    p = commands.add_parser(
        "eval",
        help="test accuracy of saved weights",
        description="Test accuracy of saved weights. Files of `minires train` say themselves which "
        "network, data set and normalisation they belong to.",
        argument_default=argparse.SUPPRESS,
    )
    in_file = dict.fromkeys(("model", "shortcut", "dataset", "image_size"), "what the file says")
    p.set_defaults(command=evaluate_weights)
    common_options(p, DEFAULTS | in_file | {"batch_size": 256})
    p.add_argument("--weights", required=True, metavar="FILE", help="a .safetensors file")
    p.add_argument(
        "--torch-layout", action="store_true", help="PyTorch's names and layout (also .pt, .pth)"
    )
    p.add_argument("--normalization", choices=NORMALIZATIONS, help="if the file does not say it")
