"""The reference: a page of Markdown for a module, from its signatures and docstrings."""

import importlib
import inspect
from types import ModuleType


def page(name: str) -> str:
    """A module's page: its docstring, then its public names in alphabetical order."""
    module = importlib.import_module(name)
    parts = [f"# {name}", _text(inspect.getdoc(module) or "")]
    for each in sorted(_names(module), key=str.lower):
        value = getattr(module, each)
        if inspect.isclass(value) or inspect.isroutine(value):
            parts.append(_entry(each, value))
    return "\n\n".join(parts) + "\n"


def _names(module: ModuleType) -> list[str]:
    """What the module offers: `__all__`, or the public names that minires has defined."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isroutine(value))
        and (value.__module__ or "").startswith("minires")
    ]


def _entry(name: str, value) -> str:
    """A function or class, with the methods that have a docstring of their own."""
    parts = [f"## {name}", _text(_signature(name, value)), _text(inspect.getdoc(value) or "")]
    if inspect.isclass(value):
        for method, body in vars(value).items():
            if not method.startswith("_") and inspect.isroutine(body) and inspect.getdoc(body):
                signature = _signature(f"{name}.{method}", body)
                parts += [f"### {name}.{method}", _text(signature), _text(inspect.getdoc(body))]
    return "\n\n".join(part for part in parts if part)


def _signature(name: str, value) -> str:
    try:
        return f"{name}{inspect.signature(value)}"
    except (TypeError, ValueError):
        return name


def _text(docstring: str) -> str:
    """Text as it is written, in a block of its own."""
    return f"````text\n{docstring}\n````" if docstring else ""
