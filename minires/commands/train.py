"""minires train: a training run."""

import argparse
import contextlib
import os
from dataclasses import replace
from pathlib import Path

from minires.commands.options import DEFAULTS, common_options, option
from minires.data.normalization import NAMES as NORMALIZATIONS
from minires.training import Config, Trainer, TrainingError, checkpoint, directory
from minires.training.config import OPTIMIZERS
from minires.training.nonfinite import ON_NAN


def train(resume: bool, download: bool, **settings) -> None:
    """minires train. `settings` were given; a resumed run has the others from its directory."""
    base, own = _default_out(DEFAULTS | settings), "out" not in settings
    if own:
        settings["out"] = _last_of(base) if resume else base
    saved = checkpoint.settings_of(Path(settings["out"]).expanduser(), Config) if resume else None
    if resume and saved is None and settings.keys() <= {*Config.may_change}:
        raise TrainingError(
            f"there is nothing to resume in {settings['out']}, neither a checkpoint nor a "
            f"config.json; leave --resume out to begin a run"
        )
    config = Config(**((saved or {}) | settings))
    if own and not resume:
        config = replace(config, out=directory.claim(base))
    try:
        trainer = Trainer(config, resume, download)
        _refuse_more_than_there_are(config.train_size, trainer.loader.dataset, "training")
        _refuse_more_than_there_are(config.test_size, trainer.test_set, "test")
    except BaseException:
        if own and not resume:
            with contextlib.suppress(OSError):
                os.rmdir(config.out)
        raise
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
        if saved:
            print("          with the settings of its config.json", flush=True)
    try:
        last = trainer.run()
    except KeyboardInterrupt:
        print(f"stopped. {trainer.last_checkpoint()}; go on with --resume --out {config.out}")
        raise
    print(
        f"done: test accuracy {100 * last['test_acc']:.2f} % on {config.dataset} "
        f"after {last['step']:,} iterations (best {100 * trainer.best:.2f} %)"
        + (f"; {trainer.skipped:,} steps were left out" if trainer.skipped else "")
    )


def _refuse_more_than_there_are(asked: int | None, images, kind: str) -> None:
    """Who names a number of images is not to get another one in silence."""
    if asked is not None and asked > len(images):
        raise ValueError(
            f"--{kind.removesuffix('ing')}-size is {asked:,}, but {images.name} has "
            f"{len(images):,} {kind} images; leave it out to take them all"
        )


def _default_out(settings: dict) -> str:
    """runs/MODEL-DATASET (runs/MODEL for auto); further such runs are numbered from 2 on."""
    dataset = "" if settings["dataset"] == "auto" else f"-{settings['dataset']}"
    return f"runs/{settings['model']}{dataset}"


def _last_of(base: str) -> str:
    """Of `base`, `base`-2, `base`-3, ... the last one that there is."""
    last, number = base, 2
    while Path(following := f"{base}-{number}").exists():
        last, number = following, number + 1
    return last


def _defaults(setting: str) -> str:
    """What a setting of the optimizer is for each that has it, if nothing else is given."""
    own = {name: settings for name, (_, settings) in OPTIMIZERS.items() if setting in settings}
    return ", ".join(f"{settings[setting]} for {name}" for name, settings in own.items())


def add(commands) -> None:
    """The command's options."""
    p = commands.add_parser(
        "train",
        help="train a network",
        description="Train a network. The defaults are the recipe of the paper, section 4.2. A "
        "resumed run has its settings from its directory.",
        argument_default=argparse.SUPPRESS,  # to know what was given, from what was not
    )
    p.set_defaults(command=train, resume=False, download=True)
    common_options(p, DEFAULTS)
    p.add_argument("--out", help="directory of the results (runs/MODEL-DATASET)")
    p.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    option(p, "--epochs", int, "passes over the training set (as many as 64,000 iterations)")
    option(p, "--steps", int, "iterations, instead of --epochs")
    option(p, "--train-size", int, "use the first training images only")
    option(p, "--test-size", int, "use the first test images only")
    option(p, "--seed", int, "of weights, order and augmentation")
    option(p, "--optimizer", str, "", choices=tuple(OPTIMIZERS))
    option(p, "--lr", float, f"learning rate (default: {_defaults('lr')})")
    option(p, "--schedule", str, "", choices=("step", "cosine", "one-cycle", "constant"))
    option(p, "--warm-up", int, "iterations at 0.01 first (400 from 110 layers on, else 0)")
    option(p, "--momentum", float, f"(default: {_defaults('momentum')})")
    p.add_argument("--nesterov", action="store_true", help="Nesterov's momentum, of sgd")
    p.add_argument(
        "--betas",
        type=float,
        nargs=2,
        metavar="X",
        help=f"how much of the running moments a step keeps (default: {_defaults('betas')})",
    )
    option(p, "--weight-decay", float, f"(default: {_defaults('weight_decay')})")
    p.add_argument(
        "--no-decay-norm-bias",
        dest="decay_norm_bias",
        action="store_false",
        help="spare batch norm and biases from weight decay",
    )
    option(p, "--clip-grad-norm", float, "scale gradients down to this joint norm")
    option(p, "--label-smoothing", float, "share of the target spread over all classes")
    p.add_argument("--no-augment", dest="augment", action="store_false", help="no crops and flips")
    option(p, "--normalization", str, "", choices=NORMALIZATIONS)
    option(p, "--on-nan", str, "end the run at a NaN, or leave the step out", choices=ON_NAN)
    p.add_argument(
        "--detect-anomaly",
        action="store_true",
        help="look at every result, and name the first operation that makes a NaN (slower)",
    )
    option(p, "--checkpoint-every", int, "iterations; also at the end of each epoch")
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
