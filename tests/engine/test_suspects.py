"""Each hint of gradcheck is right: a backward with that mistake, planted, is named so."""

import numpy as np
import pytest

import minires as mr
from minires import Tensor, nn
from minires.function import Function
from minires.gradcheck import GradcheckError, gradcheck

AXES = (0,)


def made(forward, backward):
    """A differentiable function of two functions on arrays."""

    class Made(Function):
        def forward(self, *arrays):
            self.saved = arrays
            return forward(*arrays)

        def backward(self, dy):
            return backward(dy, *self.saved)

    return lambda *tensors: Made()(*tensors)


def square(backward):
    return made(lambda x: x * x, lambda dy, x: (backward(dy, x),))


def spoiled(place, factor=0.5):
    """2 x dy, but in one place multiplied by a factor."""

    def backward(dy, x):
        dx = 2 * x * dy
        dx[place] *= factor
        return dx

    return square(backward)


def scaled(dx=lambda dy, x, w: dy * w, dw=lambda dy, x, w: (dy * x).sum(0)):
    """x w with a weight for each column."""
    return made(lambda x, w: x * w, lambda dy, x, w: (dx(dy, x, w), dw(dy, x, w)))


def product(da=lambda dy, a, b: dy @ b.T, db=lambda dy, a, b: a.T @ dy):
    return made(lambda a, b: a @ b, lambda dy, a, b: (da(dy, a, b), db(dy, a, b)))


def mirrored(dx):
    """The columns in the reverse order, times numbers that differ."""
    return made(lambda x: x[:, ::-1] ** 2, lambda dy, x: (dx(dy, x),))


def norm(dx, axes=AXES):
    """gamma * (x - mean) / std over axes, with the backward dx(dx_hat, x_hat, inv_std, gamma)."""

    def statistics(x):
        inv_std = 1 / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
        return (x - x.mean(axes, keepdims=True)) * inv_std, inv_std

    def backward(dy, x, gamma):
        x_hat, inv_std = statistics(x)
        others = tuple(range(x.ndim - 1))
        return dx(dy * gamma, x_hat, inv_std, gamma), (dy * x_hat).sum(others)

    return made(lambda x, gamma: statistics(x)[0] * gamma, backward)


def mean(array, axes=AXES):
    return array.mean(axes, keepdims=True)


def right(d, h, s, g, axes=AXES):
    return s * (d - mean(d, axes) - h * mean(d * h, axes))


