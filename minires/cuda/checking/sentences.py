"""Events of the watched emulator -> faults, in words."""

import re
from typing import Any

from minires.cuda.checking.job import ARRAY, OBJECT, Memory, Outcome
from minires.cuda.checking.report import Fault

OUT_OF_BOUNDS, UNINITIALISED, RACE, MISALIGNED, OVERFLOWN = range(1, 6)
INDEX, BARRIER_PLACES, TIME, DIVISION, CRASH, FREED, HOST_POINTER = range(6, 13)
"""The kinds of events, as `include/watch.h` numbers them."""


class Teller:
    """Tells events of one launch; it knows the shapes, the arrays and the code's lines."""

    def __init__(self, grid: tuple, block: tuple, known: list[Memory], lines: dict[int, int]):
        self.grid, self.block, self.known, self.lines = grid, block, known, lines

    def faults(self, outcome: Outcome) -> list[Fault]:
        """The faults of a run, each once, in the order of their lines."""
        found: dict[tuple, Fault] = {}
        for event in outcome.events:
            fault = self._fault(event)
            if fault is None:
                continue
            pair = tuple(sorted((fault.line or 0, fault.other_line or 0)))
            found.setdefault((fault.kind, pair, fault.array), fault)
        if outcome.stopped and not outcome.stopped.endswith(": stopped"):
            fault = self._message(outcome)
            found[fault.kind, fault.line] = fault
        return sorted(found.values(), key=lambda fault: fault.line or 0)

    def _who(self, part: dict) -> tuple[str, tuple, tuple]:
        thread = _place(part["thread"], self.block)
        block = _place(part["block"], self.grid)
        return f"thread {_short(thread)} of block {_short(block)}", thread, block

    def _fault(self, event: dict) -> Fault | None:
        kind, one, other = event["kind"], event["one"], event["other"]
        line, other_line = self.lines.get(one["where"]), self.lines.get(other["where"])
        who, thread, block = self._who(one)
        array = self.known[event["region"]] if event["region"] < len(self.known) else None
        offset, size = event["offset"], event["size"]
        name = array.name if array else None
        common: dict[str, Any] = dict(thread=thread, block=block, array=name)
        if kind == OUT_OF_BOUNDS:
            does = "writes" if one["store"] else "reads"
            if array is None:
                what = f"{does} through a pointer to nowhere (address {offset:#x})"
                return Fault("out of bounds", line, f"{who} {what}", **common)
            what = f"{does} {array.element(offset, size)}, but {array.extent(size)}"
            return Fault("out of bounds", line, f"{who} {what}", **common)
        if kind in (FREED, HOST_POINTER):
            return self._not_there(event, array, who, line, common)
        if kind == UNINITIALISED and array is not None:
            what = f"reads {array.element(offset, size)}, which nobody has written"
            return Fault("uninitialised", line, f"{who} {what}", **common)
        if kind == RACE:
            return self._race(event, array, line, other_line, common)
        if kind == MISALIGNED:
            what = f"accesses {size} bytes at once at an address that is no multiple of {size}"
            if array:
                what += f", {offset} bytes behind the beginning of {name}"
            return Fault("misaligned", line, f"{who} {what}", **common)
        if kind == OVERFLOWN:
            a, b = event["values"]
            sign = event["text"].decode()
            what = (
                f"calculates {a} {sign} {b}, which overflows its integer; use size_t or long long"
            )
            return Fault("overflow", line, f"{who} {what}", **common)
        if kind == INDEX:
            of = event["text"].decode().strip("'")
            index = event["values"][0]
            named = f" of {name}" if name else ""
            what = f"uses the index {index}{named}, which is beyond the bound of its type {of}"
            return Fault("out of bounds", line, f"{who} {what}", **common)
        if kind == BARRIER_PLACES:
            if line == other_line:
                return None  # the compiler has made two places of one
            other_who = self._who(other)[0]
            what = (
                f"{who} waits at this barrier while {other_who} waits at that of line {other_line}"
            )
            return Fault("barrier", line, what, thread, block, None, other_line)
        if kind == TIME:
            return Fault("endless loop", line, f"{who} still runs when the time is over", **common)
        if kind == DIVISION:
            return Fault("division", line, f"{who} divides an integer by zero", **common)
        return Fault("crash", line, f"{who} ends the process", **common)

    def _not_there(self, event, array, who, line, common) -> Fault:
        """An access of freed memory, or of the host's."""
        does = "writes" if event["one"]["store"] else "reads"
        if event["kind"] == FREED:
            freed = self.lines.get(array.freed)
            what = f"{who} {does} {array.element(event['offset'], event['size'])}, which is freed"
            what += f" (line {freed})" if freed else ""
            return Fault("use after free", line, what, **common, other_line=freed)
        if array is not None:
            what = f"{who} {does} {array.name}, a variable of the host"
        else:
            what = (
                f"{who} {does} through a pointer of the host ({event['offset']:#x}): a kernel "
                f"reaches what cudaMalloc has made"
            )
        return Fault("host pointer", line, what, **common)

    def _race(self, event, array, line, other_line, common) -> Fault:
        one, other = event["one"], event["other"]
        who, other_who = self._who(one)[0], self._who(other)[0]
        does = ("changes" if one["atomic"] else "writes") if one["store"] else "reads"
        did = ("changes" if other["atomic"] else "writes") if other["store"] else "reads"
        element = array.element(event["offset"], event["size"])
        same_block = one["block"] == other["block"]
        if same_block:
            other_who = other_who.split(" of ")[0]
        at = "" if other_line in (None, line) else f" (line {other_line})"
        what = f"{who} {does} {element} while {other_who} {did} it{at}: "
        if not same_block:
            what += "nothing orders blocks; an atomic operation or a second launch would"
            return Fault("race between blocks", line, what, **common, other_line=other_line)
        if array.space in (ARRAY, OBJECT) and line == other_line:
            what += "nothing orders the two; an atomic operation would"
        elif one["thread"] // 32 == other["thread"] // 32:
            what += "there is no barrier between, __syncthreads() or __syncwarp()"
        else:
            what += "there is no __syncthreads() between"
        return Fault("race", line, what, **common, other_line=other_line)

    def _message(self, outcome: Outcome) -> Fault:
        """A fault that the emulator itself tells."""
        text = outcome.stopped
        line = self.lines.get(outcome.where)
        kind = "warp"
        if "__syncthreads() is reached" in text:
            kind = "barrier"
        elif "assertion" in text or "__trap" in text:
            kind = "assertion"
        elif "stack" in text:
            kind = "crash"
        elif "bytes of shared memory" in text:
            kind = "launch"
        numbers = [tuple(map(int, m.split(","))) for m in re.findall(r"\((\d+,\d+,\d+)\)", text)]
        thread = numbers[0] if len(numbers) > 1 and text.startswith("thread") else None
        block = numbers[1] if thread else numbers[0] if numbers else None
        return Fault(kind, line, text, thread, block)


def _place(linear: int, shape: tuple) -> tuple[int, int, int]:
    x, y, _ = shape
    return linear % x, linear // x % y, linear // (x * y)


def _short(place: tuple[int, int, int]) -> str:
    return "({},{},{})".format(*place)
