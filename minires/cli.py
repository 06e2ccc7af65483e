"""The command line: minires train | eval | bench | reproduce | info | cuda | gradcheck."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable

import minires
from minires import backend, startup
from minires.commands import bench, cuda, evaluate, gradcheck, info, reproduce, train
from minires.cuda.graph import GraphError
from minires.data.dataset import NotThere
from minires.training import TrainingError
from minires.training.interrupt import Stopped

OWN_ERRORS = (TrainingError, GraphError, backend.BackendUnavailable)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 with a sentence on stderr.

    Stopped by a signal it is 128 and the signal's number, as shells have it: 130 for Ctrl-C, 143
    for SIGTERM, 129 for SIGHUP.

    With the environment variable MINIRES_DEBUG set, errors come with their traceback instead.
    """
    startup.end()
    try:
        try:
            options = vars(_parser().parse_args(arguments))
            return _run(options.pop("command"), options)
        finally:
            if sys.stdout is not None:  # it is where stdout was closed before Python began
                sys.stdout.flush()
    except BrokenPipeError:  # nobody reads any more, as with `minires info | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(command: Callable, options: dict) -> int:
    try:
        return command(**options) or 0
    except BrokenPipeError:
        raise
    except (ValueError, KeyError, OSError, *OWN_ERRORS) as error:
        if os.environ.get("MINIRES_DEBUG"):
            raise
        print(f"minires: {_sentence(error)}", file=sys.stderr)
        return 1
    except MemoryError as error:
        if os.environ.get("MINIRES_DEBUG"):
            raise
        print(
            f"minires: the memory does not suffice ({error or 'no more of it'}); a smaller "
            f"--batch-size needs less of it, and so does --recompute",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
        how = {15: "stopped by SIGTERM", 1: "the terminal is gone (SIGHUP)"}
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(f"minires: {how.get(int(number), 'interrupted')}", file=sys.stderr, flush=True)
        return 128 + number


def _sentence(error: Exception) -> str:
    """What an error says, without its number, key or quotes."""
    if isinstance(error, NotThere):
        return f"{error}, or leave --no-download out"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


class _Parser(argparse.ArgumentParser):
    """Python's parser, whose errors are one sentence."""

    def error(self, message: str):
        """End with status 2 and what is wrong, without the whole usage."""
        self.exit(2, f"minires: {message} (see {self.prog} --help)\n")

    def _get_values(self, action, arg_strings):
        values = super()._get_values(action, arg_strings)  # type: ignore[misc]
        if action.nargs is None and values == []:  # of --option=--, which Python takes for nothing
            raise argparse.ArgumentError(action, "expected one argument, not '--'")
        return values


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="minires", description="Train and evaluate the CIFAR ResNets of He et al. (2015)."
    )
    parser.add_argument("--version", action="version", version=f"minires {minires.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (train, evaluate, bench, reproduce, info, cuda, gradcheck):
        module.add(commands)
    return parser
