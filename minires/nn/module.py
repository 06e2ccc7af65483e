"""Module: a part of a network that owns parameters, buffers and other modules."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from reprlib import recursive_repr

import numpy as np

from minires import backend, states
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
        self._buffers = (*self._buffers, name)
        setattr(self, name, array)

    # What it holds, by dotted name

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """Name and module of each direct part."""
        return ((name, part) for name, part in vars(self).items() if isinstance(part, Module))

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

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Name and Parameter, for example ``("layer1.0.conv1.weight", ...)``; each one once."""
        seen = set()
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{prefix}.{name}" if prefix else name, value

    def parameters(self) -> list[Parameter]:
        """All parameters: a module's own before those of its parts."""
        return [parameter for _, parameter in self.named_parameters()]

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

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def float(self) -> "Module":
        """Convert all parameters and buffers to float32."""
        return self._convert(np.float32)

    def double(self) -> "Module":
        """Convert all parameters and buffers to float64."""
        return self._convert(np.float64)

    def _convert(self, dtype) -> "Module":
        for _, module in self.named_modules():
            for name in module._buffers:
                setattr(module, name, getattr(module, name).astype(dtype))
        for parameter in self.parameters():
            parameter.data, parameter.grad = parameter.data.astype(dtype), None
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
        inner = "\n" + "\n".join(parts) + "\n" if parts else self.extra_repr()
        return f"{type(self).__name__}({inner})"

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr of a layer without parts."""
        return ""


class Hook:
    """A function that a Module calls before or after its forward, until it is removed."""

    def __init__(self, module: Module, place: str, function: Callable):
        self._module, self._place, self._function = module, place, function
        setattr(module, place, (*getattr(module, place), function))

    def remove(self) -> None:
        """Have the module call it no more; a second time does nothing."""
        kept = list(getattr(self._module, self._place))
        if self._function in kept:
            kept.remove(self._function)
        setattr(self._module, self._place, tuple(kept))

    def __enter__(self) -> "Hook":
        return self

    def __exit__(self, *exception) -> None:
        self.remove()


class Sequential(Module):
    """Modules applied one after the other; their names are "0", "1", ..."""

    def __init__(self, *modules: Module):
        super().__init__()
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(
                    f"Sequential: part {i} is a {type(module).__name__}, not a Module; write "
                    f"nn.ReLU() for F.relu, and Sequential(*modules) for a list"
                )
            setattr(self, str(i), module)

    def forward(self, x):
        for module in self:
            x = module(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, i: int) -> Module:
        return list(self)[i]


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
