"""Progress: a bar on a terminal and in a notebook, now and then a line in a log file.

The first step compiles what is not compiled yet, so its time is in no rate: see `count_first`.
"""

import os
import sys
import time
from typing import Any


def bar(
    total: int | None,
    unit: str,
    desc: str = "",
    initial: int = 0,
    leave: bool = False,
) -> Any:
    """A bar of `total` units, to be used as a context: `update(n)`, `set_postfix_str(text)`.

    Bytes, "B", are shown in thousands and millions. With `leave` the last state stays to be read.
    """
    if not (on_terminal() or in_notebook()):
        return LogLines(total, unit, desc, initial, leave)
    from tqdm import tqdm

    return tqdm(
        desc=desc or None,
        total=total,
        initial=initial,
        unit=unit,
        unit_scale=unit == "B",
        leave=leave,
        dynamic_ncols=True,
        mininterval=0.2,
        smoothing=0,  # the mean rate since the first step
    )


def bar_of(run, epoch: int) -> Any:
    """The bar of a Run in an epoch, over the whole run: the time left is the run's."""
    return bar(run.total, "step", f"epoch {epoch + 1}/{run.epochs}", run.step)


def count_first(shown) -> None:
    """Count a first step in a bar, but leave it and the time until now out of its rate."""
    shown.n += 1
    shown.initial = shown.last_print_n = shown.n
    shown.start_t = shown.last_print_t = time.time()


def on_terminal() -> bool:
    """Whether stderr is a terminal with room for a bar: one without a size shows none."""
    try:
        return sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).lines > 0
    except (OSError, ValueError):
        return False


def in_notebook() -> bool:
    """Whether a notebook shows what is written to stderr: it is no terminal, but lively."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class LogLines:
    """What tqdm's bar is for a terminal, in whole lines: after FIRST seconds, then every EVERY."""

    FIRST, EVERY = 10.0, 30.0

    def __init__(
        self,
        total: int | None,
        unit: str,
        desc: str = "",
        initial: int = 0,
        leave: bool = False,
    ):
        self.total, self.unit, self.desc, self.n, self.initial = total, unit, desc, initial, initial
        self.postfix, self.leave, self.start_t = "", leave, time.time()
        self.due = self.start_t + self.FIRST

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """What the next line says at its end."""
        self.postfix = text

    def update(self, n: int = 1) -> None:
        """Count n more, and write a line if it is time."""
        self.n += n
        if (now := time.time()) >= self.due:
            self.due = now + self.EVERY
            print(self.line(now), file=sys.stderr, flush=True)

    def line(self, now: float) -> str:
        """How far it is, at which rate, and how long it will take."""
        unit, size = ("MB", 1e-6) if self.unit == "B" else (f"{self.unit}s", 1)
        of = f" of {self.total * size:,.0f}" if self.total is not None else ""
        words = [f"{self.n * size:,.0f}{of} {unit}"]
        done, seconds = self.n - self.initial, now - self.start_t
        if done > 0 and seconds > 0:
            words += [f"{done * size / seconds:.3g} {unit}/s"]
        if done > 0 and self.total is not None and self.n < self.total:
            minutes, rest = divmod(round((self.total - self.n) * seconds / done), 60)
            hours, minutes = divmod(minutes, 60)
            words += [f"{hours}:{minutes:02}:{rest:02} left"]
        words += [self.postfix] if self.postfix else []
        return (f"{self.desc}: " if self.desc else "") + ", ".join(words)

    def __enter__(self) -> "LogLines":
        return self

    def __exit__(self, *exception) -> None:
        if self.leave:
            print(self.line(time.time()), file=sys.stderr, flush=True)
