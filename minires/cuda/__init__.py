"""CUDA C++ kernels: one loader, two ends. On a GPU through CuPy, on the CPU through the emulator.

>>> from minires import cuda
>>> kernels = cuda.Module(Path(__file__).parent / "cuda.cu", ["forward<float>", "forward<double>"])
>>> kernels.launch("forward<float>", (blocks,), (256,), dict(x=x, y=y, n=x.size))

Arguments are given by name; their order is the kernel's business. Python numbers become what the
parameters are in C++, if they fit. A parameter that is marked OPTIONAL in the .cu file may be None,
a null pointer; an array that the kernel needs cannot be forgotten.

Which end runs a launch follows from its arrays: NumPy arrays are the emulator's, CuPy arrays a
GPU's. Every launch is checked against the kernel's signature first, on both ends alike.

`include/minires.cuh` is what kernels include: what differs between the two ends, under one name.

See docs/decisions/cuda.md, "Launch by name".
"""

from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minires.cuda import host
from minires.cuda.checking import Empty, check
from minires.cuda.host import Counts, HostModule, count
from minires.cuda.signature import (
    DTYPES,
    MOST_DYNAMIC_SHARED,
    LaunchError,
    Signature,
    parse,
    read_source,
)
from minires.hints import asked_in
from minires.threads import Choice

__all__ = [
    "Counts",
    "Empty",
    "Launch",
    "LaunchError",
    "Module",
    "check",
    "count",
    "element_type",
    "most_shared",
    "set_precision",
    "storage",
    "tensor_cores",
    "watch",
]

PRECISIONS = ("auto", "float32", "tf32", "bf16", "fp16")
HALF = {"bf16": "bfloat16", "fp16": "float16"}
"""Precisions that keep images and their gradients in half the memory, and their dtypes."""

_precision = Choice("precision", "auto")


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel, as it was asked for.

    Attributes
    ----------
    module : Module
    instance : str
    grid, block : tuple of ints
    arguments : dict
        Arrays, None for a null pointer, and NumPy scalars of the parameters' C types, by name, in
        the order in which the kernel declares them.
    dynamic_shared : int
    traffic : (int, int) or None
        Bytes read and bytes written, where the launcher states them.
    """

    module: "Module"
    instance: str
    grid: tuple
    block: tuple
    arguments: dict[str, Any]
    dynamic_shared: int = 0
    traffic: tuple[int, int] | None = None

    def run(self) -> None:
        """Check it and execute it."""
        self.module.execute(self)

    def bytes_moved(self) -> tuple[int, int]:
        """Bytes that it must read and bytes that it must write, each byte once.

        What the launcher states; if it states nothing, all of the arrays that are const are read
        and all others are written.
        """
        if self.traffic is not None:
            return self.traffic
        read, written = self.arrays(written=False), self.arrays(written=True)
        return sum(array.nbytes for array in read), sum(array.nbytes for array in written)

    def arrays(self, written: bool | None = None) -> list:
        """Its arrays, each once; only those that are written to, or only those that are const."""
        chosen = {}  # an array that stands in two places is one array
        for parameter in self.module.signatures[self.instance].pointers:
            array = self.arguments[parameter.name]
            if array is not None and (written is None or parameter.is_written == written):
                chosen[id(array)] = array
        return list(chosen.values())


_watchers: ContextVar[tuple[Callable[[Launch], bool | None], ...]] = ContextVar(
    "launch_watchers", default=()
)


@contextmanager
def watch(watcher: Callable[[Launch], bool | None]):
    """Show this thread's launches to `watcher` first; one for which it returns True is left out."""
    before = _watchers.get()
    _watchers.set((*before, watcher))
    try:
        yield
    finally:
        _watchers.set(before)


