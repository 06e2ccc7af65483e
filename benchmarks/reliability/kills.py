"""kill -9 at random moments: what is resumed has the bits of what was never stopped.

    python -m minires.benchmarks.reliability.kills --kills 200

A run is killed at a random moment, resumed, killed again, until it comes to its end before its
moment: a chain. Then every array, row and number is compared with those of a run that was never
killed. After each kill all files must be readable, and at most one interval of steps be lost.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from minires.benchmarks.reliability.subject import INTERVAL, KINDS
from minires.training.weights import WeightsError, read_arrays

TIMES = ("seconds", "images_per_second")
"""Columns of metrics.csv that differ from run to run."""

MEASURED_WHEN = ("date", "machine", "versions", "training_seconds", "measuring_seconds", "command")
"""Entries of an experiment's result that may differ."""


@dataclass
class Outcome:
    """What came of the kills of one kind.

    Attributes
    ----------
    kills, chains : int
        Processes killed; runs that came to their end.
    most_lost : int
        Most iterations that a kill cost.
    before_first_step : int
        Kills before the process had taken a step, among them those while Python was starting.
    faults : list of str
    """

    kills: int = 0
    chains: int = 0
    most_lost: int = 0
    before_first_step: int = 0
    faults: list[str] = field(default_factory=list)


class Victim:
    """Runs of one kind, to be killed and resumed.

    Parameters
    ----------
    kind : str
        One of `subject.KINDS`.
    place : Path
        An empty directory.

    Attributes
    ----------
    seconds : float
        How long a whole run takes, by the last one that nobody killed: the machine does other
        things, too.
    outcome : Outcome
    """

    def __init__(self, kind: str, place: Path):
        self.kind, self.place, self.outcome = kind, place, Outcome()
        self.whole = place / "whole"
        started = time.perf_counter()
        if _start(kind, self.whole).wait() != 0:
            raise RuntimeError(f"{kind} fails even without a kill")
        self.seconds = time.perf_counter() - started

    def chain(self, random: random.Random) -> str:
        """Kill a run, and what resumes it, at random moments, until it ends; returns a line."""
        outcome = self.outcome
        out, before = self.place / f"chain-{outcome.chains}", outcome.kills
        started = time.perf_counter()
        while _is_killed(self.kind, out, random.uniform(0, self.seconds), outcome):
            pass
        if outcome.kills == before:
            self.seconds = time.perf_counter() - started
        outcome.chains += 1
        found = differences(self.kind, out, self.whole)
        outcome.faults += [f"{out.name}: {what}" for what in found]
        return (
            f"{self.kind} {out.name}: {outcome.kills - before} kills, {len(outcome.faults)} faults"
        )


def _start(kind: str, out: Path) -> subprocess.Popen:
    notes = _notes(out)
    shutil.rmtree(notes, ignore_errors=True)
    notes.mkdir(parents=True)
    words = ["-m", "minires.benchmarks.reliability.subject", kind, str(out), str(notes)]
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.DEVNULL,
        stderr=open(notes / "stderr", "wb"),  # noqa: SIM115
        start_new_session=True,
    )


def _notes(out: Path) -> Path:
    return out.with_name(f"{out.name}-notes")


def _is_killed(kind: str, out: Path, seconds: float, outcome: Outcome) -> bool:
    """Start a process and kill it after some time; False if it came to its end before."""
    process = _start(kind, out)
    try:
        status = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    if status == -signal.SIGKILL:
        outcome.kills += 1
        _look(kind, out, outcome)
        return True
    if status != 0:
        said = (_notes(out) / "stderr").read_text().strip().splitlines()[-1:]
        outcome.faults.append(f"{out.name}: status {status} after {outcome.kills} kills: {said}")
    return False


def _look(kind: str, out: Path, outcome: Outcome) -> None:
    """What a kill has cost, and whether every file is readable."""
    begun = False
    for path in (path for path in _notes(out).iterdir() if path.name != "stderr"):
        directory = next(iter([p for p in (out, out / "runs" / path.name) if p.name == path.name]))
        if not (noted := path.read_bytes()):  # killed as it was made
            continue
        reached, begun = int(noted), True
        try:
            state = json.loads(read_arrays(directory / "checkpoint")[1]["state"])
        except (WeightsError, KeyError, ValueError) as error:
            outcome.faults.append(f"{directory}: {error}")
            continue
        lost = reached - state["run"]["step"]
        outcome.most_lost = max(outcome.most_lost, lost)
        if lost > INTERVAL[kind]:
            outcome.faults.append(f"{directory}: {lost} iterations lost")
    outcome.before_first_step += not begun
    for path in out.rglob("*"):
        if path.suffix in (".safetensors", ".json") and not path.name.startswith("."):
            try:
                json.loads(path.read_text()) if path.suffix == ".json" else read_arrays(path)
            except ValueError as error:
                outcome.faults.append(f"{path}: {error}")


def differences(kind: str, out: Path, whole: Path) -> list[str]:
    """In what a resumed run differs from one that was never stopped; nothing may be left over."""
    found = []
    files = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    there = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    found += [f"{path} is there in one of them only" for path in sorted(files ^ there)]
    for path in sorted(files & there):
        if _content(out / path) != _content(whole / path):
            found.append(f"{path} differs")
    return found


def _content(path: Path):
    """What of a file is to be the same; of a picture nothing."""
    if path.name == "checkpoint" or path.suffix == ".safetensors":
        arrays, metadata = read_arrays(path)
        if "state" in metadata:
            state = json.loads(metadata["state"])
            rows = [_without(row, TIMES) for row in state["run"].pop("history")]
            metadata = {"state": _without(state, ("seconds",)), "rows": rows}
            metadata["state"]["run"] = _without(state["run"], ("seconds",))
        return {name: array.tobytes() for name, array in arrays.items()}, metadata
    if path.name == "metrics.csv":
        head, *rows = (line.split(",") for line in path.read_text().splitlines())
        return [_without(dict(zip(head, row, strict=True)), TIMES) for row in rows]
    if path.name == "config.json":
        return _without(json.loads(path.read_text()), ("out",))
    if path.suffix == ".json":
        return _without(json.loads(path.read_text()), (*MEASURED_WHEN, "networks"))
    return None


def _without(entries: dict, names: tuple[str, ...]) -> dict:
    return {name: value for name, value in entries.items() if name not in names}


def main() -> int:
    """Kill as often as asked for, by turns of kinds; returns 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        victims = []
        for kind in KINDS:
            (Path(place) / kind).mkdir()
            victims.append(Victim(kind, Path(place) / kind))
        with contextlib.suppress(KeyboardInterrupt):  # then it was fewer, and the table says so
            while sum(victim.outcome.kills for victim in victims) < options.kills:
                victim = min(victims, key=lambda victim: victim.outcome.kills)
                print(victim.chain(moments), flush=True)
    outcomes = {victim.kind: victim.outcome for victim in victims}
    print("\n| kind | kills | before the first step | runs resumed | most lost, of | faults |")
    print("|---|---|---|---|---|---|")
    for kind, outcome in outcomes.items():
        print(
            f"| {kind} | {outcome.kills} | {outcome.before_first_step} | {outcome.chains} "
            f"| {outcome.most_lost} of {INTERVAL[kind]} | {len(outcome.faults)} |"
        )
    faults = [fault for outcome in outcomes.values() for fault in outcome.faults]
    print("\n".join(faults) or "no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
