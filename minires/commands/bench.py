"""minires bench: training steps timed by turns."""

import os
import sys
from itertools import product
from pathlib import Path

from minires import backend
from minires.benchmarks import TORCH_VARIANTS, Contestant, measure, report
from minires.benchmarks.account import account_table
from minires.benchmarks.ladder import ladder_table
from minires.benchmarks.timing import sgemm_flops_per_second
from minires.commands.options import DEFAULTS, count
from minires.kernels import ladders


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


def add(commands) -> None:
    """The command's options."""
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
    p.add_argument("--batch-size", nargs="+", type=count, default=[128], metavar="N")
    p.add_argument(
        "--backend",
        dest="backend_names",
        nargs="+",
        default=auto,
        choices=("auto", *backend.BACKENDS),
        help="auto: the fastest that works here",
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    p.add_argument(
        "--threads",
        nargs="+",
        type=count,
        default=[cores or 1],
        metavar="N",
        help="(default: one per logical core)",
    )
    variants = ", ".join(TORCH_VARIANTS)
    p.add_argument("--against", choices=("torch",), help=f"the same in PyTorch: {variants}")
    p.add_argument("--rounds", type=count, default=7, metavar="N", help="turns (default: 7)")
    p.add_argument(
        "--steps", type=count, default=3, metavar="N", help="timed steps a turn (default: 3)"
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
