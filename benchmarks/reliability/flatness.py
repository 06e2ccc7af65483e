"""Memory and time of a step over thousands of steps: neither grows.

    python -m minires.benchmarks.reliability.flatness --steps 5000

Small steps of a ResNet-8 are taken one after the other in one process. Early and late, it is looked
at how much memory the process holds, how many objects Python's collector knows, how many seconds of
CPU a step takes, and what the collector finds to collect, of which there should be nothing.
"""

import argparse
import gc
import statistics
import sys
import time
from dataclasses import dataclass

from minires import backend, models, optim
from minires.benchmarks.machine import machine
from minires.benchmarks.memory import resident_bytes
from minires.data import Loader, Normalization, load_shapes
from minires.training import step

WINDOW = 200
"""Steps over which the time is a median."""


@dataclass
class Moment:
    """A process after `step` steps: bytes held, objects tracked, CPU seconds of a step."""

    step: int
    bytes: int
    objects: int
    seconds: float


def measure(name: str, moments: tuple[int, ...], batch_size: int = 16) -> tuple[list[Moment], int]:
    """Take steps on a backend up to the last of `moments`, with Python's collector switched off.

    Returns
    -------
    moments : list of Moment
    garbage : int
        Unreachable objects that the collector finds at the end, in cycles that steps have left.
    """
    with backend.use(name):
        train, _ = load_shapes(256, 1, image_size=8)
        loader = Loader(
            train, Normalization.make("per-pixel", train.images), batch_size, True, True
        )
        model, found, seconds = models.resnet8(), [], []
        sgd = optim.SGD(model, 1e-3, momentum=0.9)
        gc.collect()
        gc.disable()
        try:
            while not found or found[-1].step < moments[-1]:
                for x, labels in loader:
                    started = time.process_time()
                    step(model, sgd, x, labels)
                    seconds.append(time.process_time() - started)
                    if len(seconds) in moments:
                        recent = statistics.median(seconds[-WINDOW:])
                        held, objects = resident_bytes(), len(gc.get_objects())
                        found.append(Moment(len(seconds), held, objects, recent))
            garbage = gc.collect()
        finally:
            gc.enable()
    return found, garbage


def main() -> int:
    """Print a table; returns 1 if memory grew by more than a twentieth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5000, metavar="N")
    parser.add_argument("--backend", nargs="+", default=["numpy", "numba"], metavar="BACKEND")
    options = parser.parse_args()
    print(machine())
    print(
        "| backend | step | memory (MB) | objects | CPU time of a step (ms) |\n"
        "|---|---|---|---|---|"
    )
    flat = True
    for name in options.backend:
        moments, garbage = measure(name, (options.steps // 10, options.steps))
        for moment in moments:
            print(
                f"| {name} | {moment.step:,} | {moment.bytes / 1e6:.1f} | {moment.objects:,} "
                f"| {1e3 * moment.seconds:.2f} |",
                flush=True,
            )
        print(f"{name}: {garbage} objects in cycles", file=sys.stderr)
        flat &= moments[-1].bytes < 1.05 * moments[0].bytes
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
