"""Run the entries by turns and collect their times."""

import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby

from minires import extensions
from minires.benchmarks.entries import Entry
from minires.benchmarks.memory import forget_peak, resident_bytes
from minires.benchmarks.minires_step import MiniresStep
from minires.benchmarks.steps import Step, training_flops

THREAD_VARIABLES = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
TOGETHER = 16
"""At most this number of entries all take turns with each other."""

WARM_UP = 0.15
"""Seconds of steps before a turn is timed: other processes had the caches and the cores."""


@dataclass
class Result:
    """What was measured of one entry.

    Attributes
    ----------
    seconds : list of float
        The time of every timed step.
    first_step_seconds : float
        The first one, with what compilation the caches on disk did not spare.
    first_loss : float
        The loss of the first step: equal networks on equal batches have equal first losses.
    memory_bytes : int
        On a CPU the process's peak resident memory during the timed steps, its libraries
        included; on a GPU what the library has taken for this entry; 0 if nothing tells it.
    flops : int
        Floating-point operations of a step.
    launches, bytes : int
        Launches of minires' CUDA kernels, and the bytes that they state to move; 0 without any.
    per_operation : dict
        Seconds per step by operation, if asked for.
    problem : str
        Why there is no result.
    """

    entry: Entry
    seconds: list[float] = field(default_factory=list)
    first_step_seconds: float = 0.0
    first_loss: float = float("nan")
    memory_bytes: int = 0
    flops: int = 0
    launches: int = 0
    bytes: int = 0
    per_operation: dict[str, float] = field(default_factory=dict)
    problem: str = ""

    @property
    def quartiles(self) -> list[float]:
        """Lower quartile, median and upper quartile of the step's seconds."""
        if len(self.seconds) == 1:
            return self.seconds * 3
        return statistics.quantiles(self.seconds, n=4, method="inclusive")

    @property
    def images_per_second(self) -> float:
        """Images that the median step trains in a second."""
        return self.entry.batch_size / self.quartiles[1]

    @property
    def flops_per_second(self) -> float:
        """Arithmetic of the median step in a second."""
        return self.flops / self.quartiles[1]


def prepare(entry: Entry) -> Step:
    """The step of an entry, ready to `start`; imports what it needs."""
    extensions.load(entry.imports)
    if not entry.is_torch:
        return MiniresStep(entry)
    from minires.benchmarks.torch_step import TorchStep

    return TorchStep(entry)


def race(
    entries: list[Entry],
    rounds: int = 7,
    steps: int = 3,
    per_operation: bool = False,
    progress: Callable[[str], object] = lambda text: None,
) -> list[Result]:
    """Time every entry's training step, by turns.

    Parameters
    ----------
    entries : list of Entry
    rounds, steps : int
        In each round each entry warms up and takes `steps` timed steps. Up to TOGETHER entries
        take turns; of more, those of the same network, batch and threads do.
    per_operation : bool
        Also time each operation, in further steps; on a CPU only.
    progress : callable
        Told in a few words what happens.

    Returns
    -------
    list of Result
        In the order of the entries. One that fails has its `problem` set; the others go on.

    Raises
    ------
    ValueError, BackendUnavailable
        Before anything runs, if an entry does not exist here.
    """
    for entry in entries:
        entry.check()
        if per_operation and entry.on_gpu:
            raise ValueError(f"single operations are timed on a CPU only, not {entry.name}")
    groups: dict[tuple | None, list[Entry]] = {}
    for entry in entries:
        alike = (entry.model, entry.batch_size, entry.threads)
        groups.setdefault(alike if len(entries) > TOGETHER else None, []).append(entry)
    results = {}
    for group in groups.values():
        for result in _take_turns(group, rounds, steps, per_operation, progress):
            results[result.entry] = result
    return [results[entry] for entry in entries]


