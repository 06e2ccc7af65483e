"""Fetching an archive once, and unpacking it: resumable, checked, and placed whole or not at all.

Whatever happens (a dropped line, Ctrl-C, two processes at once), a finished name never holds half a
file: bytes gather in `<name>.part` until their checksum is right, archives unpack in a temporary
folder, and one rename at the end puts the result in place.
"""

import contextlib
import gzip
import hashlib
import http.client
import os
import sys
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from minires.data.dataset import DataError
from minires.progress import bar

CHUNK = 1 << 18  # bytes per read: small enough for a lively bar, large enough to cost nothing

MOST_BYTES, MOST_MEMBERS, MOST_DEPTH = 512 << 20, 10_000, 16
"""What an archive may unpack to: CIFAR's hold 8 files, 186 MB, in one folder."""


def fetch(
    url: str, destination: str | Path, md5: str, timeout: float = 10.0, progress: bool = True
) -> Path:
    """Download `url` to `destination` once; later calls find it there and stay offline.

    Runs on Linux and macOS (it locks the `.part` file, so that two processes take turns).

    Parameters
    ----------
    url : str
        An ``http://`` or ``https://`` address.
    destination : str or Path
        The file to make; its folder is made too. ``<destination>.part`` holds what has come so
        far and is resumed by the next call.
    md5 : str
        The checksum the whole file must have, as 32 hex digits. It is checked at every call.
    timeout : float
        Seconds allowed for connecting, and for each silence while reading.
    progress : bool
        Whether to draw a progress bar on stderr.

    Returns
    -------
    Path
        `destination`.

    Raises
    ------
    DataError
        The network or the disk failed (what came is kept), the checksum of what came is wrong (it
        is thrown away), or the checksum of a file that was there is wrong (it is left alone).
    """
    destination = Path(destination).expanduser()
    part = destination.with_name(destination.name + ".part")
    by_hand = f"download {url} by other means and place it as {destination}"
    if destination.exists():
        if (found := _md5(destination)) != md5:
            raise DataError(
                f"fetch: {destination} has md5 {found}, expected {md5}; it is damaged or another "
                f"file. Delete it to have it downloaded anew, or {by_hand}"
            )
        return destination
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            if destination.exists():  # another process finished while this one waited
                part.unlink(missing_ok=True)
                return destination
            _complete(url, file, destination.name, timeout, progress)
            file.flush()
            if (found := _md5(part)) != md5:
                file.truncate(0)
                raise DataError(
                    f"fetch: what came from {url} has md5 {found}, expected {md5}; it was thrown "
                    f"away. Try again; if it happens again, {by_hand}"
                )
            part.rename(destination)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"fetch: downloading {url} failed ({error}). Try again (what has come is kept and need "
            f"not come again), or {by_hand}"
        ) from error
    return destination


def extract(archive: str | Path, destination: str | Path) -> Path:
    """Unpack the folder ``destination.name`` of a ``.tar.gz`` as `destination`.

    Parameters
    ----------
    archive : str or Path
        A gzipped tar that holds the folder ``destination.name`` at its top. Of its members, plain
        files and folders are unpacked; a link or device is none that a data set needs.
    destination : str or Path
        The folder to make. If it exists already (another process was faster), it is left as it is.

    Returns
    -------
    Path
        `destination`.

    Raises
    ------
    DataError
        The archive is damaged, names a file outside itself, or lacks the folder. Nothing is left
        behind.
    """
    archive, destination = Path(archive).expanduser(), Path(destination).expanduser()
    try:
        with (
            gzip.open(archive) as unzipped,
            tarfile.open(fileobj=_Limited(unzipped), mode="r|") as tar,  # type: ignore[call-overload]
            TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}.") as folder,
        ):
            tar.extractall(folder, _plain(archive, tar), filter="data")  # refuses paths outside
            while unzipped.read(CHUNK):
                pass  # the checksum of the gzip stands after the end of the tar
            unpacked = Path(folder, destination.name)
            if not unpacked.is_dir():
                raise DataError(f"extract: {archive} holds no folder {destination.name!r}")
            try:
                unpacked.rename(destination)
            except OSError:
                if not destination.is_dir():
                    raise
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(
            f"extract: cannot unpack {archive} in {destination.parent} ({error}). If it is "
            "truncated or damaged, delete it and get it anew"
        ) from error
    return destination


class _Limited:
    """What comes out of an archive, up to MOST bytes."""

    def __init__(self, file):
        self.file, self.left = file, MOST_BYTES

    def read(self, size: int) -> bytes:
        content = self.file.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")
        return content


def _plain(archive: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The files and folders of an archive, as many and as deep as a data set has."""
    total = 0
    for number, member in enumerate(tar):
        total += member.size if member.isfile() else 0
        deep = member.name.count("/") > MOST_DEPTH
        if number >= MOST_MEMBERS or total > MOST_BYTES or deep:
            raise tarfile.ReadError(
                f"it holds more than {MOST_MEMBERS} files, {MOST_BYTES >> 20} MiB, or "
                f"{MOST_DEPTH} folders in each other; no data set does"
            )
        if member.isfile() or member.isdir():
            yield member


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """`part` opened for appending, held by this process alone."""
    try:
        import fcntl
    except ImportError as error:
        raise OSError("downloading needs file locks, which Windows does not have") from error
    while True:
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"waiting for another process that downloads {part}", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            if not part.exists() or not os.path.samestat(part.stat(), os.fstat(file.fileno())):
                continue  # the other one has finished, or removed it
            try:
                yield file
            finally:
                if os.fstat(file.fileno()).st_size == 0:  # nothing has come that could be resumed
                    part.unlink(missing_ok=True)
            return


def _complete(url: str, file: BinaryIO, name: str, timeout: float, progress: bool) -> None:
    """Append to `file` what it lacks of `url`; starts over where the server cannot resume."""
    have = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "minires", "Range": f"bytes={have}-"}
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        file.truncate(0)  # as long as the file at `url` or longer: no beginning of it
        return _complete(url, file, name, timeout, progress)
    with response:
        if response.status != 206:  # the server sends the whole file, whatever was asked
            file.truncate(0)
            have = 0
        total = None if response.length is None else have + response.length
        with contextlib.ExitStack() as stack:
            shown = stack.enter_context(bar(total, "B", name, have, True)) if progress else None
            while chunk := response.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                if shown is not None:
                    shown.update(len(chunk))
    if total is not None and have < total:
        raise ConnectionError(f"the connection closed before all {total:,} bytes had come")
