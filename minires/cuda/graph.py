"""Graphs: a whole training step, recorded once, then replayed by one call.

>>> def step(x, labels):
...     loss = F.cross_entropy(model(Tensor(x)), labels)
...     sgd.zero_grad()
...     loss.backward()
...     sgd.step()
...     return loss
>>> replay = graph.capture(step, x, labels)  # nothing is computed yet: the model is as it was
>>> loss = replay(x, labels)  # one step; and with every further call another one

A small network keeps a GPU busy for less time than Python needs to ask for its kernels. So the
kernels of a step are noted once, with the arrays that they were asked to work on, and from then on
only repeated: on a GPU as a CUDA graph, which takes one call, on the emulator one after the other.

While `step` is recorded, none of its kernels is executed, on either end. What it does besides
launching kernels happens once, at that time, and is not repeated: tables that it makes are
constants of the graph, attributes that it sets stay set. Array code would compute with numbers that
are not there yet, and Python would read them; both are refused where the engine can see it
(`refuse`, `converted`). What it cannot see is array code that `step` itself calls.

See docs/decisions/cuda_graphs.md, "Recorded, not executed".
See docs/decisions/cuda_graphs.md, "No shared places".
"""

import sys
from collections.abc import Callable
from contextvars import ContextVar

import numpy as np

from minires.cuda import Launch, watch

_record: ContextVar[list[Launch] | None] = ContextVar("record", default=None)
"""The launches of the step that this thread is capturing."""


class GraphError(RuntimeError):
    """What cannot be part of a graph, or what a graph was not made for; the message says why."""


class Graph:
    """The launches of a step, to be repeated; made by `capture`.

    Attributes
    ----------
    launches : int
        How many kernels a replay launches.
    outputs
        What `step` returned. Its arrays hold values after the first replay, and each further one
        overwrites them.
    """

    def __init__(self, step: Callable, inputs: tuple, record: list[Launch], outputs):
        self.launches, self.outputs = len(record), outputs
        self._step = step  # it holds what kernels reach by an address in a table: weights, momentum
        self._inputs, self._record = inputs, record
        self._on_device, self._failed = None, False
        if not _on_host(record):
            from minires.cuda.device import DeviceGraph

            self._on_device = DeviceGraph(record)

    def replay(self, *inputs):
        """Take the step once more.

        Parameters
        ----------
        *inputs : array
            New values of the inputs, each of the shape and dtype of the one that was captured; on
            the device, or on the host.

        Returns
        -------
        What `step` returned: `outputs`.

        Raises
        ------
        GraphError
            If the inputs are not as many, or have other shapes or dtypes. Nothing is computed then.
        """
        if len(inputs) != len(self._inputs):
            raise GraphError(
                f"the step was captured with {len(self._inputs)} inputs, but is replayed with "
                f"{len(inputs)}"
            )
        for place, (own, given) in enumerate(zip(self._inputs, inputs, strict=True)):
            if _form(given) != _form(own):
                raise GraphError(
                    f"input {place} is {_form(given)}, but the step was captured with "
                    f"{_form(own)}; a graph repeats what it has recorded, so capture another one "
                    f"for these arrays, or take this step without a graph"
                )
        for own, given in zip(self._inputs, inputs, strict=True):
            _fill(own, given)
        if self._failed:
            raise GraphError("an earlier replay has failed half-way; capture the step anew")
        self._failed = True  # until this one has come to its end
        if self._on_device is not None:
            self._on_device.launch()
        else:
            for launch in self._record:
                launch.run()
        self._failed = False
        return self.outputs

    __call__ = replay


def capture(step: Callable, *inputs) -> Graph:
    """Record the launches of `step(*inputs)`, without executing them.

    The graph keeps all arrays that these kernels work on. They are its own: no two share a place in
    memory, so that it needs more of it than plain steps, which use theirs again and again.

    Parameters
    ----------
    step : function
        Its kernels are recorded. It is called once, with copies of the inputs, on which it must not
        make decisions: what they hold during the recording is of no meaning for later replays.
    *inputs : array
        Arrays of the current backend that differ from replay to replay. There may be none.

    Returns
    -------
    Graph

    Raises
    ------
    GraphError
        If `step` does something that would not be part of the graph: reads a result back to the
        host, computes with an operation that has no CUDA kernel, launches nothing at all.
    """
    refuse("another capture")
    own = tuple(_copy_of_input(place, array) for place, array in enumerate(inputs))
    record = []

    def note(launch: Launch) -> bool:
        launch.module.prepare(launch)  # errors belong here, where the step's code asks for it
        record.append(launch)
        return True

    _record.set(record)
    try:
        with watch(note):
            outputs = step(*own)
    finally:
        _record.set(None)
    if not record:
        raise GraphError(
            "the step launches no CUDA C++ kernel, so there is nothing to capture; it needs the "
            "backend cupy or emulator"
        )
    return Graph(step, own, record, outputs)


def capturing() -> bool:
    """Whether a step is being recorded: no kernel is executed, and no result is there yet."""
    return _record.get() is not None


def recorded() -> int:
    """How many launches have been recorded of the step that is being captured."""
    record = _record.get()
    return 0 if record is None else len(record)


def refuse(what: str) -> None:
    """Raise a GraphError while a step is captured: `what` would not be part of the graph."""
    if capturing():
        raise GraphError(f"a step that is captured as a graph cannot contain {what}")


def converted(array, dtype):
    """`array` as a C-contiguous array of `dtype`: itself, or a copy.

    Raises
    ------
    GraphError
        While a step is captured, if it would have to be a copy, which would not be part of it.
    """
    if array.dtype == dtype and array.flags.c_contiguous:
        return array
    refuse(
        f"a conversion by array code, of {_form(array)} to contiguous {np.dtype(dtype).name}; "
        f"convert what goes into the step"
    )
    contiguous = _array_module(array).ascontiguousarray(array, dtype)
    return contiguous.reshape(array.shape)  # ascontiguousarray makes (1,) of ()


def copied(array):
    """A copy of `array`; while a step is captured, itself.

    The engine copies such an array in case somebody writes into it; no kernel of a step does.
    """
    return array if capturing() else array.copy()


def _copy_of_input(place: int, array):
    cupy = sys.modules.get("cupy")
    if not isinstance(array, (np.ndarray, cupy.ndarray) if cupy else np.ndarray):
        raise GraphError(
            f"input {place} of a step must be an array, but is {type(array).__name__}; what does "
            f"not change from replay to replay is no input"
        )
    return _array_module(array).array(array, order="C")


def _form(array) -> str:
    """Shape and dtype of an array in words."""
    if not hasattr(array, "dtype"):
        return f"a {type(array).__name__}"
    return f"an array {tuple(array.shape)} of {array.dtype}"


def _fill(own, given) -> None:
    if isinstance(given, type(own)):
        own[...] = given
    elif isinstance(given, np.ndarray):
        own.set(np.ascontiguousarray(given))  # from the host to the device
    else:
        raise GraphError("the step was captured on the host, but is replayed with a device's array")


def _on_host(record: list[Launch]) -> bool:
    on_host = {isinstance(array, np.ndarray) for launch in record for array in launch.arrays()}
    if len(on_host) > 1:
        raise GraphError("some kernels of the step have NumPy arrays, others CuPy arrays")
    return on_host != {False}


def _array_module(array):
    return np if isinstance(array, np.ndarray) else sys.modules["cupy"]
