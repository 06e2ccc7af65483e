"""minires cuda: run a .cu file on the CPU, a program or a kernel, and tell what is wrong."""

import sys
from pathlib import Path

from minires.cuda import checking
from minires.cuda.checking.given import arguments, expected
from minires.cuda.parameter import LaunchError
from minires.cuda.signature import kernels, parse, read_source
from minires.cuda.textbook import is_program


def cuda(
    file: str,
    kernel: str | None,
    grid: tuple,
    block: tuple,
    arg: list[str],
    expect: list[str],
    shared: int,
    seconds: float,
    html: str | None,
    words: list[str],
) -> int:
    """minires cuda: check a kernel, or a whole program; the exit status is 1 if it has a fault."""
    if file.endswith(".py"):
        given = arguments(None, arg)
        wanted = expected(expect, given)
        report = checking.check(Path(file), kernel, grid, block, given, wanted, seconds, shared)
        return _show(report, html)
    source = read_source(Path(file))
    if kernel is None and is_program(source):
        return _show(checking.check(Path(file), args=words, seconds=seconds), html)
    names = kernels(source)
    if kernel is None and len(names) != 1:
        raise LaunchError(
            f"{file} has the kernels {', '.join(names) or '(none)'}: --kernel names one"
        )
    signature = parse(source, kernel or names[0], Path(file).name)
    given = arguments(signature, arg)
    wanted = expected(expect, given)
    report = checking.check(Path(file), kernel, grid, block, given, wanted, seconds, shared)
    return _show(report, html)


def _show(report: checking.Report, html: str | None) -> int:
    print(report)
    if html is not None:
        Path(html).write_text(f"<!doctype html><meta charset=utf-8>{report._repr_html_()}\n")
        print(f"written to {html}", file=sys.stderr)
    return 0 if report.ok else 1


def shape(text: str) -> tuple:
    """``16`` or ``16,16`` -> up to three ints."""
    return tuple(int(part) for part in text.replace("x", ",").split(","))


def add(commands) -> None:
    """The command's options."""
    p = commands.add_parser(
        "cuda",
        help="run your own CUDA program or kernel on this CPU and find what is wrong with it",
        description="Run a .cu file on the CPU: the whole program if it has a main, or one kernel. "
        "Every access of memory is looked at: out of bounds, races, missing barriers, unwritten "
        "memory. docs/cuda.md shows examples.",
    )
    p.set_defaults(command=cuda)
    p.add_argument("file", metavar="FILE.cu", help="or FILE.py, with functions of Numba-CUDA")
    p.add_argument(
        "words", nargs="*", metavar="WORD", help="behind --: the command line of a whole program"
    )
    p.add_argument("--kernel", metavar="K", help="one kernel; its name, if the file has several")
    p.add_argument("--grid", type=shape, default=(1,), metavar="X[,Y[,Z]]", help="blocks")
    p.add_argument(
        "--block", type=shape, default=(32,), metavar="X[,Y[,Z]]", help="threads of a block"
    )
    p.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument: a number, random:SIZE, zeros:SIZE, ones:SIZE, range:SIZE, empty:SIZE, "
        "or FILE.npy; a size is 1000 or 32x16",
    )
    p.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what an array must hold: NumPy of the arguments, such as y=2*x, or FILE.npy",
    )
    p.add_argument("--shared", type=int, default=0, metavar="BYTES", help="dynamic shared memory")
    p.add_argument("--seconds", type=float, default=10, help="a longer run is endless (10)")
    p.add_argument("--html", metavar="FILE", help="write the report there, too")
