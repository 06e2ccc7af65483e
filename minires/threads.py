"""Choices that belong to a thread: backend, precision, random numbers, recording and watching.

Two threads can train on different backends, and one can predict inside `no_grad` while another
trains. `ContextVar`s hold the choices, so tasks of asyncio are apart, too.
"""

import threading
from contextvars import ContextVar
from typing import Generic, TypeVar

T = TypeVar("T")


class Choice(Generic[T]):
    """A value that each thread may choose for itself.

    What the main thread chooses by a plain statement, such as `use("numpy")`, is also the default
    of threads that have chosen nothing; what it chooses for a `with` block is its own.
    """

    def __init__(self, name: str, default: T):
        self.process = default
        self.own: ContextVar[T | None] = ContextVar(name, default=None)

    def get(self) -> T:
        """The value that holds here."""
        own = self.own.get()
        return self.process if own is None else own

    def set(self, value: T) -> None:
        """Choose for this thread; in the main thread for all that have not chosen."""
        if threading.current_thread() is threading.main_thread():
            self.own.set(None)
            self.process = value
        else:
            self.own.set(value)

    def state(self) -> tuple[T | None, T]:
        """What `restore` brings back."""
        return self.own.get(), self.process

    def restore(self, state: tuple[T | None, T]) -> None:
        """As it was; the default only if this is the main thread, which alone has changed it."""
        own, process = state
        self.own.set(own)
        if threading.current_thread() is threading.main_thread():
            self.process = process
