"""Function: one differentiable operation, and the record of it that `backward` walks.

Calling a Function computes y from its inputs and, if any of them requires a gradient, remembers
what the chain rule will need: who made each input (`parents`) and what the kernel saved (`saved`).
The remembered Functions form the graph; `backpropagate` walks it from the loss to the leaves.
"""

import zlib
from functools import cache

import numpy as np

from minires import backend
from minires.cuda import graph

_recording = True


def set_recording(value: bool) -> bool:
    """Switch recording on or off; returns what it was."""
    global _recording
    before, _recording = _recording, value
    return before


class Function:
    """A differentiable operation. A subclass names its kernel folder, or defines both directions.

    Subclasses either set `op` to a folder of `kernels/`, whose `forward(*arrays, **options)` and
    `backward(dy, saved, needs)` then do the work, or override `forward` and `backward`:

    >>> class Square(Function):
    ...     def forward(self, x):
    ...         self.saved = (x,)
    ...         return x * x
    ...     def backward(self, dy):
    ...         (x,) = self.saved
    ...         return (2 * x * dy,)
    >>> y = Square()(x)  # x and y are Tensors

    Attributes
    ----------
    name : str
        The operation's name in messages and graph drawings.
    options : dict
        What is not differentiated: stride, padding, labels, ...
    saved : tuple
        What forward keeps for backward. Freed when backward has used it.
    needs : tuple of bool
        For each input, whether its gradient is wanted.
    parents : tuple
        For each input: the Function that made it, the Tensor itself if it is a leaf that requires
        a gradient, or None if no gradient flows there.
    """

    op = ""

    def __init__(self, **options):
        self.options = options
        self.name = options.get("kind") or self.op or type(self).__name__.lower()
        self.kernel = backend.kernel(self.op) if self.op else None
        self.xp, self.add = backend.xp(), backend.kernel("add").forward
        self.saved: tuple = ()
        self.needs: tuple[bool, ...] = ()
        self.parents: tuple = ()
        self.inputs: tuple = ()  # (shape, dtype) of each
        self.fingerprints: list = []
        self.retained = None  # a Tensor that wants to keep its gradient, see Tensor.retain_grad
        self.called = self.freed = False

    def forward(self, *arrays):
        """Arrays in, array out; sets `self.saved`."""
        y, self.saved = self.kernel.forward(*arrays, **self.options)
        return y

    def backward(self, dy):
        """The gradient of the output in, a tuple with one gradient (or None) per input out."""
        return self.kernel.backward(dy, self.saved, self.needs)

    def __call__(self, *inputs):
        """Apply to Tensors -> Tensor, recorded if a gradient can flow."""
        self._check_call(inputs)
        arrays = [self._contiguous(tensor.data) for tensor in inputs]
        y = self.xp.asarray(_launching(self.name, self.forward, *arrays))
        self.needs = tuple(_recording and tensor.requires_grad for tensor in inputs)
        if not any(self.needs):
            self.saved = ()
            return type(inputs[0])._made_by(None, y)
        self.parents = tuple(
            (tensor.grad_fn or tensor) if need else None
            for tensor, need in zip(inputs, self.needs, strict=True)
        )
        self.inputs = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        self.fingerprints = [fingerprint(value) for value in self.saved]
        return type(inputs[0])._made_by(self, y)

    def _check_call(self, inputs) -> None:
        if self.called:
            raise RuntimeError(
                f"{self.name}: a Function records one call and cannot be called again; make a new "
                f"one for each call: {type(self).__name__}()(x)"
            )
        self.called = True
        for tensor in inputs:
            if not hasattr(tensor, "requires_grad"):
                raise TypeError(
                    f"{self.name}: the inputs of a Function are Tensors, but got a "
                    f"{_type_name(type(tensor))}"
                )
            if not backend.is_array(tensor.data):
                raise TypeError(
                    f"{self.name}: the current backend {backend.current()!r} computes on "
                    f"{_type_name(self.xp.ndarray)}, but an input of shape {tensor.shape} is a "
                    f"{_type_name(type(tensor.data))}, made under another backend"
                )

    def gradients(self, dy) -> list:
        """Run `backward` with all its checks: a list with one gradient (or None) per input."""
        for saved, before in zip(self.saved, self.fingerprints, strict=True):
            if fingerprint(saved) != before:
                raise RuntimeError(
                    f"{self.name}: {_describe(saved)} that its backward needs was modified in "
                    f"place after the forward pass; make a new array instead (x = x + 1, not "
                    f"x.data += 1), or modify it after backward()"
                )
        results = _launching(f"{self.name} backward", self.backward, self._contiguous(dy))
        if not isinstance(results, tuple) or len(results) != len(self.inputs):
            raise TypeError(
                f"{self.name}: backward must return a tuple of {len(self.inputs)} gradients, one "
                f"per input (None where there is none), but returned {_describe(results)}"
            )
        checked = []
        for need, gradient, (shape, dtype) in zip(self.needs, results, self.inputs, strict=True):
            if need and getattr(gradient, "shape", None) != shape:
                raise ValueError(
                    f"{self.name}: backward returned {_describe(gradient)} as the gradient of an "
                    f"input of shape {shape}"
                )
            if need and gradient.dtype != dtype:
                gradient = graph.converted(gradient, dtype)
            checked.append(self.xp.asarray(gradient) if need else None)
        return checked

    def _contiguous(self, array):
        """What a kernel may rely on; views are left alone by operations without a kernel."""
        if self.kernel is None or array.flags.c_contiguous:
            return array
        return graph.converted(array, array.dtype)

    def free(self) -> None:
        """Drop what was saved and the links to the parents: the graph is used up."""
        self.saved, self.parents, self.options, self.retained = (), (), {}, None
        self.freed = True


