"""minires bench: training steps timed by turns."""

import os
import sys
from pathlib import Path

from minires import backend, extensions
from minires.commands.options import DEFAULTS, count, import_option
from minires.cuda import PRECISIONS
from minires.kernels import ladders


def bench(
    model: list[str],
    batch_size: list[int],
    backend_names: list[str],
    ladder: str | None,
    account: str | None,
    imports: list[str] | None,
    **how,
) -> None:
    """minires bench: a race of training steps; or the table of a ladder, or of an account."""
    own = extensions.load(imports or ())
    if ladder is not None:
        from minires.benchmarks.ladder import ladder_table

        print(ladder_table(ladder))
    elif account is not None:
        from minires.benchmarks.account import account_table

        for size in dict.fromkeys(batch_size):
            for name in dict.fromkeys(backend_names):
                print(account_table(account, size, name))
    else:
        _race(model, batch_size, backend_names, own, **how)


def _race(
    model: list[str],
    batch_size: list[int],
    backend_names: list[str],
    own: tuple[str, ...],
    threads: list[int],
    precision: list[str],
    graph: bool,
    recompute: bool,
    against: str | None,
    out: str | None,
    **how,
) -> None:
    """Every network x batch size x number of threads x engine, by turns."""
    from minires.benchmarks.entries import CPU_WAYS, WAYS, entries
    from minires.benchmarks.machine import facts
    from minires.benchmarks.race import race
    from minires.benchmarks.report import report, row

    engines = [backend.default() if name == "auto" else name for name in backend_names]
    on_gpu = any(backend.get(name).on_gpu for name in engines)
    racing = entries(
        model,
        batch_size,
        engines,
        threads,
        precision,
        (False, True) if graph else (False,),
        (False, True) if recompute else (False,),
        (WAYS if on_gpu else CPU_WAYS) if against == "torch" else (),
        device="cuda" if on_gpu else "cpu",
        imports=own,
    )
    words = ["--model", *model, "--batch-size", *batch_size, "--backend", *backend_names]
    words += ["--threads", *threads] + ["--against", against] * (against is not None)
    words += ["--precision", *precision] * (precision != ["auto"])
    words += ["--graph"] * graph + ["--recompute"] * recompute
    words += ["--rounds", how["rounds"], "--steps", how["steps"]]
    words += ["--per-op"] * how["per_operation"] + [w for name in own for w in ("--import", name)]
    names = [*model, *(f"batch{size}" for size in batch_size), *backend_names]
    place = Path(out or "-".join(["runs/bench", *names, *filter(None, [against])])).expanduser()
    place.parent.mkdir(parents=True, exist_ok=True)  # better to fail now than after the runs
    results = race(racing, progress=_progress_note, **how)
    _progress_note("the machine")
    with backend.use(engines[0]):
        about = facts(on_cpu=not all(entry.on_gpu for entry in racing), on_gpu=on_gpu)
    _progress_note("")
    command = " ".join(["minires bench", *map(str, words)])
    report([row(result) for result in results], command, place, about)


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
        metavar="NAME",
        help=f"{', '.join(backend.BACKENDS)}, or auto: the fastest that works here",
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
    p.add_argument(
        "--precision", nargs="+", default=["auto"], choices=PRECISIONS, help="as of minires train"
    )
    p.add_argument("--graph", action="store_true", help="also replay the step as a CUDA graph")
    p.add_argument("--recompute", action="store_true", help="also recomputing in backward")
    p.add_argument(
        "--against",
        choices=("torch",),
        help="the same in PyTorch: eager, channels_last, compiled, in bf16; on a GPU, if one of "
        "the backends computes there, also in fp16 and as a CUDA graph",
    )
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
    import_option(p)
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
