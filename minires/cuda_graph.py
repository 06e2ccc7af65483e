"""CUDA graphs of training steps: `capture` records a step's launches once, to replay them.

>>> from minires.cuda_graph import capture
>>> captured = capture(step, x, labels)
>>> loss = captured(x, labels)

`minires.cuda.graph` records launches and knows no Function. Here Functions are watched, too: one
that computes without launching a kernel would not be part of the CUDA graph, so it is refused.

See docs/decisions/cuda_graphs.md, "Refused in words".
"""

from collections.abc import Callable

from minires import backend
from minires.cuda import graph
from minires.cuda.graph import Graph, GraphError
from minires.function import Function, describe
from minires.watchers import watch


def capture(step: Callable, *inputs) -> Graph:
    """Record the launches of `step(*inputs)` without executing them: see `minires.cuda.graph`.

    Parameters
    ----------
    step : function
        A training step, or any other computation with Tensors. It is called once.
    *inputs : array
        What differs from replay to replay, on the current backend. There may be none.

    Returns
    -------
    Graph
        Call it, with new inputs, to take the step.

    Raises
    ------
    GraphError
        If `step` does something that would not be part of the graph: reads a result back to the
        host, computes by array code, launches nothing at all.
    """
    with watch(_refuse_array_code):
        return graph.capture(step, *inputs)


def _refuse_array_code(function: Function, direction: str, compute: Callable, *arrays):
    """A computation must launch kernels, or its results be views of what it was given."""
    before = graph.recorded()
    results = compute(*arrays)
    if graph.recorded() == before:
        shared = backend.xp().may_share_memory
        for result in results if isinstance(results, tuple) else (results,):
            if result is not None and not any(shared(result, array) for array in arrays):
                name = function.name if direction == "forward" else f"{function.name} {direction}"
                raise GraphError(
                    f"{name} was computed by array code, which would not be "
                    f"part of the graph: its CUDA kernels do not serve "
                    f"{', '.join(map(describe, arrays))}, or it has none"
                )
    return results
