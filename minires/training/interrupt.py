"""Stopping between two steps: a step that is cut in half could not be resumed to the same bits."""

import contextlib
import os
import signal
import threading


class Stopped(KeyboardInterrupt):
    """A signal that asked the process to end; `number` says which."""

    def __init__(self, number: int):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class StopAfterStep:
    """While active, a signal to end only sets `requested`; a second one interrupts at once.

    The signals are Ctrl-C (SIGINT), SIGTERM, and SIGHUP, which a lost terminal sends. SIGHUP is
    left alone where it is ignored, as under nohup. Signals reach the main thread alone: in any
    other this does nothing.

    Attributes
    ----------
    requested : Stopped or None
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self):
        self.requested: Stopped | None = None
        self._before: dict = {}
        self._terminals: list[int] = []

    def __enter__(self) -> "StopAfterStep":
        if threading.current_thread() is threading.main_thread():
            self._terminals = [number for number in (1, 2) if os.isatty(number)]
            for number in self.SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame) -> None:
        if number == signal.SIGHUP:
            self._leave_terminal()
        if self.requested:
            raise Stopped(number)
        self.requested = Stopped(number)
        with contextlib.suppress(OSError):  # straight to the descriptor: stderr may be in use
            os.write(2, b"\nfinishing the step (again: stop at once)\n")

    def _leave_terminal(self) -> None:
        """Let output go nowhere if the terminal is gone: it would fail, and the run with it."""
        gone = [number for number in self._terminals if not os.isatty(number)]
        if gone:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for number in gone:
                os.dup2(nowhere, number)
            os.close(nowhere)
