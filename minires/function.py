"""Function: one differentiable operation, and the record of it that `backward` walks.

Calling a Function computes y from its inputs and, if any of them requires a gradient, remembers
what the chain rule will need: who made each input (`parents`) and what the kernel saved (`saved`).
The remembered Functions form the graph; `leaf_gradients` walks it from the loss to the leaves.

See docs/decisions/autodiff.md, "Functions hold Functions".
"""

from collections.abc import Callable
from typing import Any, ClassVar

from minires import backend
from minires.fingerprint import fingerprint
from minires.kernels import doors
from minires.recording import is_recording
from minires.watchers import watched


class Function:
    """A differentiable operation: a folder of `kernels/`, or a subclass with both directions.

    ``Function("conv2d", stride=(1, 1), padding=(0, 0))`` is the operation of the folder
    `kernels/conv2d`, whose `forward(*arrays, **options)` and `backward(dy, saved, needs)` do the
    work. An operation without a folder overrides `forward` and `backward`:

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
    op, name : str
        The folder of `kernels/`, if there is one; and what messages call the operation.
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

    Tensor: ClassVar[Any]
    """What a call returns. `minires/tensor.py` enters it here, since it stands above this file."""

    def __init__(self, op: str = "", /, **options):
        self.op, self.options = op, options
        self.name = options.get("kind") or op or type(self).__name__.lower()
        self.backend, self.xp = backend.current(), backend.xp()  # for backward, too
        self.kernel = backend.kernel(op) if op else None
        self.saved: tuple = ()
        self.needs: tuple[bool, ...] = ()
        self.parents: tuple = ()
        self.inputs: tuple = ()  # (shape, dtype) of each
        self.fingerprints: list = []
        self.retained: Any = None  # a Tensor that keeps its gradient, see Tensor.retain_grad
        self.hooks: tuple = ()  # see Tensor.register_hook
        self.called = self.freed = False

    def forward(self, *arrays):
        """Arrays in, array out; sets `self.saved`."""
        if self.kernel is None:
            raise TypeError(f"{self.name}: the class {type(self).__name__} defines no forward")
        doors.check(self.op, arrays, self.options)
        y, self.saved = self.kernel.forward(*arrays, **self.options)
        return y

    def backward(self, dy) -> tuple:
        """The gradient of the output in, a tuple with one gradient (or None) per input out."""
        if self.kernel is None:
            raise TypeError(f"{self.name}: the class {type(self).__name__} defines no backward")
        return self.kernel.backward(dy, self.saved, self.needs)

    def __call__(self, *inputs):
        """Apply to Tensors -> Tensor, recorded if a gradient can flow."""
        self._check_call(inputs)
        arrays = [self._contiguous(tensor.data) for tensor in inputs]
        y = watched(self, "forward", self.forward, *arrays)
        if y is None or isinstance(y, tuple | list | self.Tensor):
            raise TypeError(
                f"{self.name}: forward must return one array, but returned {describe(y)}"
            )
        y = self.xp.asarray(y)
        on = is_recording()
        self.needs = tuple(on and tensor.requires_grad for tensor in inputs)
        if not any(self.needs):
            self.saved = ()
            return self.Tensor(y)
        self.parents = tuple(
            (tensor.grad_fn or tensor) if need else None
            for tensor, need in zip(inputs, self.needs, strict=True)
        )
        self.inputs = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        self.fingerprints = [fingerprint(value) for value in self.saved]
        return self.Tensor(y, grad_fn=self)

    def gradients(self, dy) -> list:
        """Run `backward` with all its checks: a list with one gradient (or None) per input."""
        for saved, before in zip(self.saved, self.fingerprints, strict=True):
            if fingerprint(saved) != before:
                raise RuntimeError(
                    f"{self.name}: {describe(saved)} that its backward needs was modified in "
                    f"place after the forward pass; make a new array instead (x = x + 1, not "
                    f"x.data += 1), or modify it after backward()"
                )
        results = watched(self, "backward", self.backward, self._contiguous(dy))
        if not isinstance(results, tuple) or len(results) != len(self.inputs):
            raise TypeError(
                f"{self.name}: backward must return a tuple of {len(self.inputs)} gradients, one "
                f"per input (None where there is none), but returned {describe(results)}"
            )
        checked = []
        for need, gradient, (shape, dtype) in zip(self.needs, results, self.inputs, strict=True):
            if need and getattr(gradient, "shape", None) != shape:
                raise ValueError(
                    f"{self.name}: backward returned {describe(gradient)} as the gradient of an "
                    f"input of shape {shape}{_remedy(getattr(gradient, 'shape', ()), shape)}"
                )
            if need and gradient.dtype != dtype:
                gradient = backend.converted(gradient, dtype)
            checked.append(self.xp.asarray(gradient) if need else None)
        return checked

    def add(self, a, b):
        """The sum of two gradients, by the kernel of this Function's backend."""
        return backend.kernel("add", self.backend).forward(a, b)[0]

    def free(self) -> None:
        """Drop what was saved and the links to the parents: the graph is used up."""
        self.saved, self.parents, self.options, self.retained = (), (), {}, None
        self.freed = True

    def _contiguous(self, array):
        """What a kernel may rely on; views are left alone by operations without a kernel."""
        return array if self.kernel is None else backend.converted(array, array.dtype)

    def _check_call(self, inputs) -> None:
        if self.called:
            raise RuntimeError(
                f"{self.name}: a Function records one call and cannot be called again; make a new "
                f"one for each call: {type(self).__name__}({repr(self.op) if self.op else ''})(x)"
            )
        self.called = True
        for tensor in inputs:
            if not isinstance(tensor, self.Tensor):
                kind = f"{type(tensor).__module__}.{type(tensor).__name__}"
                raise TypeError(f"{self.name}: the inputs of a Function are Tensors, not {kind}")
            backend.check_array(self.name, tensor.data)


