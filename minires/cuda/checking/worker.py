"""The process in which a watched kernel runs: python -m minires.cuda.checking.worker FOLDER.

It reads FOLDER/job.pickle, a `Job`. For each of the job's runs it writes an `Outcome` to
FOLDER/result-0.pickle, ... as soon as the run has ended: a kernel that takes this process with it
leaves what was found before.
"""

import ctypes
import mmap
import os
import pickle
import sys
from pathlib import Path

import numpy as np

from minires.cuda.checking.job import ARRAY, OBJECT, ROOM, Job, Outcome, Run
from minires.cuda.checking.records import Event, Region, Row, Setup, plain

FAR_APART, SOMEWHERE = 1 << 36, 0x2000_0000_0000
"""Arrays lie this far from each other: a wrong index does not reach the next one."""


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *([ctypes.c_int] * 3), ctypes.c_long]


def _placed(array: np.ndarray, index: int) -> np.ndarray:
    """A copy of an array, far from all others."""
    size = max(array.nbytes, 1)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    rights = mmap.PROT_READ | mmap.PROT_WRITE
    place = _libc.mmap(SOMEWHERE + index * FAR_APART, size, rights, flags, -1, 0)
    memory = memoryview((ctypes.c_char * size).from_address(place))
    copy = np.frombuffer(memory, array.dtype, array.size).reshape(array.shape)
    copy[...] = array
    return copy


def _data(job: Job) -> tuple[int, int]:
    """Where the library's own variables begin and end; between them nothing else lies."""
    objects = [m for m in job.memory if m.space == OBJECT]
    if not objects:
        return 0, 0
    return min(m.place for m in objects) - ROOM, max(m.place + m.size for m in objects) + ROOM


_at_first: dict[int, bytes] = {}
"""What the library's own variables held when it was loaded, by their place in `Job.memory`."""


def _as_at_first(job: Job, library: ctypes.CDLL) -> None:
    """Give __device__ variables their first values again, which the run before may have changed."""
    for i, m in enumerate(job.memory):
        if m.space != OBJECT:
            continue
        address = library.minires_watch_address(ctypes.c_uint64(i))
        now = ctypes.string_at(address, m.size)
        if now != _at_first.setdefault(i, now):  # what is constant cannot have changed
            ctypes.memmove(address, _at_first[i], m.size)


def execute(job: Job, run: Run) -> Outcome:
    """Run the kernel once, on fresh copies of its arrays."""
    library = ctypes.CDLL(job.library)
    arrays = [_placed(array, i) for i, array in enumerate(job.arrays)]
    address = [array.__array_interface__["data"][0] for array in arrays]
    regions = (Region * len(job.memory))()
    for i, m in enumerate(job.memory):
        first = address[m.place] if m.space == ARRAY else m.place
        regions[i] = Region(first, m.size, m.space, m.is_empty)
    setup = Setup(
        regions, len(job.memory), run.seed, run.preempt, run.shadow, run.tally, job.seconds
    )
    library.minires_watch_setup(ctypes.byref(setup), *map(ctypes.c_uint64, _data(job)))
    library.minires_watch_address.restype = ctypes.c_void_p
    _as_at_first(job, library)
    for region, data in job.objects:  # __constant__ and __device__ variables that were given
        ctypes.memmove(library.minires_watch_address(ctypes.c_uint64(region)), data, len(data))
    places = iter(address)
    packed = b"".join(
        v if v is not None else next(places).to_bytes(8, "little") for v in job.values
    )
    values = ctypes.create_string_buffer(packed or b"\0")
    first = ctypes.addressof(values)
    pointers = (ctypes.c_void_p * max(len(job.values), 1))(
        *(first + 8 * i for i in range(len(job.values)))
    )
    message = ctypes.create_string_buffer(1024)
    launch = getattr(library, job.symbol)
    launch.restype = ctypes.c_void_p
    where = launch(
        (ctypes.c_uint * 3)(*job.grid),
        (ctypes.c_uint * 3)(*job.block),
        ctypes.c_size_t(job.dynamic),
        pointers,
        None,
        ctypes.c_uint(0),
        ctypes.c_uint(1),
        ctypes.c_bool(False),
        message,
        ctypes.c_size_t(len(message)),
        None,
    )
    ctypes.CDLL(None).fflush(None)
    outcome = Outcome(
        stopped=message.value.decode(), where=where or 0, arrays=[a.copy() for a in arrays]
    )
    events, rows = ctypes.POINTER(Event)(), ctypes.POINTER(Row)()
    blocks, barriers = ctypes.c_uint64(), ctypes.c_uint64()
    count = library.minires_watch_events(ctypes.byref(events))
    outcome.events = [plain(events[i]) for i in range(count)]
    count = library.minires_watch_rows(
        ctypes.byref(rows), ctypes.byref(blocks), ctypes.byref(barriers)
    )
    outcome.rows = [plain(rows[i]) for i in range(count)]
    outcome.blocks, outcome.barriers = blocks.value, barriers.value
    for i, array in enumerate(arrays if run.shadow else ()):
        flags = np.zeros(max(array.nbytes, 1), np.uint8)
        if library.minires_watch_written(ctypes.c_uint64(i), flags.ctypes.data_as(ctypes.c_void_p)):
            outcome.written[i] = flags[: array.nbytes].reshape(-1, array.itemsize).any(1)
    return outcome


def main(folder: Path) -> None:
    """Execute the job's runs, one after the other, until one is stopped."""
    job = pickle.loads((folder / "job.pickle").read_bytes())
    for i, run in enumerate(job.runs):
        outcome = execute(job, run)
        (folder / "part").write_bytes(pickle.dumps(outcome))
        (folder / "part").rename(folder / f"result-{i}.pickle")
        if outcome.stopped:
            break
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # it prints once


if __name__ == "__main__":
    main(Path(sys.argv[1]))
