"""A whole program: compiled with its main, run in a process of its own, looked at, told.

>>> report = cuda.check("saxpy.cu", args=["1000"])
>>> print(report)
program saxpy.cu: 1 fault
  line 18: d_x (4000 bytes) is never freed: cudaFree does that

The program runs as it is. What its kernels do is looked at as `check` looks at a kernel; what its
host part does with memory of the device is looked at by `include/runtime_memory.h`.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from minires.cuda import textbook
from minires.cuda.checking import build
from minires.cuda.checking.counts import requests
from minires.cuda.checking.job import (
    DYNAMIC,
    HOST_OBJECT,
    MANAGED,
    OBJECT,
    ROOM,
    SHARED_ARRAY,
    Memory,
    Outcome,
)
from minires.cuda.checking.records import (
    Event,
    Known,
    Launched,
    Note,
    Number,
    Row,
    Seen,
    Setting,
    plain,
    tables,
)
from minires.cuda.checking.report import Fault, Report
from minires.cuda.checking.sentences import Teller

MOST_DYNAMIC = 227 << 10


def check_program(report: Report, path: Path, args: list[str], seconds: float) -> None:
    """Compile and run a program; what is found goes into the report."""
    folder = path.resolve().parent
    program = build.compile_program(report.file, report.source, folder)
    own = "".join(p.read_text() for p in sorted(folder.glob("*.*h")) if p.is_file())
    known = _static(program, textbook.device_variables(report.source + own))
    dynamic = textbook.dynamic_arrays(report.source) or ["dynamic shared memory"]
    known.append(Memory(dynamic[0], MOST_DYNAMIC, None, DYNAMIC, 0, True))
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        _write_setup(Path(place) / "setup", known, seconds)
        report.status, report.printed = _run(program, Path(place), args, seconds)
        result = Path(place) / "result"
        if not result.exists():
            what = f"the program ended without a result (status {report.status})"
            report.faults.append(Fault("crash", None, what))
            return
        _tell(report, program, known, result.read_bytes())


def _static(program: Path, of_device: dict[str, str]) -> list[Memory]:
    """The program's static variables that kernels may reach, and those that they may not."""
    found = []
    for v in build.variables(program):
        kind = of_device.get(v.name)
        space = SHARED_ARRAY if v.is_shared else MANAGED if kind == "managed" else OBJECT
        if not v.is_shared and kind is None:
            if v.is_constant or v.function:
                continue
            space = HOST_OBJECT
        found.append(Memory(v.name, v.size, None, space, v.place, v.is_shared))
    return found


def _write_setup(file: Path, known: list[Memory], seconds: float) -> None:
    objects = [m for m in known if m.space in (OBJECT, MANAGED)]
    data = min((m.place for m in objects), default=ROOM) - ROOM
    end = max((m.place + m.size for m in objects), default=-ROOM) + ROOM
    setting = Setting(0, 0, 1, 1, max(1, round(seconds)), len(known), data, end)
    rows = [Known(m.place, m.size, m.space, m.is_empty, m.name.encode()[:63]) for m in known]
    file.write_bytes(b"".join(map(bytes, (setting, *rows))))


def _run(program: Path, folder: Path, args: list[str], seconds: float) -> tuple[int, str]:
    """Run it -> its exit status, and what it printed."""
    with open(folder / "printed", "w+b") as printed:
        process = subprocess.Popen(
            [str(program), *args],
            stdout=printed,
            stderr=subprocess.STDOUT,
            env={**os.environ, "MINIRES_PROGRAM": str(folder)},
        )
        try:
            process.wait(4 * seconds + 20)
        except subprocess.TimeoutExpired:
            process.terminate()  # it tells where it is
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        finally:
            process.kill()
            process.wait()
    return process.returncode, (folder / "printed").read_text(errors="replace")


def _tell(report: Report, program: Path, known: list[Memory], result: bytes) -> None:
    notes, events, seen, launches, rows, counts = tables(
        result, Note, Event, Seen, Launched, Row, Number
    )
    memory = known + [
        Memory(r.name.decode(errors="replace"), r.size, r.item or None, r.space, 0, False, r.freed)
        for r in seen[len(known) :]
    ]
    told = [plain(e) for e in events]
    places = {part["where"] for e in told for part in (e["one"], e["other"])}
    places |= {n.where for n in notes} | {n.other for n in notes} | {r.freed for r in seen}
    places |= {launch.stopped for launch in launches} | {row.where for row in rows}
    lines = build.lines(program, report.file, sorted(places - {0}))
    faults: dict[tuple, Fault] = {}
    for i, launch in enumerate(launches):
        own = [e for e in told if e["launch"] == i]
        teller = Teller(tuple(launch.grid), tuple(launch.block), memory, lines)
        stopped = launch.message.decode(errors="replace")
        for fault in teller.faults(Outcome(own, stopped, launch.stopped)):
            pair = tuple(sorted((fault.line or 0, fault.other_line or 0)))
            faults.setdefault((fault.kind, pair, fault.array), fault)
    for n in notes:
        kind, text = n.kind.decode(), n.text.decode(errors="replace")
        line, other = lines.get(n.where), lines.get(n.other)
        if other and other != line:
            text += f" (see line {other})"
        fault = Fault(kind, line, text, other_line=other, checker="runtime")
        faults.setdefault((kind, line, text), fault)
    report.faults += sorted(faults.values(), key=lambda fault: fault.line or 0)
    report.blocks, report.barriers = counts[0].value, counts[1].value
    report.requests = requests(memory, [plain(row) for row in rows], lines)
    if report.status:
        report.remarks.append(f"the program ended with status {report.status}")
    if not launches:
        report.remarks.append("no kernel was launched")