class Module:
    """The kernels of a .cu file.

    Parameters
    ----------
    path : Path
        The file.
    instances : list of str
        Every kernel that is launched, by its name in C++; a template with its arguments, such as
        ``"forward<float, 16>"``. They are compiled together, at the first launch.

    Raises
    ------
    LaunchError
        If the file has no such kernel.
    """

    def __init__(self, path: Path, instances: list[str]):
        self.path = Path(path)
        self.name = f"{self.path.parent.name}/{self.path.name}"
        self.source = read_source(self.path)
        self.signatures: dict[str, Signature] = {
            instance: parse(self.source, instance, self.name) for instance in instances
        }
        self._hosts: dict[frozenset, HostModule] = {}

    def launch(
        self,
        instance: str,
        grid: tuple,
        block: tuple,
        arguments: dict[str, Any],
        dynamic_shared: int = 0,
        traffic: tuple[int, int] | None = None,
    ) -> None:
        """Run a kernel.

        Parameters
        ----------
        instance : str
            One of the module's instances.
        grid, block : tuple of 1 to 3 ints
            Blocks, and threads in a block, along x, y and z.
        arguments : dict
            By the names of the kernel's parameters, in any order. A pointer takes a C-contiguous
            array of its dtype, or None if it is marked OPTIONAL. A number takes a number: a
            parameter that is an int takes ints within its range, a bool True or False, a float or
            double any number that does not become infinite by it.
        dynamic_shared : int
            Bytes of dynamic shared memory.
        traffic : (int, int), optional
            Bytes that the kernel reads and writes, each byte once. If not given: it reads all of
            its arrays that are const and writes all that are not.

        Raises
        ------
        LaunchError
            Before the launch, if it would go wrong.
        minires.cuda.host.KernelError
            From the emulator, if the kernel itself does.
        """
        if instance not in self.signatures:
            raise LaunchError(
                f"{self.name} was loaded without {instance}; it has {', '.join(self.signatures)}"
            )
        signature = self.signatures[instance]
        arguments = signature.bind(arguments)
        signature.check_shape(grid, block, dynamic_shared)
        launch = Launch(self, instance, grid, block, arguments, dynamic_shared, traffic)
        if not any([watcher(launch) for watcher in _watchers.get()]):
            launch.run()

    def execute(self, launch: Launch) -> None:
        """Run a launch on the end whose arrays it was given."""
        end, arguments = self.prepare(launch), tuple(launch.arguments.values())
        end.launch(launch.instance, launch.grid, launch.block, arguments, launch.dynamic_shared)

    def prepare(self, launch: Launch):
        """Load a launch's kernel and check its block -> the end that is to run it."""
        instance, signature = launch.instance, self.signatures[launch.instance]
        on_host = {isinstance(array, np.ndarray) for array in launch.arrays()}
        if len(on_host) > 1:
            raise LaunchError(
                f"kernel {instance} of {self.name}: its arrays are NumPy arrays and CuPy arrays "
                f"mixed"
            )
        end = self._device if on_host == {False} else self._host()
        signature.check_threads(launch.block, end.most_threads(instance))
        return end

    def _host(self) -> HostModule:
        modes = frozenset(host.modes())
        if modes not in self._hosts:
            self._hosts[modes] = HostModule(self.name, self.source, self.signatures)
        return self._hosts[modes]

    @cached_property
    def _device(self):
        from minires.cuda.device import DeviceModule

        return DeviceModule(self.name, self.source, self.signatures)


def element_type(array) -> str:
    """The C type of an array's elements, for the name of a template's instance."""
    return ELEMENT_TYPES[array.dtype.name]


ELEMENT_TYPES = {
    "float32": "float",
    "float64": "double",
    "float16": "half16",
    "bfloat16": "bfloat16",
}


NUMBERS = {
    stored: "double" if stored == "double" else "float"
    for stored in ELEMENT_TYPES.values()
    if stored in DTYPES
}
"""C type of elements in memory -> that of the numbers which kernels calculate with."""


def most_shared(array) -> int:
    """Bytes of shared memory that a block can have where this array lies."""
    if isinstance(array, np.ndarray):
        return MOST_DYNAMIC_SHARED
    return array.device.attributes["MaxSharedMemoryPerBlockOptin"]


def set_precision(name: str) -> str:
    """How float32 matrix products and convolutions multiply.

    Parameters
    ----------
    name : str
        ``"float32"``: factors as they are. ``"tf32"``: factors rounded to 10 bits of mantissa, on
        tensor cores, sums in float32. ``"auto"``: tf32 on a GPU that can (compute capability 8.0),
        float32 on the emulator. ``"bf16"``, ``"fp16"``: as auto, with images and their gradients in
        half the memory (`storage`).

    Returns
    -------
    str
        What it was before.
    """
    if name not in PRECISIONS:
        raise ValueError(f"precision is {', '.join(PRECISIONS)}, but not {name!r}")
    if name == "bf16" and "bfloat16" not in DTYPES:
        raise ValueError("precision bf16 needs the package ml_dtypes: pip install ml_dtypes")
    before = _precision.get()
    _precision.set(name)
    return before


def storage() -> np.dtype:
    """The dtype in which images and their gradients lie in memory: float32, or as `HALF` says."""
    return DTYPES[ELEMENT_TYPES[HALF.get(_precision.get(), "float32")]]


def tensor_cores(array) -> bool:
    """Whether products of arrays like this one go through tensor cores."""
    precision = _precision.get()
    if array.dtype == np.float64 or precision == "float32":
        return False
    able = isinstance(array, np.ndarray) or int(array.device.compute_capability) >= 80
    if precision == "tf32" and not able:
        raise LaunchError(
            f"precision tf32 needs a GPU of compute capability 8.0, but this one has "
            f"{int(array.device.compute_capability) / 10}; use set_precision('float32')"
        )
    return precision == "tf32" or (able and not isinstance(array, np.ndarray))


__getattr__ = asked_in("cuda")
