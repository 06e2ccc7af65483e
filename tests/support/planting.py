"""Plants bugs into copies of kernels, to see that the tests can fail."""

import sys
import types
from pathlib import Path

from operation_checks import check_backward, check_forward

from minires import kernels


def plant(
    op: str, right: str, wrong: str, monkeypatch, path: Path | None = None, file: str = "reference"
) -> None:
    """Have `kernels.load` find a copy of a kernel in which `right` is replaced by `wrong`."""
    mutant = mutate(op, right, wrong, monkeypatch, path, file)
    original = kernels.load

    def load(o: str, f: str, *package: str):
        return mutant if (o, f) == (op, file) else original(o, f, *package)

    monkeypatch.setattr(kernels, "load", load)


def mutate(op: str, right: str, wrong: str, monkeypatch, path: Path | None, file: str):
    """A copy of kernels/OP/FILE.py in which `right` is replaced by `wrong`, as a module."""
    source = (Path(kernels.__file__).parent / op / f"{file}.py").read_text()
    assert right in source, f"kernels/{op}/{file}.py no longer contains {right!r}"
    mutant = types.ModuleType(f"{op}_mutant")
    monkeypatch.setitem(sys.modules, mutant.__name__, mutant)
    source = source.replace(right, wrong)
    if path is not None:  # Numba keeps its machine code by the file
        path.write_text(source)
    exec(compile(source, path or f"{op} with a bug", "exec"), mutant.__dict__)
    return mutant


def fails(case) -> bool:
    """Whether a case's checks, on the current backend, find it wrong."""
    try:
        if case.definition is not None:
            check_forward(case)
        check_backward(case)
    except (AssertionError, ValueError, IndexError):
        return True
    return False
