"""Variations: what `gradcheck(fn, shapes=...)` checks beside the plain case.

A backward that is right at one shape may fail at a batch of one, at an odd size or in evaluation;
or with a view for an array; or when its operation is used twice in a graph, where it may find what
the other use has saved, or change a gradient that somebody else needs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from minires import backend, nn
from minires.differences import Problem, Tolerances, compare
from minires.suspects import GradcheckError, KinkError
from minires.tensor import Tensor
from minires.watchers import watch

DRAWS = 4
"""How often inputs are drawn anew where they hit a kink."""


@dataclass
class Row:
    """What was found at one case: the largest error of each array, or why it was left out."""

    case: str
    errors: dict[str, float] = field(default_factory=dict)
    left_out: str = ""


def check(fn: Callable, shapes: Sequence, how: Tolerances, draw: Callable | None = None) -> list:
    """Check `fn` at all variations of all cases; returns a Row for each, or raises."""
    cases = parse(shapes)
    rows = []
    with backend.own_generator(how.seed):
        for case in cases:
            for what, varied in [("", case), *derived(case)]:
                modes = ("training", "evaluation") if isinstance(fn, nn.Module) else ("",)
                for mode in modes:
                    words = ", ".join(filter(None, [_words(varied), what, mode]))
                    try:
                        rows.append(_check_case(fn, varied, mode, words, how, draw))
                    except (ValueError, TypeError) as refused:
                        if not what:
                            raise
                        rows.append(Row(words, left_out=str(refused)))
    return rows


def parse(shapes: Sequence) -> list[list[tuple[int, ...]]]:
    """Cases, each a list of shapes, from a shape, a list of shapes or a list of such lists."""
    if _is_shape(shapes):
        return [[tuple(map(int, shapes))]]
    if isinstance(shapes, list | tuple) and shapes and all(map(_is_shape, shapes)):
        return [[tuple(map(int, shape)) for shape in shapes]]
    if isinstance(shapes, list | tuple) and shapes:
        cases = [parse(case) for case in shapes]
        if all(len(case) == 1 for case in cases):
            return [case[0] for case in cases]
    raise ValueError(
        f"gradcheck: shapes must be a shape such as (2, 3), a list of shapes, one for each input, "
        f"or a list of such lists, but is {shapes!r}"
    )


def draw_apart(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of both signs between 0.1 and 1.5, no two of them close to each other or to zero."""
    size = int(np.prod(shape))
    places = rng.permutation(size) + rng.uniform(0.2, 0.8, size)
    values = (0.1 + 1.4 * places / max(size, 1)) * rng.choice([-1.0, 1.0], size)
    return values.reshape(shape)


def function_problem(fn: Callable, arrays: list, checked: list[bool], seed=None) -> Problem:
    """The problem of a plain function; with a seed its random numbers are the same in each call."""

    def leaves(arrays, record):
        return [
            Tensor(backend.asarray(array), requires_grad=record and check)
            for array, check in zip(arrays, checked, strict=True)
        ]

    def call(tensors):
        if seed is not None:
            backend.seed(seed)
        return fn(*tensors)

    names = [f"input {i}" for i in range(len(arrays))]
    return Problem(call, arrays, names, [i for i, check in enumerate(checked) if check], leaves)


