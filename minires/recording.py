"""Whether Functions are recorded for backward: a choice of each thread, behind `no_grad`."""

import inspect
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import wraps

_recording: ContextVar[bool] = ContextVar("recording", default=True)


class recording(ContextDecorator):
    """Inside, Functions are recorded for backward, or they are not; blocks of it may be nested."""

    def __init__(self, value: bool):
        self._value = value
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(_recording.get())
        _recording.set(self._value)

    def __exit__(self, *exception) -> None:
        _recording.set(self._before.pop())

    def __call__(self, function: Callable):
        """Decorate a function; of a generator, what runs between its yields is decorated."""
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @wraps(function)
        def generator(*args, **named):
            inner = function(*args, **named)
            step, value = inner.send, None
            while True:
                with recording(self._value):
                    try:
                        result = step(value)
                    except StopIteration as end:
                        return end.value
                try:
                    value = yield result
                    step = inner.send
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as error:
                    step, value = inner.throw, error

        return generator

    def _recreate_cm(self) -> "recording":
        return recording(self._value)  # each call of a decorated function has one of its own


def is_recording() -> bool:
    """Whether this thread records."""
    return _recording.get()
