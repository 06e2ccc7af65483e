"""Optimizer: which parameters are updated, at which rate, with what is kept from step to step.

See docs/decisions/training.md, "Optimizers name their state".
"""

import warnings
from collections.abc import Iterable, Mapping
from math import inf

import numpy as np

from minires import backend, states
from minires.arguments import flag, members, real
from minires.function import describe
from minires.hints import Missing
from minires.nn import Module, Parameter
from minires.nn.utils import listed
from minires.tensor import Tensor

Params = Module | Iterable[Parameter] | list[dict]
"""What an Optimizer updates: a Module's parameters, a list of them, or groups."""

OF_A_GROUP = ("params", "lr", "weight_decay")


class Optimizer:
    """Updates parameters by their gradients; the base of every method.

    A method names the folder of its kernel and says what it keeps for each parameter; what else the
    kernel needs goes to `super().__init__` by name. `step` calls the kernel once for all
    parameters:

        kernel.update(params, grads, *states, lr=, weight_decays=, scaling=, **settings)

    with a list for each state, in the order of `initial_state`.

    Parameters
    ----------
    params : Module, iterable of Parameter, or list of dict
        Groups are dicts, as in PyTorch: ``{"params": ..., "lr": ..., "weight_decay": ...}``, the
        last two only where they differ from those of the others.
    lr, weight_decay : float
        Values for the groups without their own.
    **settings
        Numbers that are the same for all groups, by the names of the kernel's parameters.

    Attributes
    ----------
    groups : list of dict
        Each with "params" (a list), "lr" and "weight_decay". They may be set between steps.
    lr : float
        The learning rate that all groups have. Setting it sets it for all. It may also be an array
        () of float64 on the current backend, for a step that is captured as a CUDA graph: every
        replay reads the rate that it then holds.
    params : list of Parameter
        The parameters of all groups.
    states : list of dict
        What is kept for each of `params`: arrays on the current backend, by name.
    """

    kernel: str
    """The folder in `kernels/` with the update."""

    def __init__(self, params: Params, lr: float, weight_decay: float, **settings):
        self.settings = settings
        self.groups = [self._group(group, lr, weight_decay) for group in self._grouped(params)]
        self.params = [parameter for group in self.groups for parameter in group["params"]]
        if not self.params:
            raise ValueError(f"{self._name}: there are no parameters to optimise")
        if len({id(parameter) for parameter in self.params}) < len(self.params):
            raise ValueError(
                f"{self._name}: a parameter is listed twice and would be updated twice"
            )
        self.states = [self.initial_state(parameter.data) for parameter in self.params]
        self._warned = False

    def initial_state(self, array) -> dict:
        """What is kept for a parameter `array` before the first step: arrays by name."""
        raise NotImplementedError

    def __getattr__(self, name: str):
        raise Missing("Optimizer", name, self._name, dir(type(self)))

    def __repr__(self) -> str:
        rates = sorted({float(group["lr"]) for group in self.groups})
        settings = {"lr": rates[0] if len(rates) == 1 else rates} | self.settings
        text = ", ".join(f"{name}={value}" for name, value in settings.items())
        numbers = sum(int(parameter.size) for parameter in self.params)
        return f"{self._name}({text}; {len(self.params)} parameters, {numbers:,} numbers)"

    @property
    def lr(self):
        """The learning rate of all groups.

        Raises
        ------
        ValueError
            If it is not the same for all of them: read ``group["lr"]``.
        """
        first, *others = (group["lr"] for group in self.groups)
        for rate in others:
            if rate is not first and rate != first:
                raise ValueError(
                    f"{self._name}: the groups have different learning rates, {first} and {rate}; "
                    f'read those of `groups`, as in groups[0]["lr"]'
                )
        return first

    @lr.setter
    def lr(self, rate) -> None:
        rate = self._rate("lr", rate)
        for group in self.groups:
            group["lr"] = rate

    @property
    def param_groups(self) -> list[dict]:
        """The groups, under PyTorch's name."""
        return self.groups

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; without `set_to_none` they become zeros."""
        set_to_none = flag("zero_grad", "set_to_none", set_to_none)
        for parameter in self.params:
            keep = parameter.grad is not None and not set_to_none
            parameter.grad = 0 * parameter.grad if keep else None

    def step(self, scaling=None) -> None:
        """Update all parameters that have a gradient.

        `scaling` is the `state` of a `minires.amp.GradScaler` that has seen the gradients.
        """
        if scaling is not None and (getattr(scaling, "shape", 0), backend.is_array(scaling)) != (
            (4,),
            True,
        ):
            raise TypeError(
                f"{self._name}.step: scaling is the state of a GradScaler, not "
                f"{describe(scaling)}; opt.step() takes nothing else"
            )
        update, states = backend.kernel(self.kernel).update, iter(self.states)
        together: dict = {}  # by learning rate: one call for all groups that share it
        for group in self.groups:
            lr, decay = (self._rate(name, group[name]) for name in ("lr", "weight_decay"))
            alike = together.setdefault(id(lr) if hasattr(lr, "shape") else lr, (lr, []))[1]
            for parameter, state in zip(group["params"], states):  # noqa: B905
                if parameter.grad is not None:
                    self._check_gradient(parameter)
                    alike.append((parameter.data, parameter.grad, *state.values(), decay))
        if not any(active for _, active in together.values()) and not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._name}.step() without a gradient changes nothing: call loss.backward() "
                f"first (this is said once)",
                stacklevel=2,
            )
        for lr, active in together.values():
            if active:
                *arrays, decays = map(list, zip(*active, strict=True))
                update(*arrays, lr=lr, weight_decays=decays, scaling=scaling, **self.settings)

    def state(self) -> dict[str, np.ndarray]:
        """Copies on the host of all that is kept from step to step.

        Named by state and by place among `params`: ``"velocity.0"``, ``"velocity.1"``, ... Learning
        rates are not among them: who sets them knows them, by a schedule and the iteration.
        """
        return {
            name: np.array(backend.to_numpy(array)) for name, array in self._named_states().items()
        }

    def load_state(self, arrays: Mapping) -> None:
        """Go on from what `state` returned for an optimizer of the same method and parameters.

        Raises
        ------
        KeyError
            If names are missing or unknown.
        ValueError
            If a shape differs. Nothing has been loaded in either case.
        """
        if not isinstance(arrays, Mapping):
            raise TypeError(
                f"{self._name}: a state is arrays by name, not a {type(arrays).__name__}"
            )
        own = self._named_states()
        missing, unknown = sorted(own.keys() - arrays.keys()), sorted(arrays.keys() - own.keys())
        if missing or unknown:
            raise KeyError(
                f"the state does not fit this {self._name}: missing "
                f"{', '.join(missing[:5]) or 'nothing'}; unknown "
                f"{', '.join(unknown[:5]) or 'nothing'}"
            )
        states.replace(self._name, own, arrays)

    state_dict, load_state_dict = state, load_state

    def _rate(self, name: str, rate):
        """A learning rate or a decay as a number; an array on the device stays what it is."""
        if type(rate) is float and 0 <= rate < inf:  # as in nearly every step
            return rate
        if name == "lr" and backend.is_array(rate) and rate.shape == () and rate.dtype == "f8":
            return rate
        return real(self._name, name, rate, least=0)

    def _check_gradient(self, parameter: Parameter) -> None:
        gradient, data = parameter.grad, parameter.data
        if getattr(gradient, "dtype", None) != data.dtype or gradient.shape != data.shape:
            place = next(i for i, p in enumerate(self.params) if p is parameter)
            form = getattr(gradient, "dtype", type(gradient).__name__)
            raise ValueError(
                f"{self._name}: the gradient of params[{place}] must be an array {data.shape} of "
                f"{data.dtype}, but is {form} of shape {np.shape(gradient)}"
            )

    def _named_states(self) -> dict:
        return {
            f"{name}.{i}": array
            for i, state in enumerate(self.states)
            for name, array in state.items()
        }

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _grouped(self, params: Params) -> list[dict]:
        if isinstance(params, Module | Tensor):
            return [{"params": params}]
        items = members(self._name, "params", params)
        groups = [item for item in items if isinstance(item, dict)]
        return groups if groups and len(groups) == len(items) else [{"params": items}]

    def _group(self, group: dict, lr: float, weight_decay: float) -> dict:
        if "params" not in group or not group.keys() <= set(OF_A_GROUP):
            raise ValueError(
                f"{self._name}: a group has params, and lr and weight_decay if they are its own, "
                f"but here is one with {', '.join(group) or 'nothing'}"
            )
        group = {"lr": lr, "weight_decay": weight_decay} | group
        for name in ("lr", "weight_decay"):
            group[name] = self._rate(name, group[name])
        return group | {"params": listed(self._name, group["params"])}


def decay_groups(params: Module | Iterable[Parameter], weight_decay: float) -> list[dict]:
    """Two groups: filters and matrices with this weight decay; vectors and scalars without.

    So batch norm's scale and shift and all biases are spared. The paper, like PyTorch, decays all.

    >>> optim.SGD(optim.decay_groups(model, 1e-4), lr=0.1, momentum=0.9)
    """
    parameters = listed("decay_groups", params)
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