class Converted:
    """A Module in float64, whose parameters are inputs of a `Problem` like any others."""

    def __init__(self, module: nn.Module, seed: int):
        self.module, self.seed = module, seed
        self.parameters = [item for item in module.named_parameters() if item[1].requires_grad]
        self.buffers = [
            (part, name, getattr(part, name))
            for _, part in module.named_modules()
            for name in part._buffers
        ]

    def problem(self, inputs: list, checked: list[bool]) -> Problem:
        """Its problem at these inputs."""
        count = len(inputs)
        parameters = [parameter for _, parameter in self.parameters]

        def leaves(arrays, record):
            for parameter, array in zip(parameters, arrays[count:], strict=True):
                parameter.data, parameter.grad = backend.asarray(array), None
            own = zip(arrays[:count], checked, strict=True)
            own = [Tensor(backend.asarray(a), requires_grad=record and check) for a, check in own]
            return [*own, *parameters]

        def call(tensors):
            for part, name, array in self.buffers:  # training changes running statistics
                setattr(part, name, array.copy())
            backend.seed(self.seed)
            return self.module(*tensors[:count])

        arrays = inputs + [backend.to_numpy(p.data).copy() for p in parameters]
        names = ["input" if count == 1 else f"input {i}" for i in range(count)]
        names += [name for name, _ in self.parameters]
        chosen = [i for i, check in enumerate(checked) if check]
        chosen += range(count, len(arrays))
        if not chosen:
            raise ValueError("gradcheck: there is no floating input or parameter to check")
        return Problem(call, arrays, names, chosen, leaves)


@contextmanager
def converted(module: nn.Module, seed: int) -> Iterator[Converted]:
    """Inside, `module` is in float64 with other numbers; then all of it is as it was.

    The numbers differ from those of the initialisation, where a scale of 1 or a shift of 0 would
    hide that it is left out.
    """
    rng = np.random.default_rng(seed)
    parts = [part for _, part in module.named_modules()]
    parameters = [(p, p.data, p.grad) for p in module.parameters()]
    buffers = [(part, name, getattr(part, name)) for part in parts for name in part._buffers]
    modes = [(part, part.training) for part in parts]
    try:
        for parameter, data, _ in parameters:
            parameter.data, parameter.grad = _moved(data, rng, -0.25), None
        for part, name, array in buffers:
            setattr(part, name, _moved(array, rng, 0.0))
        yield Converted(module, seed)
    finally:
        for parameter, data, grad in parameters:
            parameter.data, parameter.grad = data, grad
        for part, name, array in buffers:
            setattr(part, name, array)
        for part, training in modes:
            part.training = training


def _moved(array, rng: np.random.Generator, least: float):
    """A float64 copy of an array, scaled and shifted at random; integers stay."""
    host = np.array(backend.to_numpy(array))
    if host.dtype.kind != "f":
        return backend.asarray(host)
    scale = rng.uniform(0.75, 1.25, host.shape)
    return backend.asarray(host.astype(np.float64) * scale + rng.uniform(least, 0.25, host.shape))


def _check_case(fn, shapes, mode: str, words: str, how: Tolerances, draw) -> Row:
    """Check one case, at inputs that are not at a kink."""
    for attempt in range(DRAWS):
        rng = np.random.default_rng([how.seed, attempt])
        inputs = [np.asarray((draw or draw_apart)(rng, shape)) for shape in shapes]
        inputs = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in inputs]
        checked = [array.dtype.kind == "f" for array in inputs]
        try:
            if not isinstance(fn, nn.Module):
                problem = function_problem(fn, inputs, checked, how.seed)
                return _check_problem(replace(problem, case=words), how)
            with converted(fn, how.seed + attempt) as module:
                fn.train(mode == "training")
                return _check_problem(replace(module.problem(inputs, checked), case=words), how)
        except KinkError:
            if attempt == DRAWS - 1:
                raise
    raise AssertionError("not reached")


def _check_problem(problem: Problem, how: Tolerances) -> Row:
    if not problem.checked:
        raise ValueError("gradcheck: there is no floating input to differentiate by")
    errors = compare(problem, how)
    with watch(_dy_is_kept):
        expected = problem.gradients(problem.cotangent)
        _check_views(problem, expected)
        _check_two_uses(problem, expected)
    names = [problem.names[i] for i in problem.checked]
    return Row(problem.case, dict(zip(names, errors, strict=True)))


