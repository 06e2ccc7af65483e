"""Operations from outside: folders like those of `kernels/`, added to them.

    my_kernels/swish/reference.py      a new operation, found by Function("swish")
    my_kernels/swish/numba_cpu.py      the same, faster, for the backend numba
    my_kernels/conv2d/student.py       a file more for an operation that there is already

>>> with add_folder("my_kernels"):
...     y = Function("swish")(x)

The files are imported as `minires.kernels.swish.reference` and so on. They may import what stands
beside the folders here, such as `minires.kernels.arrays`. A file that is there already is never
replaced; for that there is `replaced`.
"""

import importlib
import inspect
import keyword
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = __name__.rpartition(".")[0]
ROOT = Path(__file__).parent

FOLDERS: list[Path] = []
"""What `add` has added, in this order."""

SIGNATURES = {
    "forward": "forward(x, ..., **options) -> (y, saved)",
    "backward": "backward(dy, saved, needs) -> (dx, ...)",
    "update": "update(params, grads, ...), which changes them in place",
}
"""What a kernel file has to define, or `update` alone for an optimizer's step."""


class KernelFileError(ValueError):
    """A file or folder of kernels that cannot be used; the message says which, and why."""


class AddedFolder:
    """A folder that `add_folder` has added; `remove()` or the end of a `with` block undoes it."""

    def __init__(self, path: Path, remove: Callable[[Path], None]):
        self.path, self._remove = path, remove

    def remove(self) -> None:
        """Forget its operations; a second time does nothing."""
        if self.path in FOLDERS:
            self._remove(self.path)

    def __enter__(self) -> "AddedFolder":
        return self

    def __exit__(self, *exception) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<operations {', '.join(_operations(self.path))} of {self.path}>"


def roots() -> list[Path]:
    """The folders that hold folders of operations."""
    return [ROOT, *FOLDERS]


def operations(file: str = "reference") -> list[str]:
    """The names of the operations that have a file of this name."""
    return sorted({path.parent.name for root in roots() for path in root.glob(f"*/{file}.py")})


def no_operation(op: str) -> str:
    """What is said of a name that no operation has."""
    near = get_close_matches(op, operations(), 1)
    meant = f" (is {near[0]} meant?)" if near else ""
    return (
        f"kernels/ has no operation {op!r}{meant}; there are {', '.join(operations())}; "
        f"kernels.add_folder(path) adds operations of your own"
    )


def find(op: str, file: str) -> Path | None:
    """The file of operation `op` with this name, without ``.py``; None if there is none."""
    paths = (root / op / f"{file}.py" for root in roots())
    return next((path for path in paths if path.is_file()), None)


def add(path: Path) -> None:
    """Add a folder whose operations have been looked at."""
    names = _checked(path)
    FOLDERS.append(path)
    sys.modules[PACKAGE].__path__.append(str(path))
    importlib.invalidate_caches()
    try:
        for op in names:
            if any((root / op).is_dir() for root in roots()[:-1]):
                places = importlib.import_module(f"{PACKAGE}.{op}").__path__
                if str(path / op) not in list(places):  # without __init__.py Python has looked
                    places.append(str(path / op))
            elif (path / op / "reference.py").is_file():
                imported(f"{PACKAGE}.{op}.reference", path / op / "reference.py")
    except BaseException:
        remove(path)
        raise


def remove(path: Path) -> None:
    """Take a folder away, and the modules that were imported from it."""
    FOLDERS.remove(path)
    for name, module in list(sys.modules.items()):
        if name == PACKAGE or name.startswith(f"{PACKAGE}."):
            places = getattr(module, "__path__", None)
            if places is not None and name != PACKAGE and all(map(_inside(path), places)):
                _forget(name)
            elif places is not None:
                for place in [place for place in places if _inside(path)(place)]:
                    places.remove(place)
            elif (file := getattr(module, "__file__", None)) and _inside(path)(file):
                _forget(name)
    importlib.invalidate_caches()


