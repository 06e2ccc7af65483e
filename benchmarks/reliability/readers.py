"""Mutated files for every reader: each gives what was there, or a sentence that names it.

    python -m minires.benchmarks.reliability.readers --files 100000 [--reader NAME] [--seed S]

A file that a reader takes must give values that it may give: where there is a checksum, those that
were written. One that it refuses must end in the exception that the reader names, with a sentence
of at least four words and the file's name. Everything else is a fault: another exception, more than
5 seconds, more than a gigabyte of memory, a program started. Each worker is a process of its own,
so a crash is a fault, too.
"""

import argparse
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minires.benchmarks.reliability import mutations, sources

SECONDS, MEMORY, CHUNK = 5, 1 << 30, 5000
STARTED = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "pty.spawn")
"""What a file must never bring about, as Python's audit calls it."""


class TooLong(BaseException):
    """A file that takes a reader longer than SECONDS."""


@dataclass(frozen=True)
class Reader:
    """Something that reads files.

    `make(folder)` writes whole files there and returns their paths; `read(path)` reads one;
    `refuses` are the exceptions with which it may end. `differs(path, value, whole)` says in words
    why a value must not have come, or nothing. `change(rng, content)` makes another file of one.
    """

    name: str
    make: Callable
    read: Callable
    refuses: tuple[type[Exception], ...]
    differs: Callable = lambda path, value, whole: ""
    change: Callable = mutations.damaged


@dataclass
class Outcome:
    """What became of the files of one reader."""

    counts: Counter
    faults: list[str]
    slowest: float = 0.0
    memory: int = 0


def work(
    reader: Reader, seed: int, first: int, count: int, progress: Path | None = None
) -> Outcome:
    """Try files `first` to `first + count` of a reader, in this process."""
    found, started = Outcome(Counter(), []), []
    sys.addaudithook(lambda event, _: started.append(event) if event in STARTED else None)
    before = signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory(prefix="readers-") as name:
        paths = reader.make(Path(name))
        whole = {path: (path.read_bytes(), reader.read(path)) for path in paths}
        for i in range(first, first + count):
            if progress is not None:
                progress.write_text(str(i))
            rng = random.Random(f"{reader.name} {seed} {i}")
            path = rng.choice(paths)
            content, value = whole[path]
            path.write_bytes(reader.change(rng, content))
            began = time.perf_counter()
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                outcome, why = _read(reader, path, value)
            except TooLong:
                outcome, why = "fault", f"it takes more than {SECONDS} s"
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if started:
                outcome, why = "fault", f"it starts something: {started}"
                started.clear()
            found.slowest = max(found.slowest, time.perf_counter() - began)
            found.counts[outcome] += 1
            if outcome == "fault":
                found.faults.append(f"{reader.name}, seed {seed}, file {i}: {why}"[:400])
            path.write_bytes(content)
    signal.signal(signal.SIGALRM, before)
    found.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


def _too_long(number, frame) -> None:
    raise TooLong


def _read(reader: Reader, path: Path, whole) -> tuple[str, str]:
    try:
        value = reader.read(path)
    except reader.refuses as error:
        text = str(error)
        if len(text.split()) < 4 or path.name not in text:
            return "fault", f"its sentence is {text!r}"
        return "refused", ""
    except Exception as error:  # noqa: BLE001 (every other one is a fault)
        return "fault", f"{type(error).__name__}: {error}"
    why = reader.differs(path, value, whole)
    return ("fault", why) if why else ("accepted", "")


def same(a, b) -> bool:
    """Whether two nested values hold the same numbers and texts, NaN being equal to NaN."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b


def attack(reader: Reader, files: int, seed: int) -> Outcome:
    """Try `files` files in processes of their own, which may crash."""
    total, first = Outcome(Counter(), []), 0
    while first < files:
        count = min(CHUNK, files - first)
        with tempfile.NamedTemporaryFile(prefix="progress-") as progress:
            words = ["--worker", reader.name, *map(str, (seed, first, count)), progress.name]
            module = "minires.benchmarks.reliability.readers"
            result = subprocess.run(
                [sys.executable, "-m", module, *words], capture_output=True, text=True
            )
            if result.returncode:
                reached = int(Path(progress.name).read_text() or first)
                last = (result.stderr.strip().splitlines() or [""])[-1]
                total.counts["fault"] += 1
                total.faults.append(
                    f"{reader.name}, seed {seed}, file {reached}: the process ends with "
                    f"{result.returncode}: {last}"
                )
                first = reached + 1
                continue
            part = json.loads(Path(progress.name).read_text())
        total.counts += Counter(part["counts"])
        total.faults += part["faults"]
        total.slowest = max(total.slowest, part["slowest"])
        total.memory = max(total.memory, part["memory"])
        first += count
    return total


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--reader", choices=sorted(READERS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        name, *numbers, progress = options.worker
        READERS[name].make(Path(tempfile.mkdtemp(prefix="readers-")))  # imports what it needs
        _limit_memory()
        found = work(READERS[name], *map(int, numbers), Path(progress))
        Path(progress).write_text(json.dumps(vars(found)))
        return 0
    faults = 0
    print("| reader | files | accepted | refused | faults | slowest (s) | most memory (MB) |")
    print("|---|---|---|---|---|---|---|")
    for name in options.reader or READERS:
        found = attack(READERS[name], options.files, options.seed)
        counts = found.counts
        print(
            f"| {name} | {options.files:,} | {counts['accepted']:,} | {counts['refused']:,} | "
            f"{counts['fault']:,} | {found.slowest:.2f} | {found.memory / 1e6:.0f} |",
            flush=True,
        )
        for fault in found.faults[:20]:
            print(fault, file=sys.stderr, flush=True)
        faults += counts["fault"]
    return 1 if faults else 0


READERS: dict[str, Reader] = {
    reader.name: reader for reader in (Reader(**entry) for entry in sources.entries(same))
}

if __name__ == "__main__":
    sys.exit(main())
