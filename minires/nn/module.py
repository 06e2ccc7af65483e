"""Module: a part of a network that owns parameters, buffers and other modules."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from reprlib import recursive_repr

import numpy as np

from minires import backend, placement, states
from minires.arguments import flag
from minires.hints import Missing
from minires.hooks import Hook
from minires.nn import pages
from minires.tensor import Tensor


class Parameter(Tensor):
    """A Tensor that a Module learns: requires a gradient, stands in `parameters()`."""

    def __init__(self, data):
        super().__init__(data, requires_grad=True)


class Module:
    """Base class of layers and networks.

    A subclass sets its parts as attributes in `__init__` and defines `forward`. What is found by
    itself: attributes that are Parameters, attributes that are Modules, and arrays registered with
    `register_buffer` (state that is saved but not learned, such as running statistics).
    """

    training = True
    _buffers: tuple[str, ...] = ()
    _forward_pre_hooks: tuple[Callable, ...] = ()
    _forward_hooks: tuple[Callable, ...] = ()

    def __setattr__(self, name: str, value) -> None:
        """Set a part; what would be lost in silence is refused."""
        old = vars(self).get(name)
        for kind in (Parameter, Module):
            if isinstance(old, kind) and not isinstance(value, kind | None):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a {kind.__name__}; a {type(value).__name__} "
                    f"in its place would not be part of the network"
                    + f": write nn.Parameter(...), or {name}.data = array"
                    * (kind is Parameter)
                )
        if isinstance(value, dict | list | tuple | set) and name not in HOOKS:
            found = _held(value)
            if found is not None:
                many = "Parameter" if isinstance(found, Tensor) else "Module"
                whole = "ParameterList" if isinstance(found, Tensor) else "ModuleList"
                whole = "ModuleDict" if isinstance(value, dict) else whole
                raise TypeError(
                    f"{type(self).__name__}.{name} is a {type(value).__name__} that holds a {many}"
                    f", which would not be part of the network: use nn.{whole}"
                )
        if type(value) is Tensor and value.requires_grad and value.grad_fn is None:
            warnings.warn(
                f"{type(self).__name__}.{name} is a Tensor that requires a gradient, but no "
                f"Parameter: it is neither learned nor saved; write nn.Parameter(...)",
                stacklevel=2,
            )
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str):
        raise Missing("Module", name, type(self).__name__, {*dir(type(self)), *vars(self)})

    def forward(self, *inputs):
        """Compute the output; defined by every subclass."""
        raise TypeError(f"{type(self).__name__} defines no forward(), so it cannot be called")

    def __call__(self, *inputs, **options):
        for hook in self._forward_pre_hooks:
            hook(self, inputs)
        y = self.forward(*inputs, **options)
        for hook in self._forward_hooks:
            replaced = hook(self, inputs, y)
            y = y if replaced is None else replaced
        return y

    def register_forward_pre_hook(self, hook: Callable) -> "Hook":
        """Have every call begin with `hook(module, inputs)`, a tuple of what it was given.

        Returns
        -------
        Hook
            `hook.remove()`, or the end of a `with` block, takes it away.
        """
        return Hook(self, "_forward_pre_hooks", hook)

    def register_forward_hook(self, hook: Callable) -> "Hook":
        """Have every call end with `hook(module, inputs, y)`; what it returns takes y's place.

        If the hook returns None, y stays. Otherwise as `register_forward_pre_hook`.
        """
        return Hook(self, "_forward_hooks", hook)

    @property
    def has_hooks(self) -> bool:
        """Whether this module has a hook of its own, so that nobody may go around its call."""
        return bool(self._forward_pre_hooks or self._forward_hooks)

    def register_buffer(self, name: str, array) -> None:
        """Keep `array` as attribute `name` and in the state dict."""
        if not isinstance(name, str):
            raise TypeError(f"register_buffer: name must be a text, but is {name!r:.60}")
        if isinstance(array, Tensor):
            array = array.data
        if not backend.is_array(array):
            raise TypeError(
                f"register_buffer: {name} must be an array, but is a {type(array).__name__}"
            )
        if name not in self._buffers:
            self._buffers = (*self._buffers, name)
        setattr(self, name, array)

    def add_module(self, name: str, module: "Module") -> None:
        """Make `module` a part of this one, as attribute `name`."""
        if not isinstance(module, Module):
            raise TypeError(f"add_module: {name} is a {type(module).__name__}, not a Module")
        if not isinstance(name, str) or not name or "." in name or hasattr(self, name):
            raise ValueError(
                f"add_module: a part of a {type(self).__name__} cannot have the name {name!r}"
                + ": it has such an attribute" * (isinstance(name, str) and hasattr(self, name))
            )
        setattr(self, name, module)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Make a Parameter part of this module, as attribute `name`."""
        if not isinstance(parameter, Parameter | None):
            raise TypeError(f"register_parameter: {name} must be a Parameter")
        setattr(self, name, parameter)

    # What it holds, by dotted name

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """Name and module of each direct part."""
        return ((name, part) for name, part in vars(self).items() if isinstance(part, Module))

    def children(self) -> Iterator["Module"]:
        """Each direct part."""
        return (part for _, part in self.named_children())

    def modules(self) -> Iterator["Module"]:
        """Itself and all parts, each one once."""
        return (module for _, module in self.named_modules())

    def get_submodule(self, name: str) -> "Module":
        """The part of this dotted name, such as "layer1.0"; itself for ""."""
        found = dict(self.named_modules()).get(name) if isinstance(name, str) else None
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no part named {name!r}")
        return found

    def apply(self, function: Callable) -> "Module":
        """Call `function` with every part and then with itself, for example to initialise them."""
        if not callable(function):
            raise TypeError(f"apply: a function is needed, not a {type(function).__name__}")
        for module in list(self.modules())[::-1]:
            function(module)
        return self

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """Name and module of itself (name "") and of all parts, depth first; each one once."""
        waiting, seen = [(prefix, self)], set()
        while waiting:
            name, module = waiting.pop()
            if id(module) in seen:  # one part in two places, or a part that holds its parent
                continue
            seen.add(id(module))
            yield name, module
            parts = [(f"{name}.{n}" if name else n, part) for n, part in module.named_children()]
            waiting += parts[::-1]

    def named_parameters(self, recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Name and Parameter, for example ``("layer1.0.conv1.weight", ...)``; each one once.

        Without `recurse` only the module's own.
        """
        recurse, seen = flag("parameters", "recurse", recurse), set()
        for prefix, module in self.named_modules() if recurse else [("", self)]:
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{prefix}.{name}" if prefix else name, value

    def parameters(self, recurse: bool = True) -> "Parameters":
        """All parameters: a module's own before those of its parts."""
        return Parameters(parameter for _, parameter in self.named_parameters(recurse))

    def buffers(self) -> Iterator:
        """Every buffer."""
        return (array for _, array in self.named_buffers())

    def named_buffers(self) -> Iterator[tuple[str, object]]:
        """Name and array of every buffer."""
        for prefix, module in self.named_modules():
            for name in module._buffers:
                yield f"{prefix}.{name}" if prefix else name, getattr(module, name)

    def num_parameters(self) -> int:
        """How many numbers the module learns."""
        return sum(parameter.size for parameter in self.parameters())

    # Modes

    def train(self, mode: bool = True) -> "Module":
        """Training mode (batch statistics, dropout) for itself and all parts."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Evaluation mode (running statistics, no dropout) for itself and all parts."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Have all parameters learn, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad = flag("requires_grad_", "requires_grad", requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; without `set_to_none` they become zeros."""
        set_to_none = flag("zero_grad", "set_to_none", set_to_none)
        for parameter in self.parameters():
            keep = parameter.grad is not None and not set_to_none
            parameter.grad = 0 * parameter.grad if keep else None

    def float(self) -> "Module":
        """Convert all parameters and buffers to float32."""
        return self._convert(np.float32)

    def double(self) -> "Module":
        """Convert all parameters and buffers to float64."""
        return self._convert(np.float64)

    def to(self, *target) -> "Module":
        """Convert parameters and buffers to a dtype, or bring them to the current backend.

        `to(np.float64)`, `to("float64")`, `to("cupy")`: see `Tensor.to`.
        """
        for kind, value in placement.targets(f"{type(self).__name__}.to", target):
            if kind == "dtype":
                self._convert(value)
            else:
                self._replace(placement.moved)
        return self

    def _convert(self, dtype) -> "Module":
        return self._replace(
            lambda array: array if array.dtype.kind in "iub" else backend.converted(array, dtype)
        )

    def _replace(self, change: Callable) -> "Module":
        for module in self.modules():
            for name in module._buffers:
                setattr(module, name, change(getattr(module, name)))
        for parameter in self.parameters():
            parameter.data, parameter.grad = change(parameter.data), None
        return self

    # State

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers on the host, by dotted name."""
        arrays = {name: parameter.data for name, parameter in self.named_parameters()}
        arrays.update(self.named_buffers())
        return {name: np.array(backend.to_numpy(array)) for name, array in arrays.items()}

    def load_state_dict(self, state: dict, strict: bool = True) -> None:
        """Copy values into the parameters and buffers; their dtype stays.

        Parameters
        ----------
        state : dict of str to array
            As from `state_dict`.
        strict : bool
            Demand exactly the names of this module; otherwise only those in common are loaded.

        Raises
        ------
        KeyError
            If names are missing or unknown (strict).
        ValueError
            If a shape differs. Nothing has been loaded in either case.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"load_state_dict: a state is arrays by name, not a {type(state).__name__}"
            )
        own = {name: parameter.data for name, parameter in self.named_parameters()}
        own.update(self.named_buffers())
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if strict and (missing or unknown):
            raise KeyError(
                f"the state does not fit this {type(self).__name__}: "
                f"missing {_some(missing)}; unknown {_some(unknown)}"
            )
        given = {name: state[name] for name in own if name in state}
        states.replace(f"load_state_dict of {type(self).__name__}", own, given)

    @recursive_repr("...")  # for a part that holds its parent
    def __repr__(self) -> str:
        parts = [
            f"  ({name}): " + repr(part).replace("\n", "\n  ")
            for name, part in self.named_children()
        ]
        described = self.extra_repr()
        if parts or not described:
            own = self.named_parameters(recurse=False)
            parts = [f"  ({name}): Parameter{p.shape}" for name, p in own] + parts
        inner = "\n" + "\n".join(parts) + "\n" if parts else described
        return f"{type(self).__name__}({inner})"

    def _repr_html_(self) -> str:
        return pages.table(self)

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr of a layer without parts."""
        return ""


HOOKS = ("_forward_pre_hooks", "_forward_hooks")


class Parameters(list):
    """A list of Parameters, of which `next` takes one after the other, as from a generator."""

    def __next__(self) -> Parameter:
        self.taken = getattr(self, "taken", 0) + 1
        if self.taken > len(self):
            raise StopIteration
        return self[self.taken - 1]


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Inside, `model` and all its parts are in evaluation mode; then each in its own mode again.

    >>> with nn.evaluating(model), no_grad():
    ...     logits = model(x)
    """
    modes = [(module, module.training) for _, module in model.named_modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5]) or "nothing"
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _held(value) -> Module | Tensor | None:
    """The first Module or Parameter inside of a list, tuple, set or dict, however deep."""
    if isinstance(value, Module | Parameter):
        return value
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple | set | frozenset):
        return next((found for found in map(_held, inner) if found is not None), None)
    return None
