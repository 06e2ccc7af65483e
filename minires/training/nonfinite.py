"""A NaN or an infinity in a training run: found before it is kept, and named.

See docs/decisions/training.md, "A dead state is never kept".
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from minires import backend
from minires.nn import Module
from minires.optim import Optimizer
from minires.tensor import Tensor, no_grad
from minires.training.errors import Diverged
from minires.watchers import detect_anomaly

ON_NAN = ("stop", "skip")
MOST_IN_A_ROW = 20
"""As many steps may be left out one after the other: then it is no stray batch."""


class NotFinite(ArithmeticError):
    """What a step was about to learn from is no number; the message says what."""


def is_finite(array) -> bool:
    """Whether an array on the current backend has neither a NaN nor an infinity."""
    array = backend.to_numpy(array)
    if array.dtype.kind in "iub":
        return True
    if array.dtype in (np.float32, np.float64):
        flat = array.ravel()
        with np.errstate(over="ignore", invalid="ignore"):
            if math.isfinite(np.dot(flat, flat)):  # in one pass; large numbers are looked at below
                return True
    return bool(np.isfinite(array).all())


def not_finite(arrays: Mapping) -> list[str]:
    """The names of those arrays that are not finite."""
    return [name for name, array in arrays.items() if not is_finite(array)]


def require_finite_loss(loss: Tensor) -> None:
    """Raise NotFinite if a loss, a Tensor (), is no number."""
    if not math.isfinite(value := loss.item()):
        raise NotFinite(f"the loss is {value}")


def require_finite_gradients(optimizer: Optimizer) -> None:
    """Raise NotFinite if a gradient is not finite; it names the parameter by its place."""
    for place, parameter in enumerate(optimizer.params):
        if parameter.grad is not None and not is_finite(parameter.grad):
            raise NotFinite(f"the gradient of parameter {place} {parameter.shape} is not finite")


def first_module(model: Module, forward: Callable[[], object]) -> str | None:
    """The first module of which `forward()` gets a result that is not finite, by name and kind.

    None if there is none. Statistics of batch norms change as in any forward.
    """
    found: list[str] = []

    def look(name: str):
        def hook(module, inputs, y) -> None:
            results = y if isinstance(y, tuple) else (y,)
            if not found and not all(is_finite(r.data) for r in results if isinstance(r, Tensor)):
                found.append(f"{name or 'the network'} ({type(module).__name__})")

        return hook

    with contextlib.ExitStack() as hooks:
        for name, module in model.named_modules():
            hooks.enter_context(module.register_forward_hook(look(name)))
        with no_grad(), np.errstate(all="ignore"):
            forward()
    return found[0] if found else None


class Guard:
    """Takes the steps of a Run, and looks at each: loss and gradients, before anything is learned.

    Parameters
    ----------
    run : Run
        Its settings say what happens: "stop" ends the run, "skip" leaves the step out.

    Attributes
    ----------
    looking : bool
        Whether a step is being taken: it is then to call `require_finite_...`.
    """

    def __init__(self, run):
        self.run, self.looking = run, False

    def take(self, step: Callable[[], None], forward: Callable[[], object]) -> bool:
        """Take a step; returns whether it was taken, or left out with all its traces.

        `forward` computes the step's forward once more, to see where it goes wrong.

        Raises
        ------
        Diverged
            If the step is not finite and the run stops at that, or has left out too many.
        """
        run = self.run
        kept = self._keep() if run.config.on_nan == "skip" else None
        try:
            with self._look():
                step()
        except (NotFinite, FloatingPointError) as error:
            reason = self._explain(error, forward)
        else:
            run.skipped_in_a_row = 0
            return True
        place = f"iteration {run.step + 1:,} (learning rate {run.schedule(run.step):.6g}): {reason}"
        if kept is None:
            raise Diverged(f"{place}; training has diverged; {run.remedy()}")
        self._restore(kept)
        run.skipped += 1
        run.skipped_in_a_row += 1
        if run.skipped_in_a_row > MOST_IN_A_ROW:
            raise Diverged(
                f"{place}; {MOST_IN_A_ROW} steps before it were left out for such a reason, one "
                f"after the other: training has diverged; {run.remedy()}"
            )
        run.note(f"left out {place}")
        return False

    @contextlib.contextmanager
    def _look(self) -> Iterator[None]:
        self.looking = True
        anomalies = detect_anomaly() if self.run.config.detect_anomaly else contextlib.nullcontext()
        try:
            with anomalies:
                yield
        finally:
            self.looking = False

    def _keep(self) -> tuple:
        """Copies of what a forward changes: buffers, and the state of the generator."""
        buffers = [array.copy() for _, array in self.run.model.named_buffers()]
        return buffers, backend.generator().bit_generator.state

    def _restore(self, kept: tuple) -> None:
        buffers, generator = kept
        for (_, array), before in zip(self.run.model.named_buffers(), buffers, strict=True):
            array[...] = before
        backend.generator().bit_generator.state = generator

    def _explain(self, error: Exception, forward: Callable[[], object]) -> str:
        """What was not finite, and where it began."""
        model = self.run.model
        parameters = {name: parameter.data for name, parameter in model.named_parameters()}
        if dead := not_finite(parameters):
            return f"{error}; {dead[0]} is not finite since the update before"
        if isinstance(error, FloatingPointError):  # names the operation
            return f"{error}"
        if module := first_module(model, forward):
            return f"{error}; the first module whose output is not finite is {module}"
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        if str(error).startswith("the gradient") and (dead := not_finite(grads)):
            return f"the gradient of {', '.join(dead[-1:])} is not finite, though the loss is"
        return f"{error}, though the output of every module is finite"
