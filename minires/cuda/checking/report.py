"""What checks of a kernel have found: faults, each a sentence with its line, and counts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

import numpy as np


@dataclass(frozen=True)
class Fault:
    """Something that a kernel does wrong.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    line : int or None
        Its number in the file; None where no line is to blame.
    message : str
        A sentence.
    thread, block : tuple of 3 ints, or None
        Who did it.
    array : str or None
        The array it is about.
    other_line : int or None
        The other place of a race, or of two barriers.
    checker : str
        What found it: ``"watched run"``, ``"result"``, ``"schedules"``, ``"launch"`` or
        ``"compiler"``.
    """

    kind: str
    line: int | None
    message: str
    thread: tuple | None = None
    block: tuple | None = None
    array: str | None = None
    other_line: int | None = None
    checker: str = "watched run"

    def __str__(self) -> str:
        """The sentence, with its line."""
        place = "" if self.line is None else f"line {self.line}: "
        return f"{place}{self.message}"


KINDS = (
    *(
        "wrong result",
        "never written",
        "out of bounds",
        "uninitialised",
        "race",
        "race between blocks",
    ),
    *("barrier", "warp", "misaligned", "overflow", "endless loop", "launch", "order", "division"),
    *("assertion", "compile", "crash"),
    *("use after free", "double free", "host pointer", "device pointer", "copy", "memory"),
    *("no synchronisation", "leak", "unchecked error"),
)
"""The kinds of faults."""


@dataclass(frozen=True)
class Requests:
    """What one line asks of one array: requests of warps, and what they move.

    `moved` counts sectors of 32 bytes of global memory, or turns of shared memory; `least` is what
    would do if neighbouring lanes asked for neighbouring numbers. `lanes` is how many lanes take
    part, on average.
    """

    line: int | None
    array: str
    store: bool
    shared: bool
    requests: int
    lanes: float
    moved: int
    least: int


@dataclass
class Report:
    """What `check` answers.

    Attributes
    ----------
    faults : list of Fault
        Empty if nothing is wrong.
    arrays : dict
        The kernel's arrays after it ran, by name.
    requests : list of Requests
        Line by line, what the kernel asks of memory.
    barriers : int
        Barriers that blocks passed.
    remarks : list of str
        What was not looked at, and why.
    printed : str
        What the kernel printed; of a whole program, all that it printed.
    status : int or None
        The exit status of a whole program.
    """

    file: str
    kernel: str
    source: str
    faults: list[Fault] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    requests: list[Requests] = field(default_factory=list)
    blocks: int = 0
    barriers: int = 0
    remarks: list[str] = field(default_factory=list)
    printed: str = ""
    status: int | None = None

    @property
    def subject(self) -> str:
        """What was checked, in words."""
        return f"kernel {self.kernel} of {self.file}" if self.kernel else f"program {self.file}"

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    def __str__(self) -> str:
        """The report as text."""
        head = f"{self.subject}: "
        if self.ok:
            out = [head + "no fault found"]
        else:
            out = [head + f"{len(self.faults)} fault{'s' * (len(self.faults) > 1)}", ""]
        lines = self.source.split("\n")
        for fault in self.faults:
            out.append(f"  {fault}")
            for number in sorted({n for n in (fault.line, fault.other_line) if n}):
                if number <= len(lines):
                    out.append(f"    {number:4} | {lines[number - 1].strip()}")
        if self.requests:
            out += ["", *self._table()]
        out += [f"  ({remark})" for remark in self.remarks]
        if self.printed:
            out += [
                "",
                f"printed by the {'kernel' if self.kernel else 'program'}:",
                self.printed.rstrip("\n"),
            ]
        return "\n".join(out)

    __repr__ = __str__

    def _rows(self) -> Iterator[tuple[str, ...]]:
        """The table of counts, cell by cell."""
        yield "line", "", "array", "requests", "lanes", "moved", "least", ""
        for r in self.requests:
            what = "turns" if r.shared else "sectors"
            ratio = f"{r.moved / r.least:.1f} times" if r.moved > 1.05 * r.least else ""
            numbers = (f"{r.requests:,}", f"{r.lanes:.1f}", f"{r.moved:,} {what}", f"{r.least:,}")
            line = "?" if r.line is None else str(r.line)
            yield line, "store" if r.store else "load", r.array, *numbers, ratio

    def _table(self) -> list[str]:
        rows = list(self._rows())
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        text = ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return [*text, f"  {self.barriers:,} barriers; counted in {self.blocks:,} blocks"]

    def _repr_html_(self) -> str:
        """The report for a notebook: the faults, and the source with their lines marked."""
        head = f"<b>{escape(self.subject)}</b>: "
        head += "no fault found" if self.ok else f"{len(self.faults)} faults"
        faults = "".join(f"<li><i>{escape(f.kind)}</i>, {escape(str(f))}</li>" for f in self.faults)
        marked = {f.line for f in self.faults}
        others = {f.other_line for f in self.faults} - marked
        code = "".join(
            f'<div class="{"at" if i in marked else "by" if i in others else ""}">'
            f"{i:4}  {escape(line) or ' '}</div>"
            for i, line in enumerate(self.source.rstrip("\n").split("\n"), 1)
        )
        head_row, *rows = self._rows()
        cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in (head_row, *rows)]
        table = "".join(f"<tr>{row}</tr>" for row in cells) if rows else ""
        remarks = "".join(f"<p>{escape(remark)}</p>" for remark in self.remarks)
        return (
            f'<div class="minires-report">{STYLE}<p>{head}</p><ul>{faults}</ul>'
            f"<pre>{code}</pre><table>{table}</table>{remarks}"
            f"<pre>{escape(self.printed)}</pre></div>"
        )


STYLE = """<style>
.minires-report { color-scheme: light dark; }
.minires-report pre > div { white-space: pre; padding-left: 4px; }
.minires-report pre > div.at { background: rgba(220, 60, 40, 0.3); }
.minires-report pre > div.by { background: rgba(220, 160, 40, 0.25); }
</style>"""