def imported(name: str, path: Path, wanted: tuple[str, ...] = ("forward", "backward")) -> Any:
    """The module `name`, which stands in the file `path`, with all that a kernel must define.

    Raises
    ------
    KernelFileError
        If its code fails, or something is missing.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # it may change at any moment
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise KernelFileError(failure(path, error)) from error
    finally:
        sys.dont_write_bytecode = before
    return check(module, str(path), wanted)


def load_file(path: str | Path, wanted: tuple[str, ...] = ("forward", "backward")) -> Any:
    """A new module from a .py file anywhere; raises as `imported` does."""
    path = Path(path).expanduser().resolve()
    if path.suffix != ".py" or not path.is_file():
        raise KernelFileError(f"there is no file of Python code {path}")
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[f"{PACKAGE}:{path}"] = module  # dataclasses, Numba and pickle look it up
    module.__name__ = f"{PACKAGE}:{path}"
    try:
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[module.__name__]
        raise KernelFileError(failure(path, error)) from error
    return check(module, str(path), wanted)


def check(kernel: Any, place: str, wanted: tuple[str, ...] = ("forward", "backward")) -> Any:
    """`kernel`, if it defines what it must; a KernelFileError that names `place` if not."""
    if callable(getattr(kernel, "update", None)) and "forward" in wanted:
        if not hasattr(kernel, "forward"):
            return kernel  # an optimizer's step
    missing = [name for name in wanted if not callable(getattr(kernel, name, None))]
    if missing:
        raise KernelFileError(
            f"{place} defines no {' and no '.join(missing)}; expected is "
            f"{' and '.join(SIGNATURES.get(name, f'{name}(...)') for name in wanted)}"
        )
    if "backward" in wanted:
        try:
            inspect.signature(kernel.backward).bind(None, None, None)
        except TypeError as error:
            raise KernelFileError(
                f"{place}: backward cannot be called as {SIGNATURES['backward']}: {error}"
                + "; this is a class: give an object of it" * isinstance(kernel, type)
            ) from None
        except ValueError:  # compiled code has no signature to look at
            pass
    return kernel


def failure(path: Path, error: Exception) -> str:
    """What went wrong in a file's own code, and in which line."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    of_file = [frame for frame in frames if Path(frame.filename).name == path.name]
    beside = [frame for frame in frames if Path(frame.filename).is_relative_to(path.parent)]
    own = of_file or beside  # such as its __init__.py
    place = f"{path.parent / Path(own[-1].filename).name}, line {own[-1].lineno}" if own else path
    return f"{place}: {type(error).__name__}: {error}"


def _operations(path: Path) -> list[str]:
    """The folders in `path` that hold files of kernels."""
    inner = (p for p in path.iterdir() if p.is_dir() and p.name[0] not in "._")
    return sorted(p.name for p in inner if any(p.glob("*.py")) or any(p.glob("ladder/v[0-9]*")))


def _checked(path: Path) -> list[str]:
    """The operations in a folder that may be added."""
    expected = "expected is a folder with one folder for each operation, such as swish/reference.py"
    if not path.is_dir():
        raise KernelFileError(f"add_folder: there is no folder {path}; {expected}")
    if (path / "reference.py").exists():
        raise KernelFileError(
            f"add_folder: {path} is the folder of one operation; give the folder above it, "
            f"{path.parent}"
        )
    names = _operations(path)
    if not names:
        raise KernelFileError(f"add_folder: {path} holds no operation; {expected}")
    for op in names:
        if not op.isidentifier() or keyword.iskeyword(op) or (ROOT / f"{op}.py").exists():
            raise KernelFileError(f"add_folder: {path / op}: {op!r} cannot be an operation's name")
        homes = [root / op for root in roots() if (root / op).is_dir()]
        for file in sorted(p for p in (path / op).iterdir() if p.is_file()):
            if taken := [home / file.name for home in homes if (home / file.name).exists()]:
                raise KernelFileError(
                    f"add_folder: {file} would stand for {taken[0]}, which is there already; give "
                    f"it another name, or use kernels.replaced({op!r}, {str(file)!r})"
                )
            if file.suffix == ".py":
                try:
                    compile(file.read_bytes(), file, "exec")
                except (SyntaxError, ValueError) as error:
                    raise KernelFileError(f"add_folder: {failure(file, error)}") from error
        if not homes and not (path / op / "reference.py").exists():
            raise KernelFileError(
                f"add_folder: {path / op} has no reference.py, the file in array code that "
                f"defines a new operation and serves every backend"
            )
    return names


def _inside(path: Path) -> Callable[[str], bool]:
    return lambda place: Path(place).is_relative_to(path)


def _forget(name: str) -> None:
    sys.modules.pop(name, None)
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        vars(sys.modules[parent]).pop(child, None)
