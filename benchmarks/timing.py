"""Run the contestants by turns and collect their times."""

import multiprocessing
import os
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minires.benchmarks.contestants import Contestant, training_flops

THREAD_VARIABLES = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
TOGETHER = 8
"""Up to so many contestants all take turns with each other."""

WARM_UP = 0.15
"""Seconds of steps before a turn is timed: other processes had the caches and the cores."""


@dataclass
class Result:
    """What was measured of one contestant.

    Attributes
    ----------
    seconds : list of float
        Of every timed step.
    first_step_seconds : float
        The first one, with what compilation the caches on disk did not spare.
    first_loss : float
        Of the first step: equal networks on equal batches have equal first losses.
    peak_bytes : int
        The process's peak resident memory during the timed steps, its libraries included; 0 if
        nothing tells it.
    flops : int
        Floating-point operations of a step.
    per_operation : dict
        Seconds per step by operation, if asked for.
    problem : str
        Why there is no result.
    """

    contestant: Contestant
    seconds: list[float] = field(default_factory=list)
    first_step_seconds: float = 0.0
    first_loss: float = float("nan")
    peak_bytes: int = 0
    flops: int = 0
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
        """By the median step."""
        return self.contestant.batch_size / self.quartiles[1]

    @property
    def flops_per_second(self) -> float:
        """By the median step."""
        return self.flops / self.quartiles[1]


def measure(
    contestants: list[Contestant],
    rounds: int = 7,
    steps: int = 3,
    per_operation: bool = False,
    progress=lambda text: None,
) -> list[Result]:
    """Time every contestant's training step, by turns.

    Parameters
    ----------
    contestants : list of Contestant
    rounds, steps : int
        In each round each contestant warms up and runs `steps` timed steps. Up to TOGETHER
        contestants take turns; of more, those of the same network, batch and threads do.
    per_operation : bool
        Also time each operation, in further steps.
    progress : callable
        Told in a few words what happens.

    Returns
    -------
    list of Result
        In the order of the contestants. One that fails has its `problem` set.

    Raises
    ------
    ValueError, BackendUnavailable
        Before anything runs, if a contestant does not exist here.
    """
    for contestant in contestants:
        contestant.check()
    gpu = [contestant.engine for contestant in contestants if contestant.on_gpu]
    if gpu and (per_operation or any(contestant.torch_variant for contestant in contestants)):
        raise ValueError(f"PyTorch and single operations are timed on the CPU only, not {gpu[0]}")
    groups = {}
    for contestant in contestants:
        alike = (contestant.model, contestant.batch_size, contestant.threads)
        groups.setdefault(alike if len(contestants) > TOGETHER else None, []).append(contestant)
    results = {}
    for group in groups.values():
        for result in _take_turns(group, rounds, steps, per_operation, progress):
            results[result.contestant] = result
    return [results[contestant] for contestant in contestants]


def _take_turns(contestants, rounds, steps, per_operation, progress) -> list[Result]:
    workers = []
    try:
        for contestant in contestants:
            progress(f"{contestant.model}, batch {contestant.batch_size}: {contestant.engine}")
            workers.append(_Worker(contestant))
            workers[-1].start()
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            first = number % len(workers)  # nobody always comes after the same one
            for worker in workers[first:] + workers[:first]:
                worker.run(steps)
        for worker in workers:
            worker.finish(steps if per_operation else 0)
    finally:
        for worker in workers:
            worker.pipe.close()
        for worker in workers:
            worker.stop()
    return [worker.result for worker in workers]


class _Worker:
    """A contestant's process, seen from here."""

    def __init__(self, contestant: Contestant):
        self.result = Result(contestant)
        self.result.flops = training_flops(contestant.model) * contestant.batch_size
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(contestant, other), daemon=True)
        before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
        os.environ.update(dict.fromkeys(before, str(contestant.threads)))  # read on import
        try:
            self.process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
        other.close()

    def start(self) -> None:
        """Build and compile everything."""
        if answer := self._ask("start"):
            self.result.first_step_seconds, self.result.first_loss = answer

    def run(self, steps: int) -> None:
        """One turn."""
        self.result.seconds += self._ask("time", steps) or []

    def finish(self, steps_per_operation: int) -> None:
        """What is asked for at the end."""
        self.result.peak_bytes = self._ask("peak") or 0
        if steps_per_operation and not self.result.problem:
            self.result.per_operation = self._ask("per operation", steps_per_operation) or {}
            self.result.problem = ""  # the times stand

    def _ask(self, what: str, number: int = 0):
        """Send a request, return the answer; None if there was or is a problem."""
        if self.result.problem:
            return None
        try:
            self.pipe.send((what, number))
            kind, answer = self.pipe.recv()
        except (EOFError, OSError):
            kind, answer = "error", "its process ended without a word (out of memory?)"
        if kind == "error":
            self.result.problem = answer
            return None
        return answer

    def stop(self) -> None:
        """End the process: its pipe is closed."""
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(contestant: Contestant, pipe) -> None:
    """The contestant's process: answers requests until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which closes the pipe
    step = None
    while True:
        try:
            what, number = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if what == "start":
                step, answer = _start(contestant)
            elif what == "time":
                started = time.perf_counter()
                while time.perf_counter() - started < WARM_UP:
                    step()
                answer = [_seconds(step) for _ in range(number)]
            elif what == "peak":
                answer = resident_bytes(peak=True)
            else:
                step()
                answer = step.per_operation(number)
            message = ("done", answer)
        except Exception as error:  # of any library: the benchmark goes on without this contestant
            message = ("error", f"{type(error).__name__}: {error}")
        try:
            pipe.send(message)
        except OSError:
            return


def _start(contestant: Contestant):
    step = contestant.prepare()
    started = time.perf_counter()
    loss = step()
    first = time.perf_counter() - started
    for _ in range(2):  # after them all buffers exist
        step()
    forget_peak()
    return step, (first, loss)


def _seconds(step) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def resident_bytes(peak: bool = False) -> int:
    """Memory of this process that lies in RAM, now or at its peak; 0 where nothing tells it."""
    key = "VmHWM:" if peak else "VmRSS:"
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return 0
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage << 10


def forget_peak() -> None:
    """Let the peak be measured from here on, so that compiling does not count (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def sgemm_flops_per_second(size: int = 1536, repeats: int = 9) -> float:
    """The best that NumPy's BLAS reaches in a float32 matrix product on this machine."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, size, size), dtype=np.float32)
    return 2 * size**3 / min(_seconds(lambda: a @ b) for _ in range(repeats))
