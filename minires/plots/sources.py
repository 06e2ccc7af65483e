"""The engine's own code, shown where a lesson speaks of it: included by name, never pasted."""

import inspect
from pathlib import Path
from typing import Any

from minires.rooms import HOUSE, ROOMS

LANGUAGES = {".cu": "cuda", ".cuh": "cuda", ".h": "cpp", ".md": "markdown"}


class Source:
    """The code of a function, class, module or file; a notebook shows it with colours.

    Attributes
    ----------
    text : str
    place : str
        File and first line, ``kernels/conv2d/reference.py:12``.
    language : str
    """

    def __init__(self, text: str, place: str, language: str = "python"):
        self.text, self.place, self.language = text, place, language

    def __repr__(self) -> str:
        mark = "#" if self.language == "python" else "//"
        return f"{mark} {self.place}\n{self.text}"

    def _repr_markdown_(self) -> str:
        return f"`{self.place}`\n\n```{self.language}\n{self.text}\n```"


def source(what: Any, start: str = "", lines: int = 0) -> Source:
    """The code of something of the engine.

    Parameters
    ----------
    what : function, class, module or Path
        A Path is that of a file, such as a kernel's .cu file.
    start : str, optional
        Begin with the first line that contains this text.
    lines : int, optional
        Show as many lines, else all.

    Raises
    ------
    ValueError
        No line contains `start`.
    """
    if isinstance(what, Path):
        text, first, file = what.read_text("utf-8").splitlines(keepends=True), 1, what
    else:
        what = inspect.unwrap(what) if callable(what) else what
        what = getattr(what, "py_func", what)  # behind a compiled Numba function
        text, first = inspect.getsourcelines(what)
        first, file = max(first, 1), Path(inspect.getsourcefile(what) or "?")
    if start:
        hits = [i for i, line in enumerate(text) if start in line]
        if not hits:
            raise ValueError(f"source: no line of {what!r} contains {start!r}")
        text, first = text[hits[0] :], first + hits[0]
    shown = text[:lines] if lines else text
    indent = min((len(t) - len(t.lstrip()) for t in shown if t.strip()), default=0)
    body = "".join(t[indent:] if t.strip() else "\n" for t in shown).rstrip()
    return Source(body, f"{_place(file)}:{first}", LANGUAGES.get(file.suffix, "python"))


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
