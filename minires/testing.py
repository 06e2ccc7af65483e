"""The treatment that an operation gets here, for one of your own; without pytest.

>>> from minires.testing import check_operation
>>> check_operation("swish", shapes=[[(3, 4)], [(2, 5, 5, 3)]])    # a folder of kernels
>>> check_operation(Softplus, shapes=(3, 4))                       # a subclass of Function
>>> check_operation(lambda a, b: my_product(a, b), shapes=[(2, 3), (3, 4)])

`check_operation` is made of the other checks here, which the tests of minires use, too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from minires import backend, kernels, nn, variations
from minires.differences import Tolerances
from minires.function import Function, calling
from minires.gradcheck import gradcheck
from minires.tensor import Tensor
from minires.watchers import watch


@dataclass(frozen=True)
class Case:
    """One operation at one shape.

    `fn` takes Tensors; `inputs` draws float64 arrays; `definition` is the formula of the contract
    in plain loops, on arrays.
    """

    name: str
    op: str
    fn: Callable
    inputs: Callable[[np.random.Generator], list[np.ndarray]]
    definition: Callable | None = None

    def __str__(self) -> str:
        return self.name


def check_operation(
    operation: str | type[Function] | Callable,
    shapes: Sequence,
    *,
    options: dict | None = None,
    definition: Callable | None = None,
    draw: Callable | None = None,
    backends: Sequence[str] | None = None,
) -> None:
    """Check an operation in every respect in which those of minires are checked.

    Parameters
    ----------
    operation : str, subclass of Function, or function
        The folder of its kernels (`minires.kernels.add_folder`); or its class; or what takes
        Tensors and returns one.
    shapes : shape, list of shapes, or list of lists of shapes
        The shapes of its inputs, as for `gradcheck`.
    options : dict
        What the Function is made with: ``{"stride": (1, 1)}``.
    definition : callable
        Its formula on NumPy arrays, to compare forward with.
    draw : callable
        ``draw(rng, shape)`` makes an input. If not given, inputs lie away from kinks and ties.
    backends : sequence of str
        Where it is checked. If not given: a folder on each backend that works here and has a
        kernel file of its own for it, besides the reference; anything else on the current one.

    Raises
    ------
    AssertionError
        If a check fails; the message names the operation, the case and what was expected.
    LookupError
        If there is no such folder.
    """
    name = operation if isinstance(operation, str) else getattr(operation, "__name__", "operation")
    fn = _callable(operation, options or {})
    chosen = _backends(operation) if backends is None else list(backends)
    cases = _cases(name, fn, shapes, definition, draw)
    for where in chosen:
        with backend.use(where), named(f"{name} on backend {where}"):
            variations.check(fn, shapes, Tolerances(), draw)
            for case, is_derived in cases:
                if not is_derived or _is_taken(case):
                    with named(f"{name} on backend {where} at {case}"):
                        _check_case(case, where)


def _check_case(case: Case, where: str) -> None:
    if case.definition is not None:
        check_forward(case)
    check_needs(case)
    check_arrays_are_kept(case)
    check_dtypes(case)
    with backend.use("numpy" if case.op else where):
        exact = _results(case, np.float64)
    for dtype in ("float64", "float32") if case.op and where != "numpy" else ("float32",):
        check_agreement(case, where, dtype, exact)


def _is_taken(case: Case) -> bool:
    """Whether the operation takes a derived case at all; the given ones it must take."""
    try:
        case.fn(*map(Tensor, case.inputs(np.random.default_rng(0))))
    except (TypeError, ValueError):
        return False
    return True


# The checks, each of one case on the current backend


def check_forward(case: Case) -> None:
    """Compare with the definition, in float64."""
    inputs = case.inputs(np.random.default_rng(0))
    y = case.fn(*(Tensor(backend.asarray(array.copy())) for array in inputs)).numpy()
    expected = case.definition(*inputs)  # type: ignore[misc]
    assert y.shape == np.shape(expected), f"forward gives {y.shape}, not {np.shape(expected)}"
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-12)


def check_backward(case: Case) -> None:
    """Compare with numerical gradients: by every entry, in a large case along random directions."""
    assert gradcheck(case.fn, case.inputs(np.random.default_rng(0)))


def check_agreement(case: Case, name: str, dtype: str, expected: list | None = None) -> None:
    """Compare the backend `name` with float64 on the current one, or with what is `expected`.

    float32 must be within 1e-5 of the largest value: a few dozen round-offs.
    """
    arrays = case.inputs(np.random.default_rng(0))
    expected = forward_and_backward(case, arrays) if expected is None else expected
    with backend.use(name):
        results = forward_and_backward(case, [_as(array, dtype) for array in arrays])
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for result, exact in zip(results, expected, strict=True):
        assert result.dtype == dtype, f"a result is {result.dtype} where the inputs are {dtype}"
        assert result.shape == exact.shape, f"a result is {result.shape}, not {exact.shape}"
        scale = max(np.abs(exact).max(initial=0), 1.0)
        np.testing.assert_allclose(result, exact, rtol=0, atol=tolerance * scale)


def forward_and_backward(case: Case, arrays: list) -> list[np.ndarray]:
    """y and all gradients for a random cotangent, on the current backend."""
    tensors = _tensors(arrays)
    y = case.fn(*tensors)
    cotangent = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    y.backward(backend.asarray(cotangent))
    return [y.numpy(), *(backend.to_numpy(t.grad) for t in tensors if t.requires_grad)]


def check_needs(case: Case) -> None:
    """Gradients are the same if only some are asked for, and None where they are not."""
    arrays = case.inputs(np.random.default_rng(0))
    floating = [array.dtype.kind == "f" for array in arrays]
    whole = _gradients(case, arrays, floating)
    for needs in product(*((False, True) if is_floating else (False,) for is_floating in floating)):
        if not any(needs) or sum(needs) not in (1, sum(floating) - 1):
            continue
        for need, gradient, right in zip(
            needs, _gradients(case, arrays, needs), whole, strict=True
        ):
            if need:
                message = f"the gradients differ if only those of needs {needs} are asked for"
                np.testing.assert_allclose(gradient, right, rtol=1e-9, atol=1e-12, err_msg=message)
            else:
                assert gradient is None, f"a gradient that is not needed ({needs}) is handed out"


def check_arrays_are_kept(case: Case) -> None:
    """Neither direction writes into its inputs or into what is saved; backward can run again."""
    arrays = case.inputs(np.random.default_rng(0))
    tensors = _tensors(arrays)
    y = case.fn(*tensors)
    first = y.numpy().copy()
    cotangent = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(cotangent, retain_graph=True)
    once = [t.grad.copy() for t in tensors if t.requires_grad]
    case.fn(*_tensors([_moved(array) for array in arrays]))  # it may use memory again
    y.backward(cotangent)
    for i, (tensor, array) in enumerate(zip(tensors, arrays, strict=True)):
        same = np.array_equal(backend.to_numpy(tensor.data), array, equal_nan=True)
        assert same, f"forward or backward writes into input {i}"
    assert np.array_equal(y.numpy(), first), "the result changes when the operation is called again"
    with_gradient = [t for t in tensors if t.requires_grad]
    for i, (tensor, gradient) in enumerate(zip(with_gradient, once, strict=True)):
        twice = backend.to_numpy(tensor.grad)
        np.testing.assert_allclose(
            twice,
            2 * backend.to_numpy(gradient),
            rtol=1e-9,
            atol=1e-12,
            err_msg=f"a second backward gives another gradient of input {i}: does the first one "
            f"write into what was saved?",
        )


def check_dtypes(case: Case) -> None:
    """In float32 each direction computes in float32: a number in between must not widen it."""

    def look(function, direction: str, compute: Callable, *arrays):
        results = compute(*arrays)
        for result in results if isinstance(results, tuple) else (results,):
            wide = getattr(result, "dtype", np.dtype(np.float32)) == np.float64
            assert not (wide and all(array.dtype == np.float32 for array in arrays)), (
                f"{function.name}: {direction} returns float64 where all inputs are float32"
            )
        return results

    arrays = [_as(array, "float32") for array in case.inputs(np.random.default_rng(0))]
    if all(array.dtype == np.float32 for array in arrays):
        with watch(look):
            forward_and_backward(case, arrays)


def _tensors(arrays: list) -> list[Tensor]:
    """Tensors, of which the floating ones require a gradient."""
    given = [Tensor(backend.asarray(array.copy())) for array in arrays]
    for tensor in given:
        tensor.requires_grad = tensor.dtype.kind == "f"
    return given


def _gradients(case: Case, arrays: list, needs: Sequence[bool]) -> list:
    tensors = _tensors(arrays)
    for tensor, need in zip(tensors, needs, strict=True):
        tensor.requires_grad = need
    y = case.fn(*tensors)
    if y.requires_grad:
        y.backward(np.random.default_rng(1).standard_normal(y.shape))
    return [None if t.grad is None else backend.to_numpy(t.grad) for t in tensors]


def _results(case: Case, dtype) -> list[np.ndarray]:
    arrays = case.inputs(np.random.default_rng(0))
    return forward_and_backward(case, [_as(array, dtype) for array in arrays])


def _as(array: np.ndarray, dtype) -> np.ndarray:
    return array.astype(dtype) if array.dtype.kind == "f" else array


def _moved(array: np.ndarray) -> np.ndarray:
    """Other numbers of the same kind and range."""
    return array[::-1].copy() if array.ndim else array


def _backends(operation) -> list[str]:
    """Where an operation is checked, if nothing is said: where it has a file of its own."""
    if not isinstance(operation, str):
        return [backend.current()]
    if operation not in kernels.operations():
        raise LookupError(kernels.own.no_operation(operation))
    if kernels.is_replaced(operation):
        return [backend.current()]
    return ["numpy"] + [
        name
        for name, entry in backend.BACKENDS.items()
        if name != "numpy" and entry.has_kernel(operation) and backend.problem(name) is None
    ]


def _callable(operation, options: dict) -> Callable:
    if isinstance(operation, str) or _is_function(operation):
        return calling(operation, **options)
    if not callable(operation) or isinstance(operation, nn.Module | type):
        what = "a Module; gradcheck checks one" if isinstance(operation, nn.Module) else "none"
        raise TypeError(
            f"check_operation: expected the name of a folder of kernels, a subclass of Function or "
            f"a function, but {operation!r} is {what}"
        )
    return operation


def _is_function(operation) -> bool:
    return isinstance(operation, type) and issubclass(operation, Function)


def _cases(name: str, fn, shapes, definition, draw) -> list[tuple[Case, bool]]:
    """Every case, and what is derived from it; and whether it is derived."""
    found = []
    for case in variations.parse(shapes):
        for what, varied in [("", case), *variations.derived(case)]:
            words = " and ".join(map(str, varied)) + f", {what}" * bool(what)
            op = name if name in kernels.operations() else ""
            made = Case(words, op, fn, partial(_drawn, varied, draw), definition)
            found.append((made, bool(what)))
    return found


def _drawn(shapes: list, draw: Callable | None, rng: np.random.Generator) -> list[np.ndarray]:
    return [np.asarray((draw or variations.draw_apart)(rng, shape)) for shape in shapes]


@contextmanager
def named(place: str) -> Iterator[None]:
    """Errors become AssertionErrors that begin with the place."""
    try:
        yield
    except AssertionError as error:
        if str(error).startswith(place.split(" ")[0] + " on backend"):
            raise
        raise AssertionError(f"{place}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{place}: {type(error).__name__}: {error}") from error
