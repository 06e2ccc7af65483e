"""Hostile places: full disks, files that are gone, two processes at once, every signal.

    python -m minires.benchmarks.reliability.hostile

Each fault meets a small training run. It must end in a sentence, without a traceback, or go on; and
when the fault is over, `--resume` must come to the bits of a run that met none.
"""

import argparse
import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from minires.benchmarks.reliability.kills import differences
from minires.training.directory import locked

SUBJECT = "minires.benchmarks.reliability.subject"

FAULTS: dict[str, list[Callable]] = {}
"""What was done -> functions (place, whole) that do it, and return what went wrong in sentences."""


def fault(what: str, *each) -> Callable:
    """Add a function to FAULTS: once, or for each of some values, which it gets first."""

    def add(function: Callable) -> Callable:
        FAULTS.setdefault(what, []).extend([partial(function, e) for e in each] or [function])
        return function

    return add


class Process:
    """The subject, training in `out`; `prepare` is called in the new process before it begins."""

    def __init__(self, out: Path, prepare: Callable | None = None, **streams):
        self.notes = Path(tempfile.mkdtemp(prefix="notes-"))
        self.stderr = open(self.notes / "stderr", "w+")  # noqa: SIM115
        self.out, self.progress = out, self.notes / out.name
        command = [sys.executable, "-m", SUBJECT, "training", str(out), str(self.notes)]
        streams = {"stdout": subprocess.DEVNULL, "stderr": self.stderr} | streams
        self.process = subprocess.Popen(command, preexec_fn=prepare, **streams)

    def wait_for_step(self, step: int) -> None:
        """Return after `step` steps, or when the process has ended."""
        while self.process.poll() is None:
            noted = self.progress.read_bytes() if self.progress.exists() else b""
            if noted and int(noted) >= step:
                return
            time.sleep(0.001)

    def end(self) -> tuple[int, str]:
        """Status and last line on stderr; a traceback is a status of its own."""
        status = self.process.wait()
        self.stderr.seek(0)
        text = self.stderr.read()
        self.stderr.close()
        shutil.rmtree(self.notes)
        if "Traceback" in text:
            return 1000, text
        return status, text.strip().splitlines()[-1] if text.strip() else ""


def refused(found: tuple[int, str], *parts: str, status: int = 1) -> list[str]:
    """What is wrong with an end that should have been a sentence with one of some parts in it."""
    if found[0] == status and any(part in found[1] for part in parts):
        return []
    return [f"status {found[0]} instead of {status}, or nothing of {parts}: {found[1]}"]


def resumes(out: Path, whole: Path) -> list[str]:
    """What is wrong with a run that is resumed, now that the fault is over."""
    status, text = Process(out).end()
    return differences("training", out, whole) if status == 0 else [f"not resumed: {text}"]


