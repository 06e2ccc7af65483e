"""Colours, clutter and paint for synthetic images: the same bytes on every machine.

A pixel is covered by the share ``clip(0.5 - distance, 0, 1)`` of a shape, which is the
anti-aliasing.

Same seed, same bytes
---------------------
Random bits come raw from PCG64, whose stream NumPy guarantees (it does not guarantee the
distributions built on it), and from there on only ``+ - * / sqrt min max`` in float32 are used,
element by element, which IEEE 754 rounds the same everywhere. No sin, no exp, no sums over an axis,
no matmul.
"""

import math

import numpy as np

from minires.data.outlines import box, disc

# Lengths are shares of the image side, colours run from 0 to 1.
_RAMP = 0.12  # linear gradient from one border of the image to the other
_TEXTURE = 0.10  # smooth blotches, in the background and in the shape


class Draws:
    """Uniform numbers for `count` images, from raw bits: [0, 1) in steps of 2**-24."""

    def __init__(self, bits: np.random.PCG64, count: int):
        self.bits, self.count = bits, count

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """float32, (count, *shape) with trailing axes of length one up to rank four."""
        shape = (self.count, *shape)
        raw = self.bits.random_raw(math.prod(shape)) >> np.uint64(40)
        unit = raw.astype(np.float32) * np.float32(2**-24)
        return (low + (high - low) * unit).reshape(shape + (1,) * (4 - len(shape)))

    def direction(self) -> tuple[np.ndarray, np.ndarray]:
        """A unit vector: a point of the square, pulled onto the circle (no sin, no cos)."""
        x, y = self.uniform(-1, 1), self.uniform(-1, 1)
        length = np.sqrt(x * x + y * y) + np.float32(1e-12)
        return x / length, y / length

    def noise(self, *shape: int) -> np.ndarray:
        """float32, (count, *shape), triangular on (-1, 1): the difference of two bytes."""
        pairs = self.count * math.prod(shape)
        # Little-endian words: the same bytes in the same order on every machine.
        words = self.bits.random_raw((2 * pairs + 7) // 8).astype("<u8")
        octets = words.view(np.uint8)[: 2 * pairs].reshape(2, self.count, *shape)
        return (octets[0].astype(np.float32) - octets[1]) * np.float32(1 / 256)


def _blotches(draws: Draws, cells: int, size: int) -> np.ndarray:
    """Value noise: random colours on a coarse grid, interpolated; (count, 3, size, size) in +-1."""
    grid = draws.uniform(-1, 1, 3, cells + 1, cells + 1)
    # Integer division keeps the grid positions exact.
    at = np.arange(size) * cells
    cell, weight = at // size, (at % size).astype(np.float32) / np.float32(size)
    rows = grid[:, :, cell] + weight[:, None] * (grid[:, :, cell + 1] - grid[:, :, cell])
    return rows[..., cell] + weight * (rows[..., cell + 1] - rows[..., cell])


def surface(draws: Draws, colour: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`colour` with a linear gradient and two octaves of blotches; (count, 3, size, size)."""
    size = x.shape[-1]
    along_x, along_y = draws.direction()
    tint = draws.uniform(-_RAMP, _RAMP, 3)
    strength = draws.uniform(0, _TEXTURE)
    ramp = (along_x * x + along_y * y) * np.float32(2 / size)
    coarse, fine = _blotches(draws, 3, size), _blotches(draws, 8, size)
    return colour + tint * ramp + strength * (np.float32(0.6) * coarse + np.float32(0.4) * fine)


def far_colour(draws: Draws, other: np.ndarray, candidates: int) -> np.ndarray:
    """The farthest of some random colours from `other`, so that a shape is rarely invisible."""

    def draw() -> tuple[np.ndarray, np.ndarray]:
        colour = draws.uniform(0, 1, 3)
        square = (colour - other) * (colour - other)
        return colour, square[:, :1] + square[:, 1:2] + square[:, 2:]

    best, farthest = draw()
    for _ in range(candidates - 1):
        colour, distance = draw()
        best = np.where(distance > farthest, colour, best)
        farthest = np.maximum(distance, farthest)
    return best


def paint(image: np.ndarray, distance: np.ndarray, colour: np.ndarray) -> None:
    """Cover the pixels of `image` where `distance` (in pixels) is negative, edges blended."""
    image += np.clip(np.float32(0.5) - distance, 0, 1) * (colour - image)


def paint_blob(
    draws: Draws, image: np.ndarray, x: np.ndarray, y: np.ndarray, largest: float
) -> None:
    """A small disc anywhere, of a radius up to `largest`, as a share of the image side."""
    size = x.shape[-1]
    across, up = draws.uniform(-size / 2, size / 2), draws.uniform(-size / 2, size / 2)
    radius = draws.uniform(0.03 * size, largest * size)
    paint(image, disc(x - across, y - up, radius), draws.uniform(0, 1, 3))


def paint_stroke(draws: Draws, image: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """A thin straight stroke through a random point, in a random direction."""
    size = x.shape[-1]
    across, up = draws.uniform(-size / 2, size / 2), draws.uniform(-size / 2, size / 2)
    along_x, along_y = draws.direction()
    half_length = draws.uniform(0.1 * size, 0.4 * size)
    half_width = draws.uniform(0.012 * size, 0.03 * size)
    x, y = x - across, y - up
    stroke = box(along_x * x + along_y * y, along_x * y - along_y * x, half_length, half_width)
    paint(image, stroke, draws.uniform(0, 1, 3))


def pixel_grid(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """x to the right and y upwards from the image's middle, in pixels; (count, 1, size, size)."""
    centred = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    x = np.broadcast_to(centred, (count, 1, size, size))
    return x, np.broadcast_to(-centred[:, None], x.shape)


def finished(draws: Draws, image: np.ndarray, noise: float) -> np.ndarray:
    """The images as uint8 (count, size, size, 3); `image` is changed.

    `noise` is added per pixel and channel, triangular between -noise and +noise.
    """
    image += np.float32(noise) * draws.noise(*image.shape[1:])
    levels = np.clip(image * np.float32(255) + np.float32(0.5), 0, 255)
    return levels.astype(np.uint8).transpose(0, 2, 3, 1)
