"""Stopping between two steps: a step that is cut in half could not be resumed to the same bits."""

import contextlib
import os
import signal
import threading


class StopAfterStep:
    """While active, Ctrl-C and SIGTERM only set `requested`; a second one interrupts at once.

    Signals reach the main thread alone: in any other this does nothing.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.requested = False
        self._before = {}

    def __enter__(self) -> "StopAfterStep":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        with contextlib.suppress(OSError):  # straight to the descriptor: stderr may be in use
            os.write(2, b"\nfinishing the step (again: stop at once)\n")
