"""The corpus `tests/cuda/corpus`: small CUDA kernels and whole programs, right and faulty ones.

The kernels are written for it. The lines at a file's top that begin with ``//|`` say how it is run:

    //| grid=4, block=64, shared=256           the launch; a whole program has no such line
    //| x=random(256), y=empty(256), n=256     the arguments, in Python
    //| expect y=2 * x                         what must come out
    //| fault race: there is no __syncthreads  a fault's kind, and words of its sentence

A fault stands in the line that ends in ``// here``; where a race has two lines, the report may name
either first.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from minires.cuda import Empty

FOLDER = Path(__file__).parents[1] / "cuda" / "corpus"


def random(*shape: int) -> np.ndarray:
    """Numbers from 0 to 1, always the same."""
    return np.random.default_rng(0).random(shape).astype("f4")


def whole(most: int, *shape: int) -> np.ndarray:
    """Whole numbers below `most`, always the same."""
    return np.random.default_rng(0).integers(0, most, shape).astype("i4")


def zeros(*shape: int, dtype: str = "f4") -> np.ndarray:
    """Zeros."""
    return np.zeros(shape, dtype)


def empty(*shape: int, dtype: str = "f4") -> Empty:
    """Memory as cudaMalloc leaves it."""
    return Empty(shape, dtype)


NAMES = dict(np=np, random=random, whole=whole, zeros=zeros, empty=empty)


@dataclass(frozen=True)
class Entry:
    """One file: how it is run, what must come out, or which fault must be named."""

    path: Path

    def __str__(self) -> str:
        return self.path.stem

    @cached_property
    def source(self) -> str:
        """Its text."""
        return self.path.read_text()

    @cached_property
    def head(self) -> list[str]:
        """What its first lines say."""
        return re.findall(r"^//\| ?(.*)$", self.source, re.M)

    @cached_property
    def launch(self) -> dict:
        """Grid, block and dynamic shared memory; empty for a whole program."""
        first = self.head[0] if self.head else ""
        return eval(f"dict({first})", dict(NAMES)) if first.startswith("grid") else {}

    @cached_property
    def args(self) -> dict:
        """The kernel's arguments; those of a line may use those of the lines before."""
        given: dict = {}
        for line in self.head:
            if not line.startswith(("grid", "expect", "fault")):
                given.update(eval(f"dict({line})", {**NAMES, **given}))
        return given

    @cached_property
    def expect(self) -> dict:
        """What arrays must hold."""
        lines = [line.removeprefix("expect ") for line in self.head if line.startswith("expect")]
        return {
            k: v for line in lines for k, v in eval(f"dict({line})", {**NAMES, **self.args}).items()
        }

    @cached_property
    def fault(self) -> tuple[str, str] | None:
        """Kind and words."""
        for line in self.head:
            if line.startswith("fault "):
                kind, _, words = line.removeprefix("fault ").partition(": ")
                return kind, words
        return None

    @cached_property
    def line(self) -> int | None:
        """The line of the fault, if it has one."""
        lines = self.source.split("\n")
        return next((i for i, text in enumerate(lines, 1) if text.endswith("// here")), None)


CORPUS = [Entry(path) for path in sorted(FOLDER.glob("*.cu"))]
RIGHT = [entry for entry in CORPUS if entry.fault is None]
FAULTY = [entry for entry in CORPUS if entry.fault is not None]
SAMPLE = CORPUS[::5]
"""What the default run looks at."""
