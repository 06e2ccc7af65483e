"""Recomputing: keep a segment's input only, compute the rest anew in backward.

What training needs memory for is mostly what each operation saves for its backward. A segment of a
network that is called through `recomputed` saves its input and nothing else; when backward comes to
it, its forward runs once more, now with recording, and backward goes on through that record. A net
of N blocks in segments of sqrt(N) so holds of the order of sqrt(N) blocks' arrays instead of N, for
a second forward (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost",
https://arxiv.org/abs/1604.06174, section 4). PyTorch calls it activation checkpointing.

>>> y = recomputed(block, x)  # instead of block(x): the same y, and the same gradients

See docs/decisions/training.md, "Recompute as a Function".
See docs/decisions/training.md, "The same statistics twice".
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from minires import backend, nn
from minires.cuda import graph
from minires.fingerprint import fingerprint
from minires.function import Function, leaf_gradients
from minires.recording import recording
from minires.tensor import Tensor, as_tensor, no_grad


def recomputed(module: nn.Module | Sequence[nn.Module], x) -> Tensor:
    """`module(x)`, of which only x is kept; backward computes the rest anew.

    Results, gradients and running statistics have the bits of `module(x)`: batch norms update
    their statistics in the first forward only, dropout draws the same numbers in both, and the
    second forward is in the mode (training or not) of the first. One thing is added up in another
    order: the gradient of a parameter that is used inside more than once, and outside, too. A
    parameter that `module` owns but does not use gets a gradient of zeros, not None.

    Parameters
    ----------
    module : Module, or list of Modules to be applied one after the other
        Computes one Tensor from one Tensor and its own parameters and buffers, the same at every
        call. Inside, parts may be `recomputed`, too.
    x : Tensor

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If `module` is none, or does not return one Tensor.
    RuntimeError
        In backward: if the second forward gives another result than the first (where they lie on
        the host), or reaches tensors that require a gradient and are not the module's.
    """
    if isinstance(module, list | tuple):
        module = nn.Sequential(*module)
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"recomputed: module must be a Module or a list of them, but is a "
            f"{type(module).__name__}: of anything else it would not know the parameters"
        )
    x, parameters = as_tensor(x), module.parameters()
    if not any(tensor.requires_grad for tensor in (x, *parameters)):
        return module(x)
    return Recomputed(module=module, parameters=parameters)(x, *parameters)


class Recomputed(Function):
    """The Function behind `recomputed`: its inputs are x and all parameters of the module.

    So their gradients flow through the outer graph like any others, and are added to `.grad` when
    the whole backward has come to its end.
    """

    def forward(self, x, *parameters):
        module = self.options["module"]
        self.modes = [(part, "training", part.training) for _, part in module.named_modules()]
        # A step that is captured has no random numbers of the host: dropout refuses there.
        self.random = None if graph.capturing() else backend.generator().bit_generator.state
        with no_grad():
            y = module(Tensor(x))
        if not isinstance(y, Tensor):
            raise TypeError(
                f"recomputed: {_name(module)} must return one Tensor, but returned a "
                f"{type(y).__name__}"
            )
        self.result = fingerprint(y.data)
        self.saved = (x, *parameters)  # the parameters only to notice in-place changes
        return y.data

    def backward(self, dy):
        module = self.options["module"]
        x = Tensor(self.saved[0], requires_grad=self.needs[0])
        inputs = (x, *self.options["parameters"])
        with self._as_in_the_forward(module, inputs):
            y = module(x)
        # While a step is captured nothing is computed: y holds what was in memory before.
        if not graph.capturing() and fingerprint(y.data) != self.result:
            raise RuntimeError(
                f"recomputed: computed anew for backward, {_name(module)} gave another result than "
                f"in the forward pass; it must depend on its input, its parameters and "
                f"minires.backend.generator() alone, and none of its parameters or buffers may "
                f"change in between"
            )
        last = y.grad_fn
        if last is None:
            gradients = {y: dy} if y.requires_grad else {}
        else:
            del y  # so that its memory is free when the last operation has been walked
            gradients = leaf_gradients(last, dy)
        if strangers := gradients.keys() - set(inputs):
            raise RuntimeError(
                f"recomputed: {_name(module)} computes with a tensor of shape "
                f"{strangers.pop().shape} that requires a gradient, but is neither its input nor "
                f"one of its parameters; make it a Parameter of the module, or detach it"
            )
        for tensor, need in zip(inputs, self.needs, strict=True):
            if need and tensor not in gradients:
                gradients[tensor] = self.xp.zeros(tensor.shape, tensor.dtype)
        return tuple(map(gradients.get, inputs))

    @contextmanager
    def _as_in_the_forward(self, module: nn.Module, inputs: tuple) -> Iterator[None]:
        """Inside, `module` computes what it computed then, with recording, and changes nothing."""
        attributes = self.modes + [
            (tensor, "requires_grad", need) for tensor, need in zip(inputs, self.needs, strict=True)
        ]
        # Statistics go to arrays that nobody reads. A momentum of 0 would not do: 0 * inf is NaN.
        # Copies of the statistics, to be put back, would be read on the host or be array code,
        # neither of which a step that is captured as a CUDA graph may contain;
        # fresh arrays may be made there, since what they hold does not matter.
        attributes += [
            (part, name, self.xp.zeros_like(getattr(part, name)))
            for part, _, training in self.modes
            if training and isinstance(part, nn.BatchNorm2d)
            for name in ("running_mean", "running_var")
        ]
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in attributes]
        captured = self.random is None or graph.capturing()
        draws: Any = None if captured else backend.generator().bit_generator
        random_before = None if draws is None else draws.state
        try:
            if draws is not None:
                draws.state = self.random
            for owner, name, value in attributes:
                vars(owner)[name] = value
            with backend.use(self.backend), recording(True):
                yield
        finally:
            for owner, name, value in before:
                vars(owner)[name] = value
            if draws is not None:
                draws.state = random_before


def _name(module: nn.Module) -> str:
    parts = ", ".join(type(part).__name__ for _, part in module.named_children())
    return f"{type(module).__name__}({parts})"
