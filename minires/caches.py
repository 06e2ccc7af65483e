"""What is compiled once and kept: machine code of Numba, libraries of the emulator."""

import os
import re
import shutil
from pathlib import Path

DIGEST = re.compile(r"[0-9a-f]{16}")
"""A folder of machine code is called by the hash of the sources that it was compiled from."""


def directory() -> Path:
    """The user's folder for minires: below $XDG_CACHE_HOME, or ~/.cache.

    Raises
    ------
    RuntimeError
        If there is no home directory.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minires"


def machine_code() -> Path:
    """Where folders of Numba's machine code lie: $NUMBA_CACHE_DIR, or `directory`."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    return Path(given) if given else directory()


def libraries() -> Path:
    """Where the emulator's compiled kernels lie."""
    return directory() / "emulator"


def found() -> dict[str, tuple[Path, int, int]]:
    """What -> where it lies, how many files, how many bytes."""
    sizes = {}
    for what, place, folders in _parts():
        files = [f for folder in folders for f in folder.rglob("*") if f.is_file()]
        sizes[what] = (place, len(files), sum(f.stat().st_size for f in files))
    return sizes


def clear() -> int:
    """Remove all of it, and nothing else; the next run compiles anew. Returns how many bytes."""
    total = sum(size for _, _, size in found().values())
    for _, _, folders in _parts():
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return total


def _parts() -> list[tuple[str, Path, list[Path]]]:
    place = machine_code()
    code = [p for p in place.glob("*") if p.is_dir() and DIGEST.fullmatch(p.name)]
    return [
        ("machine code of Numba", place, code),
        ("libraries of the emulator", libraries(), [libraries()]),
    ]
