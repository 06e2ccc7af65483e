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
        message = error.args[0] if isinstance(error, KeyError) else error
        print(f"minires: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("minires: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minires", description="Train and evaluate the CIFAR ResNets of He et al. (2015)."
    )
    parser.add_argument("--version", action="version", version=f"minires {minires.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (train, evaluate, bench, reproduce, info):
        module.add(commands)
    return parser
