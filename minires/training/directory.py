"""The directory of a run: one process at a time writes there, and every file is whole.

See docs/decisions/training.md, "One process in a directory".
"""

import contextlib
import errno
import fcntl
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from minires.training.errors import TrainingError

LOCK = ".lock"
PARTIAL = ".part"

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
NO_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""What file systems answer that cannot lock a file, or cannot sync a directory."""


class InUse(TrainingError):
    """A directory in which another process is at work; the message names the process."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a reader, or a crash, never sees half of it.

    The content is on the disk before the file has its name, and the name is on the disk before this
    returns: so it is whole after a power failure, too.

    Raises
    ------
    OSError
        If there is no room, or no permission; it names `path`, which is then as it was.
    """
    # The name is this call's own: another process may be writing the same file.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}")
    try:
        with open(partial, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_directory(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with contextlib.suppress(OSError):  # after os.replace there is none
            partial.unlink()


def sync_directory(directory: Path) -> None:
    """Bring the names of files in a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, on the disk."""
    missing = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_directory(place.parent)


def claim(base: str) -> str:
    """Make `base`, or `base`-2, `base`-3, ..., the first that is not there; returns which.

    Two processes never get the same: the one that makes a directory has it.
    """
    make_directory(Path(base).parent)
    name, number = base, 1
    while True:
        try:
            os.mkdir(name)
            sync_directory(Path(name).parent)
            return name
        except FileExistsError:
            number += 1
            name = f"{base}-{number}"


class Lock:
    """The lock of a directory, as `locked` takes it."""

    def __init__(self, directory: Path, name: str):
        self._path = directory / (f".{name}{LOCK}" if name else LOCK)
        self._descriptor = _acquire(self._path)
        self._directory = directory.stat()

    def require(self) -> None:
        """Take the lock again if its file was deleted.

        Raises
        ------
        InUse
            If another process has it now, or the directory is not the same any more.
        OSError
            If the directory is gone.
        """
        if not _is(self._path, self._descriptor):
            os.close(self._descriptor)
            self._descriptor = -1
            self._descriptor = _acquire(self._path)
        if not os.path.samestat(self._path.parent.stat(), self._directory):
            raise InUse(
                f"{self._path.parent} was deleted and made anew while this process was at work; "
                f"what is there now is left alone"
            )

    def release(self) -> None:
        """Give the lock back; its file goes with it."""
        if self._descriptor == -1:  # lost, see `require`
            return
        # Removed while it is held: who has opened it meanwhile sees that it is gone, see _acquire.
        with contextlib.suppress(OSError):
            if _is(self._path, self._descriptor):
                self._path.unlink()
        os.close(self._descriptor)


@contextlib.contextmanager
def locked(directory: Path, name: str = "") -> Iterator[Lock]:
    """Inside, no other process is in here with the same `directory` and `name`.

    The lock is released by the end of the process, however it comes. What a killed process has left
    half written is removed: with `name` only what belongs to the files of this name.

    Raises
    ------
    InUse
        If another process has the lock.
    OSError
        If the directory is none, or cannot be written to.
    """
    lock = Lock(directory, name)
    try:
        for stale in directory.glob(f".{name}.*{PARTIAL}" if name else f".*{PARTIAL}"):
            stale.unlink(missing_ok=True)
        yield lock
    finally:
        lock.release()


def refuse_if_in_use(directory: Path) -> None:
    """Raise InUse if another process has the lock of a directory."""
    with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        descriptor = os.open(directory / LOCK, os.O_RDWR)
        try:
            _lock(descriptor, directory / LOCK)
        finally:
            os.close(descriptor)


def _acquire(lock: Path) -> int:
    """A descriptor of the file `lock`, locked."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, lock)
            if _is(lock, descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder has just removed it: lock the next one


def _lock(descriptor: int, lock: Path) -> None:
    for _ in range(5):  # another process may just be looking, see refuse_if_in_use
        with contextlib.suppress(BlockingIOError):
            return _try_to_lock(descriptor, lock)
        time.sleep(0.02)
    raise InUse(
        f"{lock.parent} is in use by {_holder(lock)}, and two would mix their results; wait for "
        f"it, stop it, or choose another directory with --out"
    )


def _try_to_lock(descriptor: int, lock: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        print(
            f"{lock.parent}: this file system has no locks ({error.strerror}); see to it that no "
            f"other process works there",
            file=sys.stderr,
        )


def _is(path: Path, descriptor: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(lock: Path) -> str:
    """The process that has a lock, in words."""
    with contextlib.suppress(OSError):  # it writes its number right after it has the lock
        number = lock.read_bytes()[:20].strip()
        if number.isdigit():
            own = int(number) == os.getpid()
            return "this very process" if own else f"process {int(number)}"
    return "another process"
