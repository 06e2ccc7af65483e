"""Ladders: one operation written several times, to see what makes a kernel fast.

A ladder stands in `kernels/OP/ladder/`. Its `__init__.py` says what is computed and tells the
story; `v1_naive.cu`, `v2_coalesced.cu` ... are the rungs in CUDA C++, `cuda.py` launches them;
beside them the first rungs once more in Numba-CUDA, `v1_naive.py` ... with a function `run`.

>>> for rung in ladders.rungs("matmul"):
...     c = rung.run(a, b)

A rung of your own is a file `v6_NAME.py` with a function `run`, or `v6_NAME.cu`, in the ladder's
folder, in such a folder of your own that `kernels.add_folder` has added, or given to `register`.

See docs/decisions/cuda.md, "Ladders beside kernels".
"""

import ast
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from minires.kernels import own
from minires.kernels.own import KernelFileError

OPERATIONS = {"matmul": "linear", "conv2d": "conv2d", "batch_norm": "batch_norm"}
"""Ladder -> the operation in whose folder it stands."""

NAME = re.compile(r"v\d+_\w+")

REGISTERED: dict[str, list[Path]] = {}
"""Ladder -> files that `register` has added."""


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
    """All rungs, lowest first; a KernelFileError if one of them cannot be run."""
    load(ladder)
    folders = [root / OPERATIONS[ladder] / "ladder" for root in own.roots()]
    paths = [path for folder in folders for path in folder.glob("v[0-9]*_*.*")]
    paths += [path for path in REGISTERED.get(ladder, []) if path not in paths]
    return [rung(ladder, path) for path in sorted(paths, key=_place)]


def rung(ladder: str, path: Path) -> Rung:
    """The rung that stands in a file; a KernelFileError if it cannot be run."""
    if path.suffix not in (".cu", ".py") or not NAME.fullmatch(path.stem):
        raise KernelFileError(
            f"{path} is no rung: it must be a .cu or .py file with a name such as v6_student"
        )
    if not path.is_file():
        raise KernelFileError(f"there is no file {path}")
    package = load(ladder).__name__
    if path.suffix == ".cu":
        return Rung(path, _launch(ladder, package, path))
    _check_python(ladder, path)
    if path.is_relative_to(own.ROOT):
        return Rung(path, lambda *a: importlib.import_module(f"{package}.{path.stem}").run(*a))
    return Rung(path, lambda *a: own.load_file(path, ("run",)).run(*a))


def register(ladder: str, path: str | Path, tile: tuple | None = None) -> Rung:
    """Add a rung of your own, from a file anywhere.

    Parameters
    ----------
    ladder : str
        Such as "matmul".
    path : str or Path
        ``v6_NAME.py`` with a function `run`, or ``v6_NAME.cu`` with the kernel of the other rungs.
    tile : tuple
        How a .cu file is launched: what a block computes and its threads, as in the table TILES of
        the ladder's `cuda.py`.

    Raises
    ------
    LookupError
        If there is no such ladder.
    KernelFileError
        If the file cannot be a rung, its name is taken, or `tile` is missing or of another form.
    """
    path = Path(path).expanduser().resolve()
    load(ladder)
    new = rung(ladder, path)
    if any(r.path.name == path.name and r.path != path for r in rungs(ladder)):
        raise KernelFileError(f"the ladder {ladder} has a rung {path.name} already")
    if path.suffix == ".cu":
        launcher = _launcher(ladder)
        known = launcher.TILES["v1_naive"]
        if not isinstance(tile, tuple) or list(map(type, tile)) != list(map(type, known)):
            raise KernelFileError(
                f"{path}: tile must say what a block computes and its threads, such as {known} of "
                f"v1_naive in {launcher.__file__}, but is {tile}"
            )
        (kernel,) = launcher.KERNELS["v1_naive"].signatures
        launcher.KERNELS[path.stem] = type(launcher.KERNELS["v1_naive"])(path, [kernel])
        launcher.TILES[path.stem] = tile
    if path not in REGISTERED.setdefault(ladder, []):
        REGISTERED[ladder].append(path)
    return new


def unregister(ladder: str, path: str | Path) -> None:
    """Take a rung that `register` has added away."""
    path = Path(path).expanduser().resolve()
    if path not in REGISTERED.get(ladder, []):
        raise KernelFileError(f"the ladder {ladder} has no registered rung {path}")
    REGISTERED[ladder].remove(path)
    if path.suffix == ".cu":
        for table in (_launcher(ladder).KERNELS, _launcher(ladder).TILES):
            del table[path.stem]


def _place(path: Path) -> tuple[int, str]:
    """Where a rung stands: by its number, then by its name."""
    match = re.match(r"v(\d+)_", path.name)
    return int(match[1]) if match else 0, path.name


def _launcher(ladder: str) -> ModuleType:
    return importlib.import_module(f"{load(ladder).__name__}.cuda")


def _launch(ladder: str, package: str, path: Path) -> Callable:
    def run(*arrays):
        launcher = _launcher(ladder)
        if path.stem not in launcher.KERNELS:
            raise KernelFileError(
                f"{launcher.__file__} does not say how {path.name} is launched: add a line "
                f'"{path.stem}": {launcher.TILES["v2_coalesced"]} to its TILES, with what a block '
                f"of yours computes; or call ladders.register({ladder!r}, PATH, tile=...)"
            )
        return launcher.run(path.stem, *arrays)

    return run


def _check_python(ladder: str, path: Path) -> None:
    """Raise if a .py file has an error of syntax, or no function `run`."""
    try:
        body = ast.parse(path.read_text(), str(path)).body
    except SyntaxError as error:
        raise KernelFileError(own.failure(path, error)) from error
    names = {getattr(node, "name", None) for node in body}
    names |= {alias.asname or alias.name for n in body for alias in getattr(n, "names", [])}
    names |= {getattr(target, "id", None) for n in body for target in getattr(n, "targets", [])}
    if "run" not in names:
        raise KernelFileError(
            f"{path} defines no run; expected is run(*arrays), which computes what "
            f"reference(*arrays) of the ladder {ladder} computes"
        )
