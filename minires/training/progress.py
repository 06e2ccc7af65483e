"""Progress: a bar on a terminal and in a notebook, now and then a line in a log file.

The first step compiles what is not compiled yet, so its time is in no rate: see `begin_counting`.
"""

import sys
import time
from typing import Any


def bar(total: int, unit: str, desc: str = "", initial: int = 0) -> Any:
    """A bar of `total` units, to be used as a context: `update(n)`, `set_postfix_str(text)`."""
    if not (sys.stderr.isatty() or in_notebook()):
        return LogLines(total, unit, desc, initial)
    from tqdm import tqdm

    return tqdm(
        desc=desc or None,
        total=total,
        initial=initial,
        unit=unit,
        leave=False,
        dynamic_ncols=True,
        mininterval=0.2,
        smoothing=0,  # the mean rate since the first step
    )


def bar_of(run, epoch: int) -> Any:
    """The bar of a Run in an epoch, over the whole run: so the time left is the run's."""
    return bar(run.total, "step", f"epoch {epoch + 1}/{run.epochs}", run.step)


def begin_counting(shown) -> None:
    """Leave the time until now, and what was done in it, out of a bar's rate."""
    shown.initial = shown.n
    shown.start_t = shown.last_print_t = time.time()


def in_notebook() -> bool:
    """Whether a notebook shows what is written to stderr: it is no terminal, but lively."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class LogLines:
    """What tqdm's bar is for a terminal, in whole lines: after FIRST seconds, then every EVERY."""

    FIRST, EVERY = 10.0, 30.0

    def __init__(self, total: int, unit: str, desc: str = "", initial: int = 0):
        self.total, self.unit, self.desc, self.n, self.initial = total, unit, desc, initial, initial
        self.postfix, self.start_t = "", time.time()
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
        words = [f"{self.n:,} of {self.total:,} {self.unit}s"]
        done, seconds = self.n - self.initial, now - self.start_t
        if done > 0 and seconds > 0:
            left = (self.total - self.n) * seconds / done
            minutes, rest = divmod(round(left), 60)
            hours, minutes = divmod(minutes, 60)
            words += [f"{done / seconds:.3g} {self.unit}s/s"]
            words += [f"{hours}:{minutes:02}:{rest:02} left"]
        words += [self.postfix] if self.postfix else []
        return (f"{self.desc}: " if self.desc else "") + ", ".join(words)

    def __enter__(self) -> "LogLines":
        return self

    def __exit__(self, *exception) -> None:
        pass
