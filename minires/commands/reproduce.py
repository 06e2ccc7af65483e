"""minires reproduce: a table or figure of the paper, measured anew."""

import argparse
from pathlib import Path

import minires.paper as paper
from minires import backend, data, extensions
from minires.commands.options import import_option
from minires.cuda import PRECISIONS
from minires.paper.setting import BUDGETS, Setting

OUT = "runs/reproduce"
LISTING = "the experiments and the budgets"


def reproduce(
    name: str,
    budget: str,
    model: list[str] | None,
    seeds: int | None,
    out: str | None,
    dask: str | None,
    download: bool,
    **options,
) -> None:
    """Train what is missing, measure, write JSON and figure, print the table."""
    from minires.paper.report import reproduce

    if "imports" in options:
        options["imports"] = extensions.load(options["imports"])
    experiment = paper.load(name)
    setting = Setting(
        budget,
        tuple(model or experiment.MODELS[budget]),
        tuple(range(experiment.SEEDS[budget] if seeds is None else seeds)),
        Path(out or f"{OUT}-{budget}").expanduser(),
        options,
        download,
        getattr(experiment, "BUDGETS", BUDGETS),
        getattr(experiment, "KINDS", Setting.kinds),
    )
    words = ["minires reproduce", name, "--budget", budget]
    words += ["--model", *model] if model else []
    words += ["--seeds", str(seeds)] if seeds is not None else []
    for option, value in options.items():
        if option == "imports":
            words += [word for module in value for word in ("--import", module)]
        else:
            words += [f"--{option.replace('_', '-')}", *([] if value is True else [value])]
    words += ["--out", out] if out else []
    reproduce(name, setting, " ".join(map(str, words)), dask)


def _listing() -> str:
    """The experiments and the budgets, for the help text."""
    experiments = {name: paper.load(name) for name in paper.NAMES}
    lines = [f"  {name:<14}{module.TITLE}" for name, module in experiments.items()]
    budgets = [f"  {name:<14}{budget.meaning}" for name, budget in BUDGETS.items()]
    own = ", ".join(name for name, module in experiments.items() if hasattr(module, "BUDGETS"))
    budgets.append(f"  ({own} have their own, and say so)")
    return "\n".join(["experiments:", *lines, "", "budgets:", *budgets])


class _Help(argparse.RawDescriptionHelpFormatter):
    """Ends with the listing; experiments are imported when help is asked for, not before."""

    def add_text(self, text: str | None) -> None:
        super().add_text(_listing() if text == LISTING else text)


def add(commands) -> None:
    """The command's options."""
    p = commands.add_parser(
        "reproduce",
        help="a table or figure of the paper",
        description="Run an experiment of the paper: train its networks, measure, write "
        "OUT/NAME.json and OUT/NAME.png. Repeated, it goes on where it was stopped; what one "
        "experiment has trained, another under the same OUT uses.",
        epilog=LISTING,
        formatter_class=_Help,
        argument_default=argparse.SUPPRESS,  # to know what was given
    )
    p.set_defaults(command=reproduce, model=None, seeds=None, out=None, dask=None, download=True)
    p.add_argument("name", choices=tuple(paper.NAMES), metavar="NAME", help="see below")
    p.add_argument(
        "--budget",
        default="shortened",
        choices=tuple(BUDGETS),
        help="how long to train, see below (default: shortened)",
    )
    p.add_argument("--model", nargs="+", metavar="MODEL", help="these networks instead")
    p.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N - 1 of each network")
    p.add_argument(
        "--dataset",
        metavar="DATASET",
        help=f"{', '.join(data.names())} (auto, as of minires train; smoke: shapes)",
    )
    p.add_argument("--data-dir", metavar="DIR", help="where CIFAR lies, or is downloaded to")
    p.add_argument("--no-download", dest="download", action="store_false", help="never download")
    p.add_argument("--batch-size", type=int, metavar="N", help="images")
    p.add_argument("--backend", metavar="BACKEND", help=f"auto, {', '.join(backend.BACKENDS)}")
    import_option(p)
    p.add_argument("--precision", choices=PRECISIONS)
    p.add_argument(
        "--recompute",
        action="store_true",
        default=argparse.SUPPRESS,
        help="keep less and compute it again in backward, see minires train",
    )
    p.add_argument("--out", metavar="DIR", help=f"of results and networks ({OUT}-BUDGET)")
    p.add_argument(
        "--dask", metavar="ADDRESS", help="train on the workers of this Dask scheduler, by turns"
    )