def _take_turns(entries, rounds, steps, per_operation, progress) -> list[Result]:
    workers, runners = [], []
    try:
        for own in _by_process(entries):
            workers.append(_Worker(own))
            for place, entry in enumerate(own):
                progress(f"{entry.model}, batch {entry.batch_size}: {entry.name}")
                runners.append(_Runner(entry, workers[-1], place))
                runners[-1].start()
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            first = number % len(runners)  # nobody always comes after the same one
            for runner in runners[first:] + runners[:first]:
                runner.run(steps)
        for runner in runners:
            runner.finish(steps if per_operation else 0)
    finally:
        for worker in workers:
            worker.pipe.close()
        for worker in workers:
            worker.stop()
    return [runner.result for runner in runners]


def _by_process(entries: list[Entry]) -> list[list[Entry]]:
    """Which entries live together: those of one library that can share a process."""
    alone = [[entry] for entry in entries if not entry.shares_process]
    sharing = sorted((e for e in entries if e.shares_process), key=lambda entry: entry.is_torch)
    return alone + [list(own) for _, own in groupby(sharing, lambda entry: entry.is_torch)]


class _Worker:
    """A process that takes steps, seen from here."""

    def __init__(self, entries: list[Entry]):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(entries, other), daemon=True)
        before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
        threads = str(max(entry.threads for entry in entries))
        os.environ.update(dict.fromkeys(before, threads))  # read on import
        try:
            self.process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
        other.close()

    def ask(self, what: str, place: int, number: int) -> tuple[bool, object]:
        """Whether it went well, and the answer; or what went wrong."""
        try:
            self.pipe.send((what, place, number))
            return self.pipe.recv()
        except (EOFError, OSError):
            return False, "its process ended without a word (out of memory?)"

    def stop(self) -> None:
        """End the process: its pipe is closed."""
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class _Runner:
    """One entry, seen from here."""

    def __init__(self, entry: Entry, worker: _Worker, place: int):
        self.result, self.worker, self.place = Result(entry), worker, place
        self.result.flops = training_flops(entry.model, entry.image_size) * entry.batch_size

    def start(self) -> None:
        """Build and compile everything."""
        for name, value in (self._ask("start") or {}).items():
            setattr(self.result, name, value)

    def run(self, steps: int) -> None:
        """One turn."""
        self.result.seconds += self._ask("time", steps) or []

    def finish(self, steps_per_operation: int) -> None:
        """What is asked for at the end."""
        self.result.memory_bytes = self._ask("memory") or 0
        if steps_per_operation and not self.result.problem:
            self.result.per_operation = self._ask("per operation", steps_per_operation) or {}
            self.result.problem = ""  # the times stand

    def _ask(self, what: str, number: int = 0):
        """The worker's answer; None if there was or is a problem."""
        if self.result.problem:
            return None
        went_well, answer = self.worker.ask(what, self.place, number)
        if not went_well:
            self.result.problem = answer
        return answer if went_well else None


def _work(entries: list[Entry], pipe) -> None:
    """The worker's process: answers requests until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which closes the pipe
    steps: dict[int, Step] = {}
    while True:
        try:
            what, place, number = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if what == "start":
                steps[place], answer = _start(entries[place])
            else:
                answer = _answer(what, steps[place], number)
            message = (True, answer)
        except Exception as error:  # of any library: the benchmark goes on without this entry
            message = (False, f"{type(error).__name__}: {error}"[:300])
        try:
            pipe.send(message)
        except OSError:
            return


def _start(entry: Entry) -> tuple[Step, dict]:
    step = prepare(entry)
    seconds, loss = step.start()
    forget_peak()
    found = {"first_step_seconds": seconds, "first_loss": loss}
    return step, found | {"launches": step.launches, "bytes": step.bytes}


def _answer(what: str, step: Step, number: int):
    if what == "time":
        started = time.perf_counter()
        while time.perf_counter() - started < WARM_UP:
            step.seconds(1)
        return step.seconds(number)
    if what == "memory":
        return step.gpu_bytes if step.entry.shares_process else resident_bytes(peak=True)
    step.seconds(1)
    return step.per_operation(number)
