"""Ctrl-C while the command `minires` is still being imported: a sentence instead of a traceback.

Importing this package takes a while. `minires/__init__.py` imports this first, `cli.main` calls
`end` where it takes over. A program of somebody else's is left alone.
"""

import os
import signal
import sys
import threading


def begin() -> None:
    """End the process by a sentence at Ctrl-C, if it is the command `minires`."""
    untouched = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if _is_command() and untouched and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _say)


def end() -> None:
    """From here on Ctrl-C is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _say:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_command() -> bool:
    """Whether this is `minires ...` or `python -m minires ...`."""
    name = getattr(sys, "argv", [""])[:1]
    as_module = name == ["-m"] and "minires" in sys.orig_argv
    return as_module or (bool(name) and os.path.basename(name[0]) == "minires")


def _say(number, frame) -> None:
    os.write(2, b"minires: interrupted\n")
    os._exit(128 + number)  # nothing has begun yet that would have to be ended


begin()