def _dy_is_kept(function, direction: str, compute: Callable, *arrays):
    """A watcher: backward must not write into the gradient that it gets."""
    if direction != "backward":
        return compute(*arrays)
    before = arrays[0].copy()
    result = compute(*arrays)
    if not bool(((before == arrays[0]) | (before != before)).all()):
        raise GradcheckError(
            f"gradcheck: {function.name}: backward writes into dy, the gradient that it gets, "
            f"which others may need; make a new array (dx = dy * mask, not dy *= mask)"
        )
    return result


def _check_views(problem: Problem, expected: list) -> None:
    """Views of other arrays, not contiguous in memory, in the place of inputs and of dy."""
    leaves = problem.leaves(problem.arrays, True)
    for tensor in leaves:
        if tensor.ndim and not isinstance(tensor, nn.Parameter):
            tensor.data = backend.xp().stack([tensor.data] * 2, axis=-1)[..., 0]
    y = problem.call(leaves)
    if not np.allclose(y.numpy(), problem.y, rtol=1e-9, atol=1e-12):
        raise GradcheckError(
            f"gradcheck: forward gives another result{problem.place()} for a view (a slice or a "
            f"transposed array) than for an array with the same numbers"
        )
    axes = tuple(reversed(range(y.ndim)))
    problem.backward(y.transpose(*axes) if axes else y, problem.cotangent.transpose(axes))
    _agree(problem, leaves, expected, "views (slices, transposed arrays) stand for inputs and dy")


def _check_two_uses(problem: Problem, expected: list) -> None:
    """A second call in between, and two calls with the same inputs in one graph."""
    leaves = problem.leaves(problem.arrays, True)
    y = problem.call(leaves)
    others = [
        t
        if isinstance(t, nn.Parameter) or t.dtype.kind != "f"
        else Tensor(t.data * 0.5 + 0.1, True)
        for t in leaves
    ]
    try:
        problem.call(others)
    except ValueError:  # these numbers may be none of its domain
        pass
    problem.backward(y, problem.cotangent)
    _agree(
        problem,
        leaves,
        expected,
        "fn is called again before backward: does each call keep its own arrays?",
    )
    leaves = problem.leaves(problem.arrays, True)
    # The engine copies the gradients of leaves, so inputs are results of something here.
    used = [t if t.dtype.kind != "f" or isinstance(t, nn.Parameter) else t * 1.0 for t in leaves]
    total = problem.call(used) + 2 * problem.call(used)
    problem.backward(total, problem.cotangent)
    three = [3 * gradient for gradient in expected]
    _agree(problem, leaves, three, "inputs are used twice in a graph: gradients must add up")


def _agree(problem: Problem, leaves: list, expected: list, when: str) -> None:
    found = problem.gradients_of(leaves)
    for i, gradient, right in zip(problem.checked, found, expected, strict=True):
        allowed = 1e-9 * max(1.0, float(np.abs(right).max(initial=0)))
        error = np.abs(gradient - right)
        if not (error <= allowed).all():
            index = tuple(int(k) for k in np.unravel_index(np.argmax(error), error.shape))
            raise GradcheckError(
                f"gradcheck: {problem.names[i]}, index {index} of {gradient.shape}"
                f"{problem.place()}: the gradient is {gradient[index]:.10g} instead of "
                f"{right[index]:.10g} when {when}"
            )


def derived(case: list) -> list[tuple[str, list]]:
    """The case with a batch of one, and with odd sizes between batch and channels."""
    first, found = case[0], []
    if len(first) > 1 and first[0] > 1:
        found.append(("a batch of one", (1, *first[1:])))
    odd = tuple(n + 1 - n % 2 for n in first[1:-1])
    if len(first) > 2 and odd != first[1:-1]:
        found.append(("odd sizes", (first[0], *odd, first[-1])))
    return [(what, [new if s == first else s for s in case]) for what, new in found]


def _words(shapes: list) -> str:
    return " and ".join(map(str, shapes))


def _is_shape(value) -> bool:
    return (isinstance(value, tuple) or (isinstance(value, list) and bool(value))) and all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 0 for n in value
    )
