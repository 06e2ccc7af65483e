"""Exercises of lesson 4: pooling."""

import numpy as np

from minires.judging import Mistake, Question

RNG = np.random.default_rng(4)


def _draw(*shape):
    return RNG.standard_normal(shape)


def _places(dy, size, stride):
    """For each place of the window: its number, and the pixels that it meets."""
    ho, wo = dy.shape[1:3]
    for i in range(size):
        for j in range(size):
            rows = slice(i, i + (ho - 1) * stride + 1, stride)
            columns = slice(j, j + (wo - 1) * stride + 1, stride)
            yield i * size + j, (slice(None), rows, columns)


def _mean(dy, x_shape, size, stride):
    dx = np.zeros(x_shape)
    for _, place in _places(dy, size, stride):
        dx[place] += dy / size**2
    return dx


def _mean_overwritten(dy, x_shape, size, stride):
    dx = np.zeros(x_shape)
    for _, place in _places(dy, size, stride):
        dx[place] = dy / size**2
    return dx


def _flat(x, size, stride):
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[:, ::stride, ::stride]
    return view.reshape(*view.shape[:4], size * size)


def _largest(x, size, stride):
    flat = _flat(x, size, stride)
    return flat.max(-1), flat.argmax(-1)


def _last(x, size, stride):
    flat = _flat(x, size, stride)
    return flat.max(-1), size * size - 1 - flat[..., ::-1].argmax(-1)


def _transposed(x, size, stride):
    y, winner = _largest(x, size, stride)
    i, j = np.divmod(winner, size)
    return y, j * size + i


def _smallest(x, size, stride):
    flat = _flat(x, size, stride)
    return flat.min(-1), flat.argmin(-1)


def _back(dy, winner, x_shape, size, stride):
    dx = np.zeros(x_shape)
    for number, place in _places(dy, size, stride):
        dx[place] += np.where(winner == number, dy, 0)
    return dx


def _back_overwritten(dy, winner, x_shape, size, stride):
    dx = np.zeros(x_shape)
    for index in np.ndindex(dy.shape):
        n, p, q, c = index
        i, j = divmod(int(winner[index]), size)
        dx[n, p * stride + i, q * stride + j, c] = dy[index]
    return dx


def _back_place_by_place(dy, winner, x_shape, size, stride):
    dx = np.zeros(x_shape)
    for number, place in _places(dy, size, stride):
        dx[place] = np.where(winner == number, dy, 0)
    return dx


def _back_shared(dy, winner, x_shape, size, stride):
    return _mean(dy, x_shape, size, stride)


def _back_transposed(dy, winner, x_shape, size, stride):
    i, j = np.divmod(winner, size)
    return _back(dy, j * size + i, x_shape, size, stride)


def _global(dy, x_shape):
    return np.broadcast_to(dy[:, None, None] / (x_shape[1] * x_shape[2]), x_shape)


TIES = np.round(_draw(2, 5, 6, 3))
MEAN = (
    (_draw(2, 3, 3, 2), (2, 8, 7, 2), 3, 2),
    (_draw(1, 3, 2, 1), (1, 6, 4, 1), 2, 2),
)
MAX = ((TIES, 2, 2), (_draw(1, 7, 5, 2), 3, 2))
BACK = tuple(
    (
        _draw(*_largest(x, size, stride)[0].shape),
        _largest(x, size, stride)[1],
        x.shape,
        size,
        stride,
    )
    for x, size, stride in ((_draw(2, 7, 7, 2), 3, 2), (_draw(1, 6, 5, 3), 3, 1), (TIES, 2, 2))
)

QUESTIONS = {
    1: Question(
        _mean,
        MEAN,
        (
            Mistake(
                "what comes out when overlapping windows overwrite each other", _mean_overwritten
            ),
            Mistake(
                "the sum's gradient: the mean's slope is 1 / size**2",
                lambda dy, s, size, stride: size**2 * _mean(dy, s, size, stride),
            ),
            Mistake(
                "divided by size, not by size squared",
                lambda dy, s, size, stride: size * _mean(dy, s, size, stride),
            ),
        ),
        names=("dy", "x_shape", "size", "stride"),
        parts=("dx",),
    ),
    2: Question(
        _largest,
        MAX,
        (
            Mistake("that with the last of equal pixels; the first is asked for", _last),
            Mistake("that with the number j * size + i: rows and columns exchanged", _transposed),
            Mistake("that of the smallest pixel", _smallest),
        ),
        names=("x", "size", "stride"),
        parts=("y", "winner"),
    ),
    3: Question(
        _back,
        BACK,
        (
            Mistake(
                "what comes out when a pixel that wins twice gets only one dy: use +=",
                _back_overwritten,
            ),
            Mistake(
                "what comes out when each place of the window replaces what others wrote",
                _back_place_by_place,
            ),
            Mistake("the backward of the mean: every pixel gets a share", _back_shared),
            Mistake("that with rows and columns of the winner exchanged", _back_transposed),
        ),
        names=("dy", "winner", "x_shape", "size", "stride"),
        parts=("dx",),
    ),
    4: Question(
        25,
        mistakes=(
            Mistake("the count for windows that do not overlap", 1),
            Mistake("the count along one axis", 5),
            Mistake("the count for windows of 3 x 3", 9),
        ),
    ),
    5: Question(
        _global,
        ((_draw(2, 3), (2, 4, 5, 3)), (_draw(1, 2), (1, 3, 3, 2))),
        (
            Mistake(
                "the gradient of the sum: the mean's slope is 1 / (H W)",
                lambda dy, s: np.broadcast_to(dy[:, None, None], s),
            ),
            Mistake(
                "divided by H W C or by all elements; a channel has H W pixels",
                lambda dy, s: np.broadcast_to(dy[:, None, None] / (s[1] * s[2] * s[3]), s),
            ),
        ),
        names=("dy", "x_shape"),
        parts=("dx",),
    ),
}
"""By number."""
