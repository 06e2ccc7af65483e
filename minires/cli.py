"""The command line: minires train | eval | bench | reproduce | info."""

import argparse
import os
import sys

import minires
from minires import backend
from minires.commands import bench, evaluate, info, reproduce, train
from minires.cuda.graph import GraphError
from minires.training import TrainingError

OWN_ERRORS = (TrainingError, GraphError, backend.BackendUnavailable)


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
        print(f"minires: {_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("minires: interrupted", file=sys.stderr)
        return 130
    return 0


def _sentence(error: Exception) -> str:
    """What an error says, without its number, key or quotes."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minires", description="Train and evaluate the CIFAR ResNets of He et al. (2015)."
    )
    parser.add_argument("--version", action="version", version=f"minires {minires.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (train, evaluate, bench, reproduce, info):
        module.add(commands)
    return parser
