"""The command line: minires train | eval | info."""

import argparse
import platform
import sys
from dataclasses import fields
from pathlib import Path

import minires
from minires import backend, data, kernels, models
from minires.data import Normalization
from minires.data.normalization import NAMES as NORMALIZATIONS
from minires.interop import load_torch_state_dict
from minires.training import Config, Trainer, TrainingError, evaluate
from minires.training.loop import bar_settings
from minires.training.weights import read_arrays


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 with a sentence on stderr."""
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    try:
        command(**options)
    except (ValueError, KeyError, OSError, TrainingError, backend.BackendUnavailable) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        print(f"minires: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("minires: interrupted", file=sys.stderr)
        return 130
    return 0


def train(resume: bool, download: bool, **settings) -> None:
    """minires train."""
    if settings["out"] is None:
        settings["out"] = _default_out(settings, resume)
    config = Config(**settings)
    trainer = Trainer(config, resume, download)
    images = len(trainer.loader.dataset)
    print(
        f"data      {trainer.data_note}: {images:,} training, {len(trainer.test_set):,} test images"
    )
    print(f"model     {config.model}, {trainer.model.num_parameters():,} parameters")
    print(f"backend   {backend.current()}")
    print(f"length    {trainer.total:,} iterations of {config.batch_size} images", end="")
    print(f", {trainer.total / len(trainer.loader):.1f} epochs; shorter with --epochs or --steps")
    print(f"results   {config.out}", flush=True)
    if trainer.resumed:
        print(f"resumed   at iteration {trainer.step:,}", flush=True)
    elif resume:
        print(f"resumed   nothing: no checkpoint in {config.out}, so from the start", flush=True)
    try:
        last = trainer.run()
    except KeyboardInterrupt:
        print(f"stopped at iteration {trainer.step:,}; go on with --resume --out {config.out}")
        raise
    print(
        f"done: test accuracy {100 * last['test_acc']:.2f} % on {trainer.config.dataset} "
        f"after {last['step']:,} iterations (best {100 * trainer.best:.2f} %)"
    )


def _default_out(settings: dict, resume: bool) -> str:
    """runs/MODEL-DATASET (runs/MODEL for auto), numbered from the second such run on."""
    dataset = "" if settings["dataset"] == "auto" else f"-{settings['dataset']}"
    base = f"runs/{settings['model']}{dataset}"
    number = 1
    while Path(base if number == 1 else f"{base}-{number}", "config.json").exists():
        number += 1
    if resume:
        number = max(number - 1, 1)
    return base if number == 1 else f"{base}-{number}"


def evaluate_weights(
    weights: str,
    torch_layout: bool,
    normalization: str | None,
    data_dir: str,
    download: bool,
    image_size: int,
    backend_name: str,
    batch_size: int,
    **network,
) -> None:
    """minires eval: what is not given of model, shortcut and dataset, the weight file says."""
    from tqdm import tqdm

    backend.use(backend_name)
    arrays, metadata = read_arrays(weights)
    if torch_layout:
        arrays = load_torch_state_dict(arrays)
    model, shortcut, dataset = (
        network[name] or metadata.get(name) for name in ("model", "shortcut", "dataset")
    )
    if model is None:
        raise ValueError(f"{weights} does not say which network it belongs to; give --model")
    train_set, test_set, note = data.load(dataset or "auto", data_dir, download, image_size)
    if normalization is not None:
        norm = Normalization.make(normalization, train_set.images)
    else:
        norm = Normalization.from_metadata(metadata)
    if norm is None:
        raise ValueError(
            f"{weights} does not say how its inputs were normalised; give --normalization "
            f"{'|'.join(NORMALIZATIONS)}"
        )
    net = models.build(model, len(test_set.classes), shortcut)
    net.load_state_dict(arrays)
    print(f"data      {note}, {len(test_set):,} test images")
    print(f"model     {model}, {net.num_parameters():,} parameters, from {weights}")
    print(f"inputs    normalised {norm.name}")
    print(f"backend   {backend.current()}", flush=True)
    with tqdm(total=len(test_set), unit="image", leave=False, **bar_settings()) as bar:
        loss, accuracy = evaluate(net, test_set, norm, batch_size, bar.update)
    right = round(accuracy * len(test_set))
    print(f"test accuracy {100 * accuracy:.2f} % ({right:,} of {len(test_set):,}), loss {loss:.4f}")


def info(data_dir: str) -> None:
    """minires info."""
    import numpy as np

    print(
        f"minires {minires.__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    )
    print(f"\nbackends (default: {backend.default()})")
    operations = len(kernels.operations())
    for name in backend.BY_SPEED:
        own = len(kernels.own_kernels(name))
        state = (
            backend.problem(name)
            or f"works; kernels of its own for {own} of {operations} operations"
        )
        print(f"  {name:<12}{state}")
    print(f"\ndata in {data_dir}")
    for name in ("cifar10", "cifar100"):
        print(f"  {name:<12}{data.find(name, data_dir) or 'not there; downloaded when asked for'}")
    print(f"  {'shapes':<12}built in")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minires", description="Train and evaluate the CIFAR ResNets of He et al. (2015)."
    )
    parser.add_argument("--version", action="version", version=f"minires {minires.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    defaults = {field.name: field.default for field in fields(Config)}

    p = commands.add_parser(
        "train",
        help="train a network",
        description="Train a network. The defaults are the recipe of the paper, section 4.2.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.set_defaults(command=train, **defaults)
    _common_options(p, defaults)
    p.add_argument("--train-size", type=int, metavar="N", help="use the first N training images")
    p.add_argument("--test-size", type=int, metavar="N", help="use the first N test images")
    p.add_argument("--out", default=None, help="directory of the results (runs/MODEL-DATASET)")
    p.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    p.add_argument("--epochs", type=int, metavar="N", help="passes over the training set")
    p.add_argument("--steps", type=int, metavar="N", help="iterations, instead of --epochs")
    p.add_argument("--seed", type=int, help="of weights, order and augmentation")
    p.add_argument("--lr", type=float, help="learning rate")
    p.add_argument("--momentum", type=float)
    p.add_argument("--nesterov", action="store_true")
    p.add_argument("--weight-decay", type=float)
    p.add_argument(
        "--spare-vectors",
        dest="decay_vectors",
        action="store_false",
        help="no weight decay on batch norm and biases",
    )
    p.add_argument("--schedule", choices=("step", "cosine", "one-cycle", "constant"))
    p.add_argument(
        "--warm-up",
        type=int,
        metavar="N",
        help="iterations at learning rate 0.01 first (None is 400 from 110 layers on, else 0)",
    )
    p.add_argument("--clip-grad-norm", type=float, metavar="NORM")
    p.add_argument("--label-smoothing", type=float, metavar="SHARE")
    p.add_argument("--no-augment", dest="augment", action="store_false", help="no crops and flips")
    p.add_argument("--normalization", choices=NORMALIZATIONS)
    p.add_argument("--checkpoint-every", type=int, metavar="N", help="iterations; and each epoch")

    p = commands.add_parser(
        "eval",
        help="test accuracy of saved weights",
        description="Test accuracy of saved weights. Files of `minires train` say themselves which "
        "network, data set and normalisation they belong to.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    from_file = {"model": None, "dataset": None}
    p.set_defaults(command=evaluate_weights)
    _common_options(p, defaults | from_file | {"batch_size": 256}, backend_name="backend_name")
    p.add_argument("--weights", required=True, metavar="FILE", help="a .safetensors file")
    p.add_argument(
        "--torch-layout", action="store_true", help="the file has PyTorch's names and layout"
    )
    p.add_argument(
        "--normalization",
        choices=NORMALIZATIONS,
        help="if the file does not say it, or to override",
    )

    p = commands.add_parser("info", help="what works on this machine")
    p.set_defaults(command=info)
    p.add_argument("--data-dir", default=defaults["data_dir"])
    return parser


def _common_options(p, defaults: dict, backend_name: str = "backend") -> None:
    p.add_argument("--model", default=defaults["model"], help="resnetD or plainD, D = 6n + 2")
    p.add_argument(
        "--shortcut",
        choices=("A", "B", "C"),
        default=defaults["shortcut"],
        help="of a resnet: zero-padded (as none given), projected, or projected everywhere",
    )
    p.add_argument(
        "--dataset",
        choices=data.NAMES,
        default=defaults["dataset"],
        help="auto is CIFAR-10 if found or downloadable, else the built-in shapes",
    )
    p.add_argument("--data-dir", default=defaults["data_dir"], help="where CIFAR lies or goes")
    p.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        default=defaults["image_size"],
        help="pixels a side, for shapes only",
    )
    p.add_argument(
        "--no-download", dest="download", action="store_false", help="do not try to download"
    )
    p.add_argument("--batch-size", type=int, default=defaults["batch_size"])
    p.add_argument(
        "--backend",
        dest=backend_name,
        choices=("auto", *backend.BY_SPEED),
        default=defaults["backend"],
        help="auto is the fastest that works here",
    )
