"""What the process that runs a watched kernel is told, and what it answers."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minires.cuda.checking.report import Fault

ARRAY, SHARED_ARRAY, DYNAMIC, OBJECT, MANAGED, PINNED, HOST_OBJECT = range(7)
"""Where memory lies: given to the kernel; shared, static or dynamic; __device__ or __constant__.

Whole programs also have memory that host and device reach, and variables of the host.
"""


ROOM = 4096
"""Bytes of room before each static array of a watched library."""


@dataclass(frozen=True)
class Memory:
    """Memory that a kernel can reach.

    `size` and `itemsize` (None if not known) are bytes. `place` is an array's number, or where the
    library has it. `is_empty`: nobody has written it before the launch. `freed` is the place in the
    code where a program has freed it.
    """

    name: str
    size: int
    itemsize: int | None
    space: int
    place: int
    is_empty: bool
    freed: int = 0

    def element(self, offset: int, size: int) -> str:
        """``x[12]``, the element at an offset."""
        return f"{self.name}[{offset // (self.itemsize or size or 1)}]"

    def extent(self, size: int) -> str:
        """How long it is, in words."""
        shared = self.space in (SHARED_ARRAY, DYNAMIC)
        where = " in shared memory" if shared else " in global memory" * (self.space == OBJECT)
        return f"{self.name} has {self.size // (self.itemsize or size or 1)} elements{where}"


@dataclass
class Run:
    """How the kernel is run: `preempt`, after one access in that number others go first."""

    seed: int = 0
    preempt: int = 0
    shadow: bool = False
    tally: bool = False


@dataclass
class Job:
    """A kernel and its launch; `values` holds a number's bytes, or None for an array."""

    library: str
    symbol: str
    grid: tuple
    block: tuple
    dynamic: int
    arrays: list
    values: list
    memory: list[Memory]
    objects: list
    runs: list
    seconds: int


@dataclass
class Outcome:
    """What came of a run; `stopped` is the emulator's message, `where` its place in the code."""

    events: list = field(default_factory=list)
    stopped: str = ""
    where: int = 0
    arrays: list = field(default_factory=list)
    written: dict = field(default_factory=dict)
    rows: list = field(default_factory=list)
    blocks: int = 0
    barriers: int = 0


@dataclass
class NumbaJob:
    """What is to be run; `empty` names the arrays that nobody has written yet."""

    file: str
    kernel: str | None
    grid: tuple
    block: tuple
    args: dict[str, Any]
    empty: set[str]
    shared: int
    seconds: float


@dataclass
class NumbaOutcome:
    """What came of it."""

    kernel: str = "?"
    faults: list[Fault] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    written: dict[str, np.ndarray] = field(default_factory=dict)
    blocks: int = 0
    barriers: int = 0
    remarks: list[str] = field(default_factory=list)
    refused: str = ""