def backpropagate(output: Function, dy, retain_graph: bool = False) -> None:
    """Add the gradient of each leaf that `output` depends on to its `.grad`.

    `.grad` is written at the very end: an error on the way leaves every gradient as it was.

    Parameters
    ----------
    output : Function
        What made the tensor to differentiate.
    dy : array
        The gradient of that tensor.
    retain_graph : bool
        Keep the saved arrays for another backward through the same graph.
    """
    for tensor, gradient in leaf_gradients(output, dy, retain_graph).items():
        tensor.accumulate(gradient)


def leaf_gradients(output: Function, dy, retain_graph: bool = False) -> dict:
    """Walk the graph from `output` to its leaves; parameters as of `backpropagate`.

    Iterative, so the depth of a net is not limited by Python's recursion.

    Returns
    -------
    dict of Tensor to array
        The gradient of each leaf, and of each tensor that retains its own. Every array is the
        tensor's alone.
    """
    order = _outputs_first(output)
    pending = {output: dy}  # gradients on their way: of Functions' outputs, and of leaf Tensors
    handed_out = {id(dy)}  # arrays that someone else may hold too: a leaf must not own them
    for function in order:
        dy = pending.pop(function)
        if function.retained is not None:
            pending[function.retained] = graph.copied(dy)
        saved = function.saved
        for parent, gradient in zip(function.parents, function.gradients(dy), strict=True):
            if parent is None:
                continue
            if parent in pending:
                total, _ = _launching("add", function.add, pending[parent], gradient)
                pending[parent] = function.xp.asarray(total)
                continue
            if not isinstance(parent, Function):
                if id(gradient) in handed_out or not _is_fresh(gradient, saved):
                    gradient = graph.copied(gradient)
            handed_out.add(id(gradient))
            pending[parent] = gradient
        if not retain_graph:
            function.free()
    return pending


def _launching(name: str, compute, *arrays):
    """compute(*arrays); while a step is captured it must launch kernels, or its results be views.

    Raises
    ------
    GraphError
        If array code has computed instead: with numbers that are not there yet.
    """
    before = graph.recorded()
    results = compute(*arrays)
    if graph.capturing() and graph.recorded() == before:
        shared = backend.xp().may_share_memory
        for result in results if isinstance(results, tuple) else (results,):
            if result is not None and not any(shared(result, array) for array in arrays):
                raise graph.GraphError(
                    f"{name} was computed by array code, which would not be part of the graph: its "
                    f"CUDA kernels do not serve {', '.join(map(_describe, arrays))}, or it has none"
                )
    return results


def _is_fresh(gradient, saved: tuple) -> bool:
    """Whether a leaf may own this array: its memory is its own, and nobody has saved it."""
    own = gradient.base is None or hasattr(gradient.base, "lent_to_one_array")  # kernels/memory.py
    return own and not any(gradient is value for value in saved)


def _outputs_first(output: Function) -> list[Function]:
    """Every Function that `output` depends on, each before all the Functions it depends on."""
    finished, seen, stack = [], set(), [(output, False)]
    while stack:
        function, parents_done = stack.pop()
        if parents_done:
            finished.append(function)
        elif function not in seen:
            if function.freed:
                raise RuntimeError(
                    f"backward a second time through {function.name!r}: its saved arrays were "
                    f"freed by the first backward(); run the forward pass again, or call the first "
                    f"one as backward(retain_graph=True)"
                )
            seen.add(function)
            stack.append((function, True))
            stack.extend((p, False) for p in function.parents if isinstance(p, Function))
    return finished[::-1]


SAMPLES = 256
EXACT_BYTES = 1 << 13


def fingerprint(value):
    """A checksum that changes when the array `value` is modified in place; None for other values.

    It covers every byte of an array up to 8 KiB, and 256 elements scattered over a larger one, so
    that it costs microseconds: a change of the whole array, of one of up to 256 channels or images
    is noticed, one of a single element of a large array may not be. Arrays on a GPU are not looked
    at, because reading one would stop the device. Of a tuple, the checksums of its values.
    """
    if isinstance(value, tuple):
        return tuple(map(fingerprint, value))
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        return None
    if value.nbytes > EXACT_BYTES:
        flat = value.reshape(-1) if value.flags.c_contiguous else value.flat
        value = flat[_scattered(value.size)]
    return zlib.crc32(np.ascontiguousarray(value))


@cache
def _scattered(size: int) -> np.ndarray:
    """SAMPLES positions all over an array of `size` elements, one of each remainder modulo SAMPLES:
    in every one of so many images, and in every channel."""
    rng, edges = np.random.default_rng(size), np.arange(SAMPLES + 1) * size // SAMPLES
    places = rng.integers(edges[:-1], edges[1:])
    places += (rng.permutation(SAMPLES) - places) % SAMPLES
    return np.where(places < size, places, places - SAMPLES)


def _type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def _describe(value) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} values"
    return f"an array of shape {value.shape}" if hasattr(value, "shape") else repr(value)
