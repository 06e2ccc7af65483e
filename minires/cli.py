"""The command line: minires train | eval | bench | reproduce | info."""

import argparse
import os
import platform
import sys
from dataclasses import fields
from itertools import product
from pathlib import Path

import minires
from minires import backend, data, kernels, models
from minires.bench import TORCH_VARIANTS, Contestant, measure, report
from minires.bench.account import account_table
from minires.bench.ladder import ladder_table
from minires.bench.timing import sgemm_flops_per_second
from minires.commands import reproduce
from minires.cuda import PRECISIONS
from minires.cuda.graph import GraphError
from minires.data import Normalization
from minires.data.normalization import NAMES as NORMALIZATIONS
from minires.interop import load_torch_state_dict
from minires.kernels import ladders
from minires.summary import summarize
from minires.training import Config, Trainer, TrainingError, checkpoint, evaluate
from minires.training.loop import bar_settings
from minires.training.weights import read_arrays

OWN_ERRORS = (TrainingError, GraphError, backend.BackendUnavailable)
DEFAULTS = {field.name: field.default for field in fields(Config)}
MODELS = f"resnetD or plainD, D = 6n + 2, for CIFAR; for ImageNet {', '.join(models.IMAGENET)}"
SHORTCUT = "option of a resnet; if not given A for CIFAR, B for ImageNet"


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 with a sentence on stderr.

    With the environment variable MINIRES_DEBUG set, errors come with their traceback instead.
    """
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    try:
        command(**options)
    except (ValueError, KeyError, OSError, *OWN_ERRORS) as error:
        if os.environ.get("MINIRES_DEBUG"):
            raise
        message = error.args[0] if isinstance(error, KeyError) else error
        print(f"minires: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("minires: interrupted", file=sys.stderr)
        return 130
    return 0


def train(resume: bool, download: bool, **settings) -> None:
    """minires train. `settings` were given; a resumed run has the others from its checkpoint."""
    if "out" not in settings:
        settings["out"] = _default_out(DEFAULTS | settings, resume)
    saved = checkpoint.read(Path(settings["out"])) if resume else None
    config = Config(**((saved.config if saved else {}) | settings))
    trainer = Trainer(config, resume, download)
    config = trainer.config
    images, epochs = len(trainer.loader.dataset), trainer.total / len(trainer.loader)
    print(f"data      {trainer.data_note}")
    print(f"          {images:,} training, {len(trainer.test_set):,} test images")
    print(f"model     {config.model}, {trainer.model.num_parameters():,} parameters")
    print(f"backend   {config.backend}" + ", steps as a graph" * (trainer.graphed is not None))
    print(
        f"length    {trainer.total:,} iterations of {config.batch_size} images, {epochs:.1f} epochs"
    )
    if config.epochs is None and config.steps is None:
        print("          (shorter with --epochs or --steps)")
    print(f"results   {config.out}", flush=True)
    if trainer.resumed:
        print(f"resumed   at iteration {trainer.step:,}", flush=True)
    elif resume:
        print(f"resumed   nothing: no checkpoint in {config.out}, so from the start", flush=True)
    try:
        last = trainer.run()
    except KeyboardInterrupt:
        print(f"stopped; go on from the last checkpoint with --resume --out {config.out}")
        raise
    print(
        f"done: test accuracy {100 * last['test_acc']:.2f} % on {config.dataset} "
        f"after {last['step']:,} iterations (best {100 * trainer.best:.2f} %)"
    )


def _default_out(settings: dict, resume: bool) -> str:
    """runs/MODEL-DATASET (runs/MODEL for auto), numbered from the second such run on."""
    dataset = "" if settings["dataset"] == "auto" else f"-{settings['dataset']}"
    base = f"runs/{settings['model']}{dataset}"
    number = 1
    while Path(base if number == 1 else f"{base}-{number}").exists():
        number += 1
    if resume:  # the last one there is
        number = max(number - 1, 1)
    return base if number == 1 else f"{base}-{number}"


def evaluate_weights(
    weights: str,
    torch_layout: bool = False,
    normalization: str | None = None,
    download: bool = True,
    batch_size: int = 256,
    **given,
) -> None:
    """minires eval: what is not given of model, data set and so on, the weight file says."""
    from tqdm import tqdm

    backend.use(given.get("backend", "auto"))
    backend.set_precision(given.get("precision", "auto"))
    arrays, metadata = (
        (load_torch_state_dict(weights), {}) if torch_layout else read_arrays(weights)
    )
    noted = {name: metadata[name] for name in ("model", "shortcut", "dataset") if name in metadata}
    noted |= {"image_size": int(metadata.get("image_size", 32))}
    options = {"shortcut": None, "dataset": "auto", "data_dir": "data"} | noted | given
    if "model" not in options:
        raise ValueError(f"{weights} does not say which network it belongs to; give --model")
    models.check_image_size(options["model"], options["image_size"])
    norm = Normalization.from_metadata(metadata)
    if norm is None and normalization is None:
        raise ValueError(
            f"{weights} does not say how its inputs were normalised; give --normalization "
            f"{'|'.join(NORMALIZATIONS)}"
        )
    train_set, test_set, note = data.load(
        options["dataset"], options["data_dir"], download, options["image_size"]
    )
    if normalization is not None:
        norm = Normalization.make(normalization, train_set.images)
    net = models.build(options["model"], len(test_set.classes), options["shortcut"])
    net.load_state_dict(arrays)
    print(f"data      {note}, {len(test_set):,} test images")
    print(f"model     {options['model']}, {net.num_parameters():,} parameters, from {weights}")
    print(f"inputs    normalised {norm.name}")
    print(f"backend   {backend.current()}", flush=True)
    with tqdm(total=len(test_set), unit="image", leave=False, **bar_settings()) as bar:
        loss, accuracy = evaluate(net, test_set, norm, batch_size, bar.update)
    right = round(accuracy * len(test_set))
    print(f"test accuracy {100 * accuracy:.2f} % ({right:,} of {len(test_set):,}), loss {loss:.4f}")


def bench(
    model: list[str],
    batch_size: list[int],
    backend_names: list[str],
    threads: list[int],
    against: str | None,
    out: str | None,
    ladder: str | None,
    account: str | None,
    **how,
) -> None:
    """minires bench: every network x batch size x number of threads x engine, by turns."""
    if ladder is not None:
        print(ladder_table(ladder))
        return
    if account is not None:
        for size, name in product(dict.fromkeys(batch_size), dict.fromkeys(backend_names)):
            print(account_table(account, size, name))
        return
    engines = [backend.default() if name == "auto" else name for name in backend_names]
    engines += [f"torch {variant}" for variant in TORCH_VARIANTS if against == "torch"]
    rows = product(dict.fromkeys(model), dict.fromkeys(batch_size), dict.fromkeys(threads))
    contestants = [Contestant(*row[:2], e, row[2]) for row in rows for e in dict.fromkeys(engines)]
    words = ["--model", *model, "--batch-size", *batch_size, "--backend", *backend_names]
    words += ["--threads", *threads] + ["--against", against] * (against is not None)
    words += ["--rounds", how["rounds"], "--steps", how["steps"]]
    words += ["--per-op"] * how["per_operation"]
    names = [*model, *(f"batch{size}" for size in batch_size), *backend_names]
    place = Path(out or "-".join(["runs/bench", *names, *filter(None, [against])]))
    place.parent.mkdir(parents=True, exist_ok=True)  # better to fail now than after the runs
    results = measure(contestants, progress=_progress_note, **how)
    _progress_note("matrix product")
    sgemm = sgemm_flops_per_second()
    _progress_note("")
    report(results, sgemm, " ".join(["minires bench", *map(str, words)]), place)


def _progress_note(text: str) -> None:
    """One line on the terminal that the next one overwrites; nothing in a log file."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def info(
    data_dir: str, model: str | None, shortcut: str | None, image_size: int | None, layers: bool
) -> None:
    """minires info: what works here; or what the network `model` consists of."""
    import numpy as np

    if model is not None:
        size = image_size or models.image_size(model)
        models.check_image_size(model, size)
        with backend.use("numpy"):
            net = models.build(model, shortcut=shortcut)
        print(f"{model}, images of {size} x {size} pixels")
        print(summarize(net, size).table(layers))
        return
    print(
        f"minires {minires.__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    )
    print(f"\nbackends (default: {backend.default()})")
    operations = len(kernels.operations())
    for name in backend.BY_SPEED:
        own = len(kernels.own_kernels(name))
        how = ", in Numba's simulator" * (name == "numba_cuda" and backend.simulated())
        state = (
            backend.problem(name)
            or f"works{how}; kernels of its own for {own} of {operations} operations"
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
    _add_train(commands)
    _add_eval(commands)
    _add_bench(commands)
    reproduce.add(commands)
    _add_info(commands)
    return parser


def _add_train(commands) -> None:
    p = commands.add_parser(
        "train",
        help="train a network",
        description="Train a network. The defaults are the recipe of the paper, section 4.2. A "
        "resumed run has its settings from its checkpoint.",
        argument_default=argparse.SUPPRESS,  # to know what was given, from what was not
    )
    p.set_defaults(command=train, resume=False, download=True)
    _common_options(p, DEFAULTS)
    p.add_argument("--out", help="directory of the results (runs/MODEL-DATASET)")
    p.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    _option(p, "--epochs", int, "passes over the training set (as many as 64,000 iterations)")
    _option(p, "--steps", int, "iterations, instead of --epochs")
    _option(p, "--train-size", int, "use the first training images only")
    _option(p, "--test-size", int, "use the first test images only")
    _option(p, "--seed", int, "of weights, order and augmentation")
    _option(p, "--lr", float, "learning rate")
    _option(p, "--schedule", str, "", choices=("step", "cosine", "one-cycle", "constant"))
    _option(p, "--warm-up", int, "iterations at 0.01 first (400 from 110 layers on, else 0)")
    _option(p, "--momentum", float, "")
    p.add_argument("--nesterov", action="store_true", help="Nesterov's momentum")
    _option(p, "--weight-decay", float, "")
    p.add_argument(
        "--no-decay-norm-bias",
        dest="decay_norm_bias",
        action="store_false",
        help="spare batch norm and biases from weight decay",
    )
    _option(p, "--clip-grad-norm", float, "scale gradients down to this joint norm")
    _option(p, "--label-smoothing", float, "share of the target spread over all classes")
    p.add_argument("--no-augment", dest="augment", action="store_false", help="no crops and flips")
    _option(p, "--normalization", str, "", choices=NORMALIZATIONS)
    _option(p, "--checkpoint-every", int, "iterations; also at the end of each epoch")
    p.add_argument(
        "--graph",
        action=argparse.BooleanOptionalAction,
        help="replay steps as one CUDA graph: on a GPU or the emulator (default: on a GPU)",
    )
    p.add_argument(
        "--recompute",
        action=argparse.BooleanOptionalAction,
        help="keep only every few blocks' input and compute the rest anew in backward: less "
        "memory, about a third more time, the same bits",
    )


def _add_eval(commands) -> None:
    p = commands.add_parser(
        "eval",
        help="test accuracy of saved weights",
        description="Test accuracy of saved weights. Files of `minires train` say themselves which "
        "network, data set and normalisation they belong to.",
        argument_default=argparse.SUPPRESS,
    )
    in_file = dict.fromkeys(("model", "shortcut", "dataset", "image_size"), "what the file says")
    p.set_defaults(command=evaluate_weights)
    _common_options(p, DEFAULTS | in_file | {"batch_size": 256})
    p.add_argument("--weights", required=True, metavar="FILE", help="a .safetensors file")
    p.add_argument(
        "--torch-layout", action="store_true", help="PyTorch's names and layout (also .pt, .pth)"
    )
    p.add_argument("--normalization", choices=NORMALIZATIONS, help="if the file does not say it")


def _add_bench(commands) -> None:
    p = commands.add_parser(
        "bench",
        help="time training steps",
        description="Time training steps (forward, loss, backward, SGD) of every given network, "
        "batch size and backend, by turns, each in a process of its own. Prints a table, writes "
        "JSON and a bar chart.",
    )
    p.set_defaults(command=bench)
    auto = [DEFAULTS["backend"]]
    p.add_argument("--model", nargs="+", default=[DEFAULTS["model"]], metavar="MODEL")
    p.add_argument("--batch-size", nargs="+", type=_count, default=[128], metavar="N")
    p.add_argument(
        "--backend",
        dest="backend_names",
        nargs="+",
        default=auto,
        choices=("auto", *backend.BY_SPEED),
        help="auto: the fastest that works here",
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    p.add_argument(
        "--threads",
        nargs="+",
        type=_count,
        default=[cores or 1],
        metavar="N",
        help="(default: one per logical core)",
    )
    variants = ", ".join(TORCH_VARIANTS)
    p.add_argument("--against", choices=("torch",), help=f"the same in PyTorch: {variants}")
    p.add_argument("--rounds", type=_count, default=7, metavar="N", help="turns (default: 7)")
    p.add_argument(
        "--steps", type=_count, default=3, metavar="N", help="timed steps a turn (default: 3)"
    )
    p.add_argument(
        "--per-op",
        dest="per_operation",
        action="store_true",
        help="also the time of each operation",
    )
    p.add_argument("--out", metavar="PATH", help="of the results, without .json and .png")
    p.add_argument(
        "--ladder",
        choices=tuple(ladders.OPERATIONS),
        help="instead: one kernel in several versions, and what each asks of memory",
    )
    p.add_argument(
        "--account",
        metavar="MODEL",
        help="instead: the launches of a training step on a GPU, and the bytes they must move",
    )


def _add_info(commands) -> None:
    p = commands.add_parser(
        "info",
        help="what works on this machine, or what a network consists of",
        description="What works on this machine; with --model the parameters, multiply-adds and "
        "activation memory of a network, block by block.",
    )
    p.set_defaults(command=info)
    p.add_argument("--data-dir", default=DEFAULTS["data_dir"])
    p.add_argument("--model", metavar="MODEL", help=f"instead: this network; {MODELS}")
    p.add_argument("--shortcut", choices=tuple("ABC"), help=SHORTCUT)
    p.add_argument(
        "--image-size", type=_count, metavar="N", help="pixels a side (32 CIFAR, 224 ImageNet)"
    )
    p.add_argument("--layers", action="store_true", help="a line for each layer, not each block")


def _count(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


_count.__name__ = "number of at least 1"  # in argparse's message: invalid ... value


def _common_options(p, defaults: dict) -> None:
    auto = "auto: CIFAR-10 if found or downloadable, else the built-in shapes"
    backends = ("auto", *backend.BY_SPEED)
    _option(p, "--model", str, MODELS, defaults)
    _option(p, "--shortcut", str, SHORTCUT, defaults, tuple("ABC"))
    _option(p, "--dataset", str, auto, defaults, data.NAMES)
    _option(p, "--data-dir", str, "where CIFAR lies, or is downloaded to", defaults)
    p.add_argument("--no-download", dest="download", action="store_false", help="never download")
    _option(p, "--image-size", int, "pixels a side, for shapes only", defaults)
    _option(p, "--batch-size", int, "images", defaults)
    _option(p, "--backend", str, "auto: the fastest that works here", defaults, backends)
    meaning = "of products; auto: tf32 on a GPU with tensor cores"
    _option(p, "--precision", str, meaning, defaults, PRECISIONS)


def _option(p, flag: str, kind: type, meaning: str, defaults=DEFAULTS, choices=None) -> None:
    """An option of Config, its default in the help text."""
    default = defaults[flag.strip("-").replace("-", "_")]
    text = f"{meaning} (default: {default})".strip() if default is not None else meaning
    metavar = None if choices else {int: "N", float: "X", str: flag.strip("-").upper()}[kind]
    p.add_argument(flag, type=kind, choices=choices, metavar=metavar, help=text)
