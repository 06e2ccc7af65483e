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
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from minires.data.dataset import DataError

CHUNK = 1 << 18  # bytes per read: small enough for a lively bar, large enough to cost nothing


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
        The checksum the whole file must have, as 32 hex digits. It guards against damage.
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
        The network failed (what came is kept), or the checksum is wrong (what came is removed).
    """
    destination = Path(destination)
    if not url.startswith(("http://", "https://")):
        raise DataError(f"fetch: expected an http:// or https:// address, got {url!r}")
    if destination.exists():
        return _verified(destination, md5)
    part = destination.with_name(destination.name + ".part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            if destination.exists():  # another process finished while this one waited
                return _verified(destination, md5)
            if _md5(part) != md5:
                _complete(url, file, destination, timeout, progress)
            file.flush()
            os.fsync(file.fileno())
            if (found := _md5(part)) != md5:
                part.unlink()
                raise DataError(
                    f"fetch: what came from {url} has md5 {found}, expected {md5}; it was removed. "
                    f"Try again; if it happens again, {_by_hand(url, destination)}"
                )
            os.replace(part, destination)
    except OSError as error:  # network errors are DataErrors by now: this is the disk
        raise DataError(f"fetch: cannot write {destination}: {error}") from error
    return destination


def extract(archive: str | Path, destination: str | Path, max_bytes: int = 1 << 30) -> Path:
    """Unpack the folder ``destination.name`` of a ``.tar.gz`` as `destination`.

    Parameters
    ----------
    archive : str or Path
        A gzipped tar that holds the folder ``destination.name`` at its top.
    destination : str or Path
        The folder to make. If it exists already (another process was faster), it is left as it is.
    max_bytes : int
        Refuse to write more than this, whatever the archive claims.

    Returns
    -------
    Path
        `destination`.

    Raises
    ------
    DataError
        The archive is damaged, holds something other than plain files and folders inside itself,
        is too large, or lacks the folder. Nothing is left behind.
    """
    archive, destination = Path(archive), Path(destination)
    if destination.is_dir():
        return destination
    try:
        with tempfile.TemporaryDirectory(
            dir=destination.parent, prefix=f".{destination.name}."
        ) as scratch:
            _unpack(archive, scratch, max_bytes)
            unpacked = Path(scratch, destination.name)
            if not unpacked.is_dir():
                raise DataError(f"extract: {archive} holds no folder {destination.name!r}")
            try:
                unpacked.rename(destination)
            except OSError:
                if not destination.is_dir():
                    raise
    except DataError:
        raise
    except (
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        ValueError,
        OverflowError,
    ) as error:
        raise DataError(
            f"extract: {archive} is truncated, damaged or no .tar.gz ({error}); "
            "delete it and get it anew"
        ) from error
    except OSError as error:
        raise DataError(
            f"extract: cannot unpack {archive} in {destination.parent}: {error}"
        ) from error
    return destination


class _SoberHeader(tarfile.TarInfo):
    """A tar header that cannot make tarfile hold a further header of gigabytes in memory."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        header = super().frombuf(buf, encoding, errors)
        plain = header.isfile() or header.isdir()
        if header.size < 0 or (not plain and header.size > 1 << 20):
            raise tarfile.ReadError(f"a header claims {header.size:,} bytes")
        return header


def _unpack(archive: Path, folder: str, max_bytes: int) -> None:
    total = 0
    with tarfile.open(archive, "r:gz", tarinfo=_SoberHeader) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts:
                raise DataError(f"extract: {archive} is refused: {member.name!r} points outside it")
            if not (member.isfile() or member.isdir()):
                raise DataError(
                    f"extract: {archive} is refused: {member.name!r} is a link or a device, "
                    "and only plain files and folders are unpacked"
                )
            total += member.size
            if member.size < 0 or total > max_bytes:
                raise DataError(
                    f"extract: {archive} is refused: it claims to hold over {max_bytes:,} bytes"
                )
            tar.extract(member, folder, filter="data")
        # tarfile stops at the end mark of the tar; the checksum of the gzip stands after it.
        while len(rest := tar.fileobj.read(CHUNK)) and total <= max_bytes:
            total += len(rest)


def _by_hand(url: str, destination: Path) -> str:
    return f"download {url} by other means and place it as {destination}"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _verified(path: Path, md5: str) -> Path:
    if (found := _md5(path)) != md5:
        raise DataError(
            f"fetch: {path} has md5 {found}, expected {md5}; delete it to have it downloaded anew"
        )
    return path


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """`part` opened for appending, held by this process alone."""
    import fcntl  # absent on Windows, where the readers still work

    while True:
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"waiting for another process that downloads {part}", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            # The last holder may have renamed or removed the very file this lock is on.
            if not (part.exists() and os.path.samestat(part.stat(), os.fstat(file.fileno()))):
                continue
            try:
                yield file
            finally:
                if not file.tell():  # nothing came: leave no empty file behind
                    part.unlink(missing_ok=True)
            return


def _complete(url: str, file: BinaryIO, destination: Path, timeout: float, progress: bool) -> None:
    """Append to `file` what it lacks of `url`; starts over where the server cannot resume."""
    have = file.seek(0, os.SEEK_END)

    def failed(why: object) -> DataError:
        return DataError(
            f"fetch: downloading {url} failed ({why}). Try again (the {file.tell():,} bytes that "
            f"came are kept and need not come again), or {_by_hand(url, destination)}"
        )

    try:
        try:
            response = _open(url, have, timeout)
        except urllib.error.HTTPError as error:
            if error.code != 416 or not have:
                raise
            response, have = _open(url, 0, timeout), 0  # our part is no beginning of this file
        content_range = response.headers.get("Content-Range", "")
        if response.status == 206 and not content_range.startswith(f"bytes {have}-"):
            response.close()
            response, have = _open(url, 0, timeout), 0
        elif response.status != 206:
            have = 0  # the server sends the whole file, whatever was asked
    except (OSError, http.client.HTTPException) as error:
        raise failed(error) from error

    file.seek(have)
    file.truncate()
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdecimal() else None
    with response, _bar(destination.name, have, total, progress) as advance:
        while True:
            try:
                chunk = response.read(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise failed(error) from error
            if not chunk:
                break
            file.write(chunk)
            advance(len(chunk))
    if total is not None and file.tell() < total:
        raise failed(f"the connection closed before all {total:,} bytes had come")


def _open(url: str, start: int, timeout: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": "minires"} | ({"Range": f"bytes={start}-"} if start else {})
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)


@contextlib.contextmanager
def _bar(name: str, done: int, total: int | None, progress: bool) -> Iterator:
    """A function to call with the number of bytes that came."""
    from tqdm import tqdm

    with tqdm(
        desc=name, initial=done, total=total, unit="B", unit_scale=True, disable=not progress
    ) as bar:
        yield bar.update
