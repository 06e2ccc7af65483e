"""gradcheck: compare backward with numerical gradients.

For a function f of some inputs and a fixed random cotangent u, the number L = sum(u * f(inputs))
has one gradient, computed twice: by `backward`, and by central differences
(L(x + h) - L(x - h)) / 2h. A *random* cotangent matters: the plain sum of a batch norm's output,
for one, does not depend on its input at all, so u = 1 would pass almost any backward.

In float64 central differences are good to about 1e-9; what differs by more than 1e-6 is a bug.
Except at a kink (ReLU at 0, max pooling with a tie), where there is no gradient to compare with:
kinks are noticed by their one-sided slopes and reported as such.

`differences.py` has the differences, `suspects.py` the hints, `variations.py` what `shapes=`
checks.
"""

from collections.abc import Callable, Sequence

from minires import backend, nn, variations
from minires.differences import Tolerances, compare
from minires.function import Function, calling
from minires.suspects import GradcheckError as GradcheckError
from minires.tensor import Tensor, as_tensor


def gradcheck(
    fn: Callable,
    inputs: Tensor | Sequence | None = None,
    *,
    shapes: Sequence | None = None,
    draw: Callable | None = None,
    mode: str = "auto",
    eps: float = 1e-6,
    rtol: float = 1e-6,
    atol: float = 1e-7,
    directions: int = 4,
    seed: int = 0,
) -> bool:
    """Check the backward of `fn` against numerical gradients, at `inputs` or at `shapes`.

    >>> gradcheck(F.relu, [x])
    >>> gradcheck(nn.Conv2d(3, 4, 3), shapes=(2, 5, 5, 3))

    Parameters
    ----------
    fn : callable, subclass of Function, or Module
        Tensors in, one Tensor of any shape out; deterministic. The parameters of a Module are
        checked, too. For the time of the check they and its buffers are float64 and other numbers,
        at which no gradient vanishes by chance; afterwards all is as it was.
    inputs : Tensor, or sequence of Tensor or array, float64
        The arguments of `fn`. Checked are the Tensors that require a gradient (all of them, if
        none does); integer inputs are handed on as they are.
    shapes : shape, list of shapes, or list of lists of shapes
        Instead of `inputs`: the shape of the one input; of all inputs; or several such cases.
        Inputs are drawn away from zero and from each other. Each case is checked as it is, with a
        batch of one and with odd sizes where `fn` takes them; a Module in training and in
        evaluation; and each with views in the place of arrays and with two uses in one graph.
    draw : callable
        ``draw(rng, shape)`` makes an input for `shapes`, instead of that.
    mode : "auto", "full" or "directional"
        "full" differentiates by every entry (2 calls of `fn` each) and names the worst; for big
        inputs "directional" differentiates each input along `directions` random directions.
    eps : float
        The step h, relative to max(1, |x|) in full mode.
    rtol, atol : float
        Allowed is |backward - numerical| <= atol + rtol * max(|backward|, |numerical|), and on top
        of it the round-off of the differences.
    seed : int
        Seed of the cotangent, the directions and the drawn inputs; with `shapes` or a Module also
        of `minires.seed` before each call of `fn`.

    Returns
    -------
    bool
        True. A failed check raises.

    Raises
    ------
    GradcheckError
        If gradients disagree: the report names the worst entry, its index, both values and what
        explains the numbers. If an input lies at a kink. If `fn` is not deterministic.
    TypeError, ValueError
        If an input is not float64, nothing needs a gradient, or an argument is none of these.
    """
    if mode not in ("auto", "full", "directional"):
        raise ValueError(f"gradcheck: mode is auto, full or directional, but is {mode!r}")
    if not callable(fn) or (isinstance(fn, type) and not issubclass(fn, Function)):
        what = f"the class {fn.__name__}" if isinstance(fn, type) else f"a {type(fn).__name__}"
        raise TypeError(f"gradcheck: expected a function or a Module, got {what}")
    if isinstance(fn, type):
        fn = calling(fn)
    if (inputs is None) == (shapes is None):
        raise ValueError("gradcheck: give either inputs or shapes=")
    how = Tolerances(mode, eps, rtol, atol, directions, seed)
    if shapes is not None:
        variations.check(fn, shapes, how, draw)
        return True
    tensors = _prepare(inputs)
    if isinstance(fn, nn.Module):
        with backend.own_generator(seed), variations.converted(fn, seed) as module:
            checked = [tensor.requires_grad for tensor in tensors]
            compare(module.problem([tensor.numpy() for tensor in tensors], checked), how)
        return True
    if not any(tensor.requires_grad for tensor in tensors):
        raise ValueError("gradcheck: there is no floating input to differentiate by")
    arrays = [tensor.numpy().copy() for tensor in tensors]
    checked = [tensor.requires_grad for tensor in tensors]
    compare(variations.function_problem(fn, arrays, checked), how)
    return True


def _prepare(inputs) -> list[Tensor]:
    """Fresh leaf Tensors; those to be checked require a gradient."""
    inputs = inputs if isinstance(inputs, list | tuple) else (inputs,)
    given = [as_tensor(value) for value in inputs]
    some = any(tensor.requires_grad for tensor in given)
    tensors = []
    for i, tensor in enumerate(given):
        check = tensor.dtype.kind == "f" and (tensor.requires_grad or not some)
        if check and tensor.dtype != "float64":
            raise TypeError(
                f"gradcheck: input {i} is {tensor.dtype}; numerical gradients need float64 (in "
                f"float32 round-off hides all but gross errors): pass array.astype(np.float64)"
            )
        tensors.append(Tensor(backend.asarray(tensor.numpy().copy()), requires_grad=check))
    return tensors
