"""Ladders: one operation written several times, to see what makes a kernel fast.

A ladder stands in `kernels/OP/ladder/`. Its `__init__.py` says what is computed and tells the
story; `v1_naive.cu`, `v2_coalesced.cu` ... are the rungs in CUDA C++, `cuda.py` launches them;
beside them the first rungs once more in Numba-CUDA, `v1_naive.py` ... with a function `run`.

>>> for rung in ladders.rungs("matmul"):
...     c = rung.run(a, b)

See docs/decisions/cuda.md, "Ladders beside kernels".
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

OPERATIONS = {"matmul": "linear", "conv2d": "conv2d", "batch_norm": "batch_norm"}
"""Ladder -> the operation in whose folder it stands."""


@dataclass(frozen=True)
class Rung:
    """One version: the file it stands in, and `run(*arrays)`, which computes with it."""

    path: Path
    run: Callable

    @property
    def language(self) -> str:
        """CUDA C++ or Numba-CUDA."""
        return "CUDA C++" if self.path.suffix == ".cu" else "Numba-CUDA"

    @property
    def title(self) -> str:
        """Its number and what is new in it."""
        return self.path.stem.replace("_", " ")


def load(ladder: str) -> ModuleType:
    """The ladder's package, with `inputs`, `reference`, `flops`, `least_bytes`, SHAPES ...

    Raises
    ------
    LookupError
        If there is no such ladder.
    """
    if ladder not in OPERATIONS:
        raise LookupError(f"no ladder is named {ladder!r}; there are {', '.join(OPERATIONS)}")
    return importlib.import_module(f"{__package__}.{OPERATIONS[ladder]}.ladder")


def rungs(ladder: str) -> list[Rung]:
    """All rungs, lowest first."""
    package = load(ladder)
    paths = sorted(Path(package.__file__).parent.glob("v[0-9]_*"))
    return [Rung(path, _runner(package.__name__, path)) for path in paths]


def _runner(package: str, path: Path) -> Callable:
    def run(*arrays):
        if path.suffix == ".cu":
            return importlib.import_module(f"{package}.cuda").run(path.stem, *arrays)
        return importlib.import_module(f"{package}.{path.stem}").run(*arrays)

    return run