@fault("the disk is full (RLIMIT_FSIZE)", 200, 20_000, 200_000, 330_000, 550_000)
def full_disk(most: int, place: Path, whole: Path) -> list[str]:
    """No file may have more bytes than that."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    found = Process(place / "run", limit).end()
    return refused(found, ": File too large") + resumes(place / "run", whole)


@fault("the disk becomes full in the middle", 1, 15, 40)
def filling_disk(step: int, place: Path, whole: Path) -> list[str]:
    """From some step on every checkpoint fails."""
    process = Process(place / "run")
    process.wait_for_step(step)
    resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (20_000, 20_000))
    found = process.end()
    return refused(found, ": File too large") + resumes(place / "run", whole)


def obey_modes() -> None:
    """Have the superuser, too, write only where modes allow it: drop CAP_DAC_OVERRIDE."""
    if os.getuid() == 0 and ctypes.CDLL(None, use_errno=True).prctl(24, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_CAPBSET_DROP")


@fault("the directory cannot be written to", "new", "stopped")
def read_only(state: str, place: Path, whole: Path) -> list[str]:
    """Its mode forbids it."""
    if state == "stopped":
        stop(place / "run", signal.SIGTERM)
    else:
        (place / "run").mkdir()
    (place / "run").chmod(0o555)
    found = Process(place / "run", obey_modes).end()
    (place / "run").chmod(0o755)
    return refused(found, ": Permission denied") + resumes(place / "run", whole)


@fault("--out is no place for results", "file", "below a file", "too long", "a loop")
def no_directory(kind: str, place: Path, whole: Path) -> list[str]:
    """A file, something below a file, a name that is too long, a link to itself."""
    out = place / "run"
    if kind in ("file", "below a file"):
        out.write_text("")
    if kind == "a loop":
        out.symlink_to(out)
    out = {"below a file": out / "more", "too long": place / ("x" * 300)}.get(kind, out)
    return refused(Process(out).end(), ": File exists", ": Not a d", "name too long", "symbolic")


def stop(out: Path, number: int, step: int = 20) -> tuple[int, str]:
    """A run that got a signal after some steps."""
    process = Process(out)
    process.wait_for_step(step)
    process.process.send_signal(number)
    return process.end()


@fault("a file is deleted while the run goes on", "checkpoint", "config.json", ".lock", "last", "*")
def deleted_meanwhile(name: str, place: Path, whole: Path) -> list[str]:
    """It is written anew, and the run comes to its end."""
    process = Process(place / "run")
    process.wait_for_step(20)
    names = ["checkpoint", "metrics.csv", "curves.png", "best.safetensors"]
    names = names if name == "*" else [name.replace("last", "last.safetensors")]
    for each in names:
        (place / "run" / each).unlink(missing_ok=True)
    status, text = process.end()
    if status != 0:
        return [f"status {status}: {text}"]
    return resumes(place / "run", whole) if name != "*" else []


@fault("the directory is deleted while the run goes on")
def deleted_directory(place: Path, whole: Path) -> list[str]:
    """There is nowhere to write to."""
    process = Process(place / "run")
    process.wait_for_step(20)
    (place / "run").rename(place / "gone")  # at once, so that nothing is written on the way
    shutil.rmtree(place / "gone")
    return refused(process.end(), ": No such file or directory")


@fault(
    "a file is deleted after the run was stopped", "config.json", "metrics.csv", "last", "curves"
)
def deleted_between(name: str, place: Path, whole: Path) -> list[str]:
    """Everything is in the checkpoint."""
    stop(place / "run", signal.SIGKILL)
    name = {"last": "last.safetensors", "curves": "curves.png"}.get(name, name)
    (place / "run" / name).unlink()
    (place / "run" / "config.json").touch()  # so that the subject resumes
    if name == "config.json":
        (place / "run" / name).write_text("{}")
    return resumes(place / "run", whole)


@fault("the checkpoint is deleted after the run was stopped")
def deleted_checkpoint(place: Path, whole: Path) -> list[str]:
    """It cannot go on, and says so; it does not begin anew over what is there."""
    stop(place / "run", signal.SIGKILL)
    (place / "run" / "checkpoint").unlink()
    before = (place / "run" / "metrics.csv").read_bytes()
    found = refused(Process(place / "run").end(), "it has no checkpoint to resume")
    kept = (place / "run" / "metrics.csv").read_bytes() == before
    return found if kept else [*found, "metrics.csv was overwritten"]


@fault("another process has the lock", "new", "stopped")
def in_use(state: str, place: Path, whole: Path) -> list[str]:
    """The sentence names it."""
    if state == "stopped":
        stop(place / "run", signal.SIGTERM)
    (place / "run").mkdir(exist_ok=True)
    with locked(place / "run"):
        found = Process(place / "run").end()
    return refused(found, f"in use by process {os.getpid()}") + resumes(place / "run", whole)


@fault("two runs begin at the same moment", "new", "new", "new", "stopped", "stopped", "stopped")
def two_at_once(state: str, place: Path, whole: Path) -> list[str]:
    """One of them trains; the other one says why it does not."""
    if state == "stopped":
        stop(place / "run", signal.SIGKILL)
    ends = sorted(process.end() for process in [Process(place / "run"), Process(place / "run")])
    parts = ("in use by process", "already holds a training run", "meanwhile")
    wrong = [] if ends[0][0] == 0 else [f"neither trained: {ends}"]
    if ends[1][0] != 0:  # else the second one came when the first had finished
        wrong += refused(ends[1], *parts)
    return wrong + differences("training", place / "run", whole)


@fault(
    "a signal", *(getattr(signal, f"SIG{n}") for n in "INT TERM HUP QUIT USR1 ALRM KILL".split())
)
def signalled(number: signal.Signals, place: Path, whole: Path) -> list[str]:
    """Those that ask for an end get one by a sentence; the others kill."""
    polite = {signal.SIGINT: "interrupted", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
    status, text = stop(place / "run", number)
    wrong = []
    if number in polite:
        wrong = refused((status, text), polite[number], status=128 + number)
    elif status != -number:
        wrong = [f"status {status}: {text}"]
    return wrong + resumes(place / "run", whole)


@fault("two signals, one right after the other", 0.0, 0.001, 0.01)
def signalled_twice(seconds: float, place: Path, whole: Path) -> list[str]:
    """The second one stops at once, also while the process is ending already."""
    process = Process(place / "run")
    process.wait_for_step(20)
    for _ in range(2):
        process.process.send_signal(signal.SIGINT)
        time.sleep(seconds)
    status, text = process.end()
    status = 130 if status == -signal.SIGINT else status  # as a shell sees it
    return refused((status, text), "interrupted", status=130) + resumes(place / "run", whole)


@fault("nobody reads the output", "closed", "broken pipe")
def no_output(how: str, place: Path, whole: Path) -> list[str]:
    """It ends in a sentence, or goes on."""
    if how == "closed":
        process = Process(place / "run", partial(os.close, 1), stdout=None)
    else:
        reader, writer = os.pipe()
        process = Process(place / "run", stdout=writer)
        os.close(reader)
        os.close(writer)
    status, text = process.end()
    wrong = [] if status in (0, 1, 120) else [f"status {status}: {text}"]
    return wrong + resumes(place / "run", whole)


def whole_run(place: Path) -> Path:
    """A run that meets no fault."""
    status, text = Process(place / "whole").end()
    if status != 0:
        raise RuntimeError(f"the subject fails even without a fault: {text}")
    return place / "whole"


def main() -> int:
    """Put in every fault; returns 1 if one of them did not end as it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    everything: list[str] = []
    print("| fault | tries | held |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        whole = whole_run(Path(folder))
        for what, tries in FAULTS.items():
            wrong = []
            for number, put_in in enumerate(tries):
                place = Path(folder) / f"{what} {number}"
                place.mkdir()
                wrong.append([f"{what} {number}: {said}" for said in put_in(place, whole)])
            print(f"| {what} | {len(tries)} | {sum(not found for found in wrong)} |", flush=True)
            found = [said for each in wrong for said in each]
            print("".join(f"{said}\n" for said in found), file=sys.stderr, end="")
            everything += found
    print(f"\n{len(everything)} things went wrong" if everything else "\nall held")
    return 1 if everything else 0


if __name__ == "__main__":
    sys.exit(main())
