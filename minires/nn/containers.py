"""Modules that hold modules: one after the other, as a list, by name; and lists of Parameters."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from minires.arguments import integer
from minires.nn.module import Module, Parameter


class _Numbered(Module):
    """Parts under the names "0", "1", ..., with what a list can do."""

    part: type = Module
    advice = "write nn.ReLU() for F.relu, and Sequential(*modules) for a list"

    def _fill(self, parts: Iterable) -> None:
        parts = list(parts)
        for i, part in enumerate(parts):
            self._check(i, part)
        for name in list(self._names()):
            delattr(self, name)
        for i, part in enumerate(parts):
            setattr(self, str(i), part)

    def _check(self, i: int | str, part) -> None:
        if not isinstance(part, self.part):
            raise TypeError(
                f"{type(self).__name__}: part {i} is a {type(part).__name__}, not a "
                f"{self.part.__name__}; {self.advice}"
            )

    def _names(self) -> Iterator[str]:
        return (name for name, part in vars(self).items() if isinstance(part, self.part))

    def __iter__(self) -> Iterator:
        return iter([getattr(self, name) for name in self._names()])

    def __len__(self) -> int:
        return sum(1 for _ in self._names())

    def __getitem__(self, i) -> Any:
        """Part i; or those of a slice, in a container of the same kind."""
        if isinstance(i, slice):
            return self._of(list(self)[i])
        return list(self)[self._place(i)]

    def __setitem__(self, i: int, part) -> None:
        place = self._place(i)
        self._check(place, part)
        setattr(self, list(self._names())[place], part)

    def __delitem__(self, i: int) -> None:
        parts = list(self)
        del parts[self._place(i)]
        self._fill(parts)

    def append(self, part):
        """Add a part at the end; returns the container."""
        return self.insert(len(self), part)

    def extend(self, parts: Iterable):
        """Add parts at the end; returns the container."""
        self._fill([*self, *parts])
        return self

    def insert(self, i: int, part):
        """Put a part before place i; returns the container."""
        parts = list(self)
        parts.insert(integer(type(self).__name__, "i", i), part)
        self._fill(parts)
        return self

    def pop(self, i: int = -1):
        """Take part i out."""
        part = self[i]
        del self[i]
        return part

    def _place(self, i) -> int:
        place = integer(type(self).__name__, "index", i)
        if not -len(self) <= place < len(self):
            raise IndexError(
                f"{type(self).__name__}: there is no part {place}; there are {len(self)}"
            )
        return place % len(self)

    def _of(self, parts: list) -> Module:
        raise NotImplementedError


class Sequential(_Numbered):
    """Modules applied one after the other; their names are "0", "1", ..., or those of a dict."""

    def __init__(self, *modules: Module | Mapping[str, Module]):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self._check(name, module)
                self.add_module(name, module)
        else:
            self._fill(modules)

    def _of(self, parts: list) -> Module:
        return Sequential(*parts)

    def forward(self, x):
        for module in self:
            x = module(x)
        return x


class ModuleList(_Numbered):
    """A list of modules that are parts of the module which holds it."""

    advice = "it takes a list of modules"

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self._fill(modules)

    def _of(self, parts: list) -> Module:
        return ModuleList(parts)


class ParameterList(_Numbered):
    """A list of Parameters; arrays and Tensors are wrapped."""

    part, advice = Parameter, "it takes a list of Parameters"

    def __init__(self, parameters: Iterable = ()):
        super().__init__()
        self._fill(p if isinstance(p, Parameter) else Parameter(p) for p in parameters)

    def _of(self, parts: list) -> Module:
        return ParameterList(parts)


class ModuleDict(Module):
    """Modules by name, parts of the module which holds it."""

    def __init__(self, modules: Mapping[str, Module] | None = None):
        super().__init__()
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add modules, or replace those of the same name."""
        for name, module in dict(modules).items():
            self[name] = module

    def __getitem__(self, name: str) -> Module:
        parts = dict(self.named_children())
        if name not in parts:
            raise KeyError(f"ModuleDict: there is no {name!r}; there are {', '.join(parts)}")
        return parts[name]

    def __setitem__(self, name: str, module: Module) -> None:
        if name in dict(self.named_children()) and isinstance(module, Module):
            setattr(self, name, module)
        else:
            self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        self[name]
        delattr(self, name)

    def pop(self, name: str) -> Module:
        """Take a module out."""
        module = self[name]
        del self[name]
        return module

    def __contains__(self, name) -> bool:
        return name in dict(self.named_children())

    def __len__(self) -> int:
        return len(dict(self.named_children()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """The names."""
        return [name for name, _ in self.named_children()]

    def values(self) -> list[Module]:
        """The modules."""
        return [module for _, module in self.named_children()]

    def items(self) -> list[tuple[str, Module]]:
        """Names and modules."""
        return list(self.named_children())
