"""The engine's own code, shown where a lesson speaks of it: included by name, never pasted."""

import inspect
from pathlib import Path
from typing import Any

from minires.rooms import HOUSE, ROOMS


class Source:
    """The code of a function, class or module; a notebook shows it with colours.

    Attributes
    ----------
    text : str
    place : str
        File and first line, ``kernels/conv2d/reference.py:12``.
    """

    def __init__(self, text: str, place: str):
        self.text, self.place = text, place

    def __repr__(self) -> str:
        return f"# {self.place}\n{self.text}"

    def _repr_markdown_(self) -> str:
        return f"`{self.place}`\n\n```python\n{self.text}\n```"


def source(what: Any, start: str = "", lines: int = 0) -> Source:
    """The code of something of the engine.

    Parameters
    ----------
    what : function, class or module
    start : str, optional
        Begin with the first line that contains this text.
    lines : int, optional
        Show as many lines, else all.

    Raises
    ------
    ValueError
        No line contains `start`.
    """
    what = inspect.unwrap(what) if callable(what) else what
    what = getattr(what, "py_func", what)  # behind a compiled Numba function
    text, first = inspect.getsourcelines(what)
    first = max(first, 1)
    if start:
        hits = [i for i, line in enumerate(text) if start in line]
        if not hits:
            raise ValueError(f"source: no line of {what!r} contains {start!r}")
        text, first = text[hits[0] :], first + hits[0]
    shown = text[:lines] if lines else text
    indent = min((len(t) - len(t.lstrip()) for t in shown if t.strip()), default=0)
    body = "".join(t[indent:] if t.strip() else "\n" for t in shown).rstrip()
    return Source(body, f"{_place(Path(inspect.getsourcefile(what) or '?'))}:{first}")


def _place(path: Path) -> str:
    """A file as the repository names it."""
    path = path.resolve()
    for base in (HOUSE, HOUSE.parent):
        for room in ROOMS:
            if path.is_relative_to(base / room):
                return f"{room}/{path.relative_to(base / room).as_posix()}"
    return (
        f"minires/{path.relative_to(HOUSE).as_posix()}" if path.is_relative_to(HOUSE) else path.name
    )