ROWS = {"shapes": [(7, 3), (3,)]}
SHAPES = {"shapes": (5, 4)}
PLANTED = {
    "dy left out": (square(lambda dy, x: 2 * x), SHAPES, "does not depend on dy"),
    "dy squared": (square(lambda dy, x: 2 * x * dy**2), SHAPES, "with the square of dy"),
    "sign": (square(lambda dy, x: -2 * x * dy), SHAPES, "the sign is wrong"),
    "twice": (square(lambda dy, x: 4 * x * dy), SHAPES, "2 times too large: .*added twice"),
    "twice, mostly zeros": (
        made(lambda x: x.max(keepdims=True), lambda dy, x: (2 * dy * (x == x.max()),)),
        SHAPES,
        "2 times too large",
    ),
    "half": (square(lambda dy, x: x * dy), SHAPES, "2 times too small"),
    "batch": (
        square(lambda dy, x: 2 * x * dy * len(x)),
        SHAPES,
        r"5 times too large \(5 is the batch, axis 0 of input 0\)",
    ),
    "mean for sum": (
        scaled(dw=lambda dy, x, w: (dy * x).mean(0)),
        ROWS,
        r"7 times too small \(7 is the batch.*sum taken as a mean",
    ),
    "gamma left out": (scaled(dx=lambda dy, x, w: dy), ROWS, "left out: times input 1 it would"),
    "gamma twice": (scaled(dx=lambda dy, x, w: dy * w * w), ROWS, "input 1 is a factor once too"),
    "x left out": (square(lambda dy, x: 2 * dy), SHAPES, "left out: times input 0 it would"),
    "not summed": (
        scaled(dw=lambda dy, x, w: (dy * x)[0]),
        ROWS,
        "only the first row of dy along axis 0 counts: a broadcast not summed",
    ),
    "shape not summed": (
        scaled(dw=lambda dy, x, w: dy * x),
        ROWS,
        r"sum it over the axes along which the input was broadcast: \(0,\)",
    ),
    "transposed": (
        product(db=lambda dy, a, b: (a.T @ dy).T),
        {"shapes": [(2, 3), (3, 3)]},
        "transposed: axes 0 and 1",
    ),
    "shape transposed": (
        product(db=lambda dy, a, b: dy.T @ a),
        {"shapes": [(2, 3), (3, 4)]},
        "input of shape .*; it is transposed",
    ),
    "reshaped": (
        product(db=lambda dy, a, b: (dy.T @ a).reshape(b.shape)),
        {"shapes": [(2, 3), (3, 4)]},
        "a reshape where a transpose belongs",
    ),
    "flipped": (
        mirrored(lambda dy, x: 2 * x[:, ::-1] * dy),
        SHAPES,
        "flipped along axis 1",
    ),
    "one entry": (spoiled((1, 2)), SHAPES, r"\(1, 2\) of \(5, 4\)[^$]*only this entry is wrong, "),
    "last row": (
        spoiled(np.s_[-1]),
        SHAPES,
        "4 wrong entries all have index 4 along axis 0, the last one; the other 16",
    ),
    "zero": (square(lambda dy, x: 0 * dy), SHAPES, "zero for every entry"),
    "mean term": (
        norm(lambda d, h, s, g: s * (d - h * mean(d * h))),
        ROWS,
        "the term of the mean is left out, .* over axis 0",
    ),
    "variance term": (
        norm(lambda d, h, s, g: s * (d - mean(d))),
        ROWS,
        "the term of the variance is left out",
    ),
    "both terms": (
        norm(lambda d, h, s, g: s * d),
        ROWS,
        "of the mean and of the variance are left",
    ),
    "terms summed": (
        norm(lambda d, h, s, g: s * (d - d.sum(0) - h * (d * h).sum(0))),
        ROWS,
        "the terms of the mean and of the variance are summed where a mean belongs",
    ),
    "a term added": (
        norm(lambda d, h, s, g: s * (d + mean(d) - h * mean(d * h))),
        ROWS,
        "the term of the mean is added where it must be subtracted",
    ),
    "all rows": (
        made(lambda x, w: x * w, lambda dy, x, w: (dy * w, (dy * x).mean((0, 1)))),
        {"shapes": [(2, 3, 4), (4,)]},
        r"6 times too small \(6 is all axes of input 0 but the last\)",
    ),
    "norm without gamma": (
        norm(lambda d, h, s, g: right(d / g, h, s, g)),
        ROWS,
        "left out: times input 1 it would be right",
    ),
    "layer norm": (
        norm(lambda d, h, s, g: s * (d - h * mean(d * h, (1,))), (1,)),
        {"shapes": [(3, 6), (6,)]},
        "the term of the mean is left out, .* over axis 1",
    ),
    "batch norm of images": (
        norm(lambda d, h, s, g: s * d, (0, 1, 2)),
        {"shapes": [(2, 3, 3, 2), (2,)]},
        r"mean and of the variance are left out, .* over axes \(0, 1, 2\)",
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_named(mistake):
    fn, shapes, message = PLANTED[mistake]
    with pytest.raises(GradcheckError, match=message):
        gradcheck(fn, **shapes)


@pytest.mark.parametrize(
    "fn, shapes",
    [
        (square(lambda dy, x: 2 * x * dy), SHAPES),
        (scaled(), ROWS),
        (product(), {"shapes": [(2, 3), (3, 3)]}),
        (mirrored(lambda dy, x: 2 * x * dy[:, ::-1]), SHAPES),
        (norm(right), ROWS),
        (norm(lambda *a: right(*a, (1,)), (1,)), {"shapes": [(3, 6), (6,)]}),
    ],
)
def test_the_same_functions_without_a_mistake_pass(fn, shapes):
    assert gradcheck(fn, **shapes) is True


def test_a_mistake_that_is_none_of_them_is_not_named_as_one_of_them():
    with pytest.raises(GradcheckError, match="no simple factor"):
        gradcheck(square(lambda dy, x: 2.1 * x * dy), **SHAPES)
    with pytest.raises(GradcheckError, match="no simple factor"):
        gradcheck(square(lambda dy, x: x**3 * dy + dy), **SHAPES)


def test_a_function_of_one_row_is_not_said_to_lack_a_sum():
    first = made(
        lambda x: np.concatenate([x[:1] ** 2, np.ones((2, 3))]),
        lambda dy, x: (np.concatenate([x[:1] ** 3 * dy[:1], 0 * x[1:]]),),
    )
    with pytest.raises(GradcheckError, match="hint: ") as report:
        gradcheck(first, shapes=(4, 3))
    assert "broadcast not summed" not in str(report.value)


def test_along_random_directions_factors_and_dy_are_still_named():
    for dx, message in (
        (lambda dy, x: -2 * x * dy, "the sign"),
        (lambda dy, x: 2 * x, "does not depend on dy"),
        (lambda dy, x: 6 * x * dy, "3 times too large"),
    ):
        with pytest.raises(GradcheckError, match=message):
            gradcheck(square(dx), shapes=(100, 60))


def test_a_parameter_is_named():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(np.ones(3, np.float32))

        def forward(self, x):
            return scaled(dx=lambda dy, x, w: dy)(x, self.weight)

    with pytest.raises(GradcheckError, match=r"worst at input, index[^$]*times weight it would be"):
        gradcheck(Scale(), shapes=(4, 3))


def test_an_error_in_backward_is_told_with_its_kind():
    with pytest.raises(GradcheckError, match="backward fails at .*IndexError: "):
        gradcheck(square(lambda dy, x: dy[7]), **SHAPES)


def test_no_suspect_is_found_in_right_gradients_of_a_network():
    with mr.use("numpy"):
        assert gradcheck(lambda x: (Tensor(np.eye(3)) @ x).tanh(), shapes=(3, 3))