def leaf_gradients(output: Function, dy, retain_graph: bool = False) -> dict:
    """Walk the graph from `output` to its leaves: backpropagation.

    Iterative, so the depth of a net is not limited by Python's recursion.

    Parameters
    ----------
    output : Function
        What made the tensor to differentiate.
    dy : array
        The gradient of that tensor.
    retain_graph : bool
        Keep the saved arrays for another backward through the same graph.

    Returns
    -------
    dict of Tensor to array
        The gradient of each leaf, and of each tensor that retains its own. Every array is the
        tensor's alone.
    """
    pending = {output: dy}  # gradients on their way: of Functions' outputs, and of leaf Tensors
    handed_out = {id(dy)}  # arrays that someone else may hold too: a leaf must not own them
    for function in _outputs_first(output):
        dy = pending.pop(function)
        for hook in function.hooks:
            dy = hooked(hook, dy)
        if function.retained is not None:
            pending[function.retained] = backend.copied(dy)
        saved = function.saved
        for parent, gradient in zip(function.parents, function.gradients(dy), strict=True):
            if parent is None:
                continue
            if parent in pending:
                total = watched(function, "sum", function.add, pending[parent], gradient)
                pending[parent] = function.xp.asarray(total)
                continue
            if not isinstance(parent, Function):
                if id(gradient) in handed_out or not _is_fresh(gradient, saved):
                    gradient = backend.copied(gradient)
            handed_out.add(id(gradient))
            pending[parent] = gradient
        if not retain_graph:
            function.free()
    return pending


def hooked(hook: Callable, gradient):
    """What a Tensor's hook makes of its gradient; the gradient itself if it returns None."""
    changed = hook(gradient)
    if changed is None:
        return gradient
    changed = changed.data if isinstance(changed, Function.Tensor) else changed
    if getattr(changed, "shape", None) != gradient.shape or changed.dtype != gradient.dtype:
        raise ValueError(
            f"a hook must return None or an array of shape {gradient.shape} and dtype "
            f"{gradient.dtype}, but returned {describe(changed)}"
        )
    return backend.copied(changed)


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


def calling(kind: type[Function] | str, /, **options) -> Callable:
    """A plain function of Tensors that makes a new Function for each call."""
    if isinstance(kind, str):
        return lambda *tensors: Function(kind, **options)(*tensors)
    return lambda *tensors: kind(**options)(*tensors)


def _remedy(found: tuple, shape: tuple) -> str:
    """What may have been forgotten where a gradient has another shape than its input."""
    extra = len(found) - len(shape)
    padded = (1,) * extra + shape
    summed = [i for i, (n, k) in enumerate(zip(found, padded, strict=False)) if n != k]
    if extra >= 0 and summed and all(padded[i] == 1 for i in summed):
        return f"; sum it over the axes along which the input was broadcast: {tuple(summed)}"
    return "; it is transposed" if found == shape[::-1] else ""


def describe(value) -> str:
    """An array, a tuple or another value, in words."""
    if isinstance(value, tuple | list | Function.Tensor):
        kind = type(value).__name__
        return f"a {kind}" + f" of {len(value)} values" * (kind != "Tensor")
    return f"an array of shape {value.shape}" if hasattr(value, "shape") else repr(value)
