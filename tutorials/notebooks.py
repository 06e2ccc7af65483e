"""Notebooks of the lessons: python -m minires.tutorials.notebooks [NAME ...]

A lesson's source is its .py file (jupytext's percent format). This command executes it from top to
bottom in a fresh kernel and writes the .ipynb file beside it, with its outputs. `read` gives the
same notebook without outputs, for tests that compare the two.
"""

import argparse
import re
import time
from pathlib import Path

HOME = Path(__file__).resolve().parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def lessons() -> list[Path]:
    """The sources of all lessons, in order."""
    return sorted(HOME.glob("[0-9][0-9]_*.py"))


def read(source: Path):
    """The notebook of a lesson's source, not executed, with the same cell names each time."""
    import jupytext

    book = jupytext.read(source)
    book.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for i, cell in enumerate(book.cells):
        cell.id, cell.metadata = f"{source.stem}-{i:03d}", {}
    return book


def execute(source: Path):
    """The notebook of a lesson with its outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell fails.
    """
    from nbclient import NotebookClient

    place = {"metadata": {"path": str(HOME)}}
    while True:
        book = read(source)
        NotebookClient(book, timeout=600, resources=place).execute()
        if not any(_tells_of_compiling(cell) for cell in book.cells):
            break
    for cell in book.cells:
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            _without_colors(output)
    book.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return book


def _tells_of_compiling(cell) -> bool:
    """Whether a cell has compiled kernels for this machine, which happens once and is told."""
    texts = (output.get("text", "") for output in cell.get("outputs", ()))
    return any("compiling the CPU kernels" in text for text in texts)


def _without_colors(output) -> None:
    """Take a terminal's colours out of printed text."""
    if "text" in output:
        output["text"] = re.sub(r"\x1b\[[0-9;]*m", "", output["text"])


def write(source: Path) -> float:
    """Execute a lesson and write its notebook -> how many seconds that took."""
    import nbformat

    began = time.perf_counter()
    book = execute(source)
    nbformat.write(book, source.with_suffix(".ipynb"))
    return time.perf_counter() - began


def main() -> None:
    """Write the notebooks of all lessons, or of those that are named."""
    parser = argparse.ArgumentParser(description="make the .ipynb files of the lessons")
    parser.add_argument("names", nargs="*", help="beginnings of file names, such as 03")
    names = parser.parse_args().names
    for source in lessons():
        if not names or source.name.startswith(tuple(names)):
            print(f"{source.stem} ... {write(source):.1f} s", flush=True)


if __name__ == "__main__":
    main()
