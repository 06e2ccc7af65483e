"""A user's own modules, imported for what they register: `minires train --import my_module`.

>>> # my_module.py
>>> models.register("mynet", MyNet)
>>> data.register("mydata", load, classes=5)
"""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType


class ExtensionError(ValueError):
    """A module that cannot be found, or fails when it is imported; the message says where."""


def load(names: Iterable[str]) -> tuple[str, ...]:
    """Import modules, each once.

    Parameters
    ----------
    names : iterable of str
        A module's name (found also in the working directory), or the path of a .py file.

    Returns
    -------
    tuple of str
        The same names; paths are absolute, so that they hold in any working directory.

    Raises
    ------
    ExtensionError
        If a module is not found, or its own code fails.
    """
    names = names if isinstance(names, str) else tuple(names)
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ExtensionError(f"imports are names of modules in a list, but are {names!r:.80}")
    return tuple(_load_path(name) if name.endswith(".py") else _load_module(name) for name in names)


def _load_module(name: str) -> str:
    if name in sys.modules:
        return name
    here = os.getcwd()
    if here not in sys.path:  # as for `python -m`
        sys.path.append(here)
    try:
        found = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a package above it is missing, or it is no name at all
        found = False
    if not found:
        raise ExtensionError(
            f"--import {name}: there is no such module here, nor in the directories where Python "
            f"looks; give the path of its file: --import DIRECTORY/{name.replace('.', '/')}.py"
        )
    try:
        importlib.import_module(name)
    except Exception as error:
        raise _failure(name, error, f"--import {name}: ") from error
    return name


def _load_path(name: str) -> str:
    load_file(name, f"--import {name}: ")
    return str(Path(name).expanduser().resolve())


def load_file(name: str, said: str = "") -> ModuleType:
    """The module of a .py file, imported once; an ExtensionError, which begins with `said`."""
    path = Path(name).expanduser().resolve()
    if not path.is_file():
        raise ExtensionError(f"{said}there is no file {path}")
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(path):
            return module
    spec = importlib.util.spec_from_file_location(str(path), path)  # two may have one stem
    if spec is None or spec.loader is None:
        raise ExtensionError(f"{said}{path} is no file of Python code")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    if str(path.parent) not in sys.path:  # what lies beside it can be imported, as from a script
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise _failure(name, error, said) from error
    return module


def _failure(name: str, error: Exception, said: str) -> ExtensionError:
    """An error of the module's own code, with the place where it came up."""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}, line {error.lineno}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if not f.filename.startswith("<") and f.filename != __file__]
        place = f"{own[-1].filename}, line {own[-1].lineno}" if own else name
    return ExtensionError(f"{said}{place}: {type(error).__name__}: {error}")
