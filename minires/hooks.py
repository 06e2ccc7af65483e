"""Functions that somebody hangs in: called at one place of an object until they are removed."""

from collections.abc import Callable
from typing import Any


class Hook:
    """A function in the tuple `owner.place`, until `remove()` or the end of a `with` block."""

    def __init__(self, owner: Any, place: str, function: Callable):
        if not callable(function):
            raise TypeError(f"a hook is a function, but this one is a {type(function).__name__}")
        self._owner, self._place, self._function = owner, place, function
        setattr(owner, place, (*getattr(owner, place), function))

    def remove(self) -> None:
        """Have it called no more; a second time does nothing."""
        kept = list(getattr(self._owner, self._place))
        if self._function in kept:
            kept.remove(self._function)
        setattr(self._owner, self._place, tuple(kept))

    def __enter__(self) -> "Hook":
        return self

    def __exit__(self, *exception) -> None:
        self.remove()
