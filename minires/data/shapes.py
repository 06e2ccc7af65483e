"""A built-in image set shaped like CIFAR-10: ten shapes, drawn by NumPy, nothing to download.

Every image holds one large shape on a cluttered background. The class is the outline and nothing
else: colours, gradients and textures are drawn without looking at the label, every shape is scaled
to the same area, and size, position, tilt and stretch are random. What a network has to learn is
geometry, which is what convolutions and depth are for. The shapes stand upright, like most things
in photographs, and lean by at most 14 degrees; a mirrored or slightly shifted shape keeps its
class, so the usual augmentation (horizontal flips, crops shifted by up to 4 pixels) applies.

How an image is made
--------------------
A shape is a *signed distance*: a function of the plane that is negative inside, positive outside,
and about the distance to the edge near it. Three primitives (disc, box, half-plane) are combined
with ``min`` (union), ``max`` (intersection) and negation (complement). One pixel is covered by the
share ``clip(0.5 - distance, 0, 1)``, which is the anti-aliasing.

Same seed, same bytes
---------------------
The arrays depend on the arguments only, not on the machine or the NumPy version: random bits come
raw from PCG64, whose stream NumPy guarantees (it does not guarantee the distributions built on
it), and from there on only ``+ - * / sqrt min max`` in float32 are used, element by element,
which IEEE 754 rounds the same everywhere. No sin, no exp, no sums over an axis, no matmul.
"""

import math
import operator

import numpy as np

from minires.data.dataset import DataError, Dataset

SMALLEST_IMAGE, LARGEST_IMAGE = 8, 64

# Images drawn together. A part of the stream's layout: another number gives other images.
_CHUNK = 128

# How hard the set is; measured by training, see load_shapes. Lengths are shares of the image side,
# colours run from 0 to 1.
_SIDE = (0.46, 0.58)  # square root of the shape's area
_SHIFT = 0.05  # the centre is at most this far from the middle, along x and along y
_TILT = 0.12  # tangent of half the largest angle by which a shape leans: 14 degrees
_STRETCH = 0.10  # width over height is up to this share away from one
_COLOUR_CANDIDATES = 10  # the shape gets the one farthest from the background's colour
_RAMP = 0.12  # linear gradient from one border of the image to the other
_TEXTURE = 0.10  # smooth blotches, in the background and in the shape
_BLOBS, _STROKES = 2, 1  # distractors, behind the shape
_NOISE = 0.04  # per pixel and channel, triangular between -_NOISE and +_NOISE


def _disc(x, y, radius):
    return np.sqrt(x * x + y * y) - radius


def _box(x, y, half_width, half_height):
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _half_plane(x, y, normal_x, normal_y, offset):
    """Negative on the side that the unit normal points away from."""
    return normal_x * x + normal_y * y - offset


def _wedge(x, y, normal_x, normal_y, base, apex):
    """A triangle that mirrors in the y axis: flat bottom at y = base, tip at y = apex."""
    flank = _half_plane(np.abs(x), y, normal_x, normal_y, normal_y * apex)
    return np.maximum(flank, base - y)


# Angles enter as cosines and sines with their closed forms, so that no sin() or cos() is called.
_SIN30, _COS30 = 0.5, math.sqrt(0.75)
_COS36 = (1 + math.sqrt(5)) / 4
_SIN36 = math.sqrt(1 - _COS36 * _COS36)


def _circle(x, y):
    return _disc(x, y, 1.0)


def _semicircle(x, y):
    y = y + 0.4244  # the centre of gravity comes to the origin; likewise below
    return np.maximum(_disc(x, y, 1.0), -y)


def _square(x, y):
    return _box(x, y, 1.0, 1.0)


def _triangle(x, y):
    return _wedge(x, y, _COS30, _SIN30, -0.5, 1.0)


def _star(x, y):
    # Two mirrors fold the plane onto one tenth of the star, which has a single straight edge,
    # from the tip (0, 1) to the notch 36 degrees away at radius 0.45.
    x = np.abs(x)
    for normal_x, normal_y in ((_COS36, -_SIN36), (-_COS36, -_SIN36)):
        beyond = 2 * np.maximum(normal_x * x + normal_y * y, 0)
        x = x - beyond * normal_x
        y = y - beyond * normal_y
    x = np.abs(x)
    edge_x, edge_y = 0.45 * _SIN36, 0.45 * _COS36 - 1
    length = math.sqrt(edge_x * edge_x + edge_y * edge_y)
    return _half_plane(x, y, -edge_y / length, edge_x / length, edge_x / length)


def _cross(x, y):
    return np.minimum(_box(x, y, 1.0, 0.32), _box(x, y, 0.32, 1.0))


def _ring(x, y):
    return np.maximum(_disc(x, y, 1.0), -_disc(x, y, 0.55))


def _crescent(x, y):
    x = x - 0.386
    return np.maximum(_disc(x, y, 1.0), -_disc(x - 0.5, y, 0.8))


def _heart(x, y):
    # A square standing on its corner and a disc on the middle of either upper edge.
    x, y = np.abs(x), y + 0.31
    half = math.sqrt(0.5)
    return np.minimum(_half_plane(x, np.abs(y), half, half, half), _disc(x - 0.5, y - 0.5, half))


def _arrow(x, y):
    head = _wedge(x, y, 0.8, 0.6, -0.05, 1.0)
    return np.minimum(head, _box(x, y + 0.5, 0.26, 0.5))


# Class name: its signed distance and the area that this encloses (the tests measure it), by which
# every shape is scaled to the same area.
_SHAPES = {
    "circle": (_circle, 3.1416),
    "semicircle": (_semicircle, 1.5708),
    "square": (_square, 4.0),
    "triangle": (_triangle, 1.2990),
    "star": (_star, 1.3225),
    "cross": (_cross, 2.1504),
    "ring": (_ring, 2.1913),
    "crescent": (_crescent, 1.5295),
    "heart": (_heart, 3.5708),
    "arrow": (_arrow, 1.3209),
}
CLASSES = tuple(_SHAPES)


class _Draws:
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


def _blotches(draws: _Draws, cells: int, size: int) -> np.ndarray:
    """Value noise: random colours on a coarse grid, interpolated; (count, 3, size, size) in +-1."""
    grid = draws.uniform(-1, 1, 3, cells + 1, cells + 1)
    # Integer division keeps the grid positions exact.
    at = np.arange(size) * cells
    cell, weight = at // size, (at % size).astype(np.float32) / np.float32(size)
    rows = grid[:, :, cell] + weight[:, None] * (grid[:, :, cell + 1] - grid[:, :, cell])
    return rows[..., cell] + weight * (rows[..., cell + 1] - rows[..., cell])


def _surface(draws: _Draws, colour: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`colour` with a linear gradient and two octaves of blotches; (count, 3, size, size)."""
    size = x.shape[-1]
    along_x, along_y = draws.direction()
    tint = draws.uniform(-_RAMP, _RAMP, 3)
    strength = draws.uniform(0, _TEXTURE)
    ramp = (along_x * x + along_y * y) * np.float32(2 / size)
    coarse, fine = _blotches(draws, 3, size), _blotches(draws, 8, size)
    return colour + tint * ramp + strength * (np.float32(0.6) * coarse + np.float32(0.4) * fine)


def _far_colour(draws: _Draws, other: np.ndarray) -> np.ndarray:
    """The candidate farthest from the colour `other`, so that a shape is rarely invisible."""
    best, farthest = None, None
    for _ in range(_COLOUR_CANDIDATES):
        colour = draws.uniform(0, 1, 3)
        gap = colour - other
        gap = (gap * gap)[:, :1] + (gap * gap)[:, 1:2] + (gap * gap)[:, 2:]
        if best is None:
            best, farthest = colour, gap
        else:
            best = np.where(gap > farthest, colour, best)
            farthest = np.maximum(gap, farthest)
    return best


def _paint(image: np.ndarray, distance: np.ndarray, colour: np.ndarray) -> None:
    """Cover the pixels of `image` where `distance` (in pixels) is negative, edges blended."""
    image += np.clip(np.float32(0.5) - distance, 0, 1) * (colour - image)


def _paint_blob(draws: _Draws, image: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """A small disc anywhere."""
    size = x.shape[-1]
    across, up = draws.uniform(-size / 2, size / 2), draws.uniform(-size / 2, size / 2)
    radius = draws.uniform(0.03 * size, 0.11 * size)
    _paint(image, _disc(x - across, y - up, radius), draws.uniform(0, 1, 3))


def _paint_stroke(draws: _Draws, image: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """A thin straight stroke through a random point, in a random direction."""
    size = x.shape[-1]
    across, up = draws.uniform(-size / 2, size / 2), draws.uniform(-size / 2, size / 2)
    along_x, along_y = draws.direction()
    half_length = draws.uniform(0.1 * size, 0.4 * size)
    half_width = draws.uniform(0.012 * size, 0.03 * size)
    x, y = x - across, y - up
    stroke = _box(along_x * x + along_y * y, along_x * y - along_y * x, half_length, half_width)
    _paint(image, stroke, draws.uniform(0, 1, 3))


def _shape_distance(draws: _Draws, labels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance, in pixels, to one shape per image, placed, turned, scaled and stretched."""
    size = x.shape[-1]
    x = x - draws.uniform(-_SHIFT * size, _SHIFT * size)
    y = y - draws.uniform(-_SHIFT * size, _SHIFT * size)
    tangent = draws.uniform(-_TILT, _TILT)  # of half the angle: sine and cosine are rational in it
    cosine = (1 - tangent * tangent) / (1 + tangent * tangent)
    sine = 2 * tangent / (1 + tangent * tangent)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    side = draws.uniform(_SIDE[0] * size, _SIDE[1] * size)
    # One axis grows by what the other loses: the area stays.
    stretch = np.sqrt(draws.uniform(1 - _STRETCH, 1 + _STRETCH))
    x, y = x * stretch, y / stretch
    distance = np.empty_like(x)
    for index, (shape, area) in enumerate(_SHAPES.values()):
        members = labels == index
        pixels = side[members] / np.float32(math.sqrt(area))
        distance[members] = shape(x[members] / pixels, y[members] / pixels) * pixels
    return distance


def _draw(draws: _Draws, labels: np.ndarray, size: int) -> np.ndarray:
    """One image per label: uint8, (len(labels), size, size, 3)."""
    centred = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    x = np.broadcast_to(centred, (len(labels), 1, size, size))
    y = np.broadcast_to(-centred[:, None], x.shape)

    background = draws.uniform(0, 1, 3)
    image = _surface(draws, background, x, y)
    for _ in range(_BLOBS):
        _paint_blob(draws, image, x, y)
    for _ in range(_STROKES):
        _paint_stroke(draws, image, x, y)
    inside = _surface(draws, _far_colour(draws, background), x, y)
    _paint(image, _shape_distance(draws, labels, x, y), inside)
    image += np.float32(_NOISE) * draws.noise(3, size, size)
    levels = np.clip(image * np.float32(255) + np.float32(0.5), 0, 255)
    return levels.astype(np.uint8).transpose(0, 2, 3, 1)


def _split(count: int, seed: int, stream: int, size: int) -> Dataset:
    bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream,)))
    # Equal numbers of every class, then a shuffle: the order that sorts random words.
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    labels = labels[np.argsort(bits.random_raw(count), kind="stable")]
    images = np.empty((count, size, size, 3), np.uint8)
    for start in range(0, count, _CHUNK):
        chunk = labels[start : start + _CHUNK]
        images[start : start + _CHUNK] = _draw(_Draws(bits, len(chunk)), chunk, size)
    return Dataset("shapes", images, labels, CLASSES)


def _checked(name: str, value: object, low: int, high: int | None = None) -> int:
    """`value` as an int, if it is one and lies in range."""
    allowed = f"from {low} to {high}" if high is not None else f"of at least {low}"
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        raise DataError(f"load_shapes: {name} must be an integer {allowed}, got {value!r}.")
    return number


def load_shapes(
    train_size: int = 5000, test_size: int = 1000, seed: int = 0, image_size: int = 32
) -> tuple[Dataset, Dataset]:
    """Draw a training set and a test set of ten shapes.

    Parameters
    ----------
    train_size, test_size : int, at least 1
        Numbers of images. The classes differ by at most one image in number and come shuffled.
    seed : int, at least 0
        Another seed draws other images. The test set does not depend on `train_size`, nor the
        training set on `test_size`: each has its own stream of random bits.
    image_size : int, 8 to 64
        Height and width in pixels. Below about 16 the shapes are hard to tell apart; 8 is there
        for simulations where only the array shapes matter.

    Returns
    -------
    train, test : Dataset
        Both named ``"shapes"``, images uint8 of shape (N, image_size, image_size, 3). The same
        arguments give the same bytes on every machine and NumPy version.

    Raises
    ------
    DataError
        If an argument is not an integer or out of range.

    Notes
    -----
    How hard it is, measured on the default sizes when the set was calibrated, with the networks
    written in PyTorch 2.13 (2-core CPU, 2026-11-22, by a script that was not kept): 6 epochs of 39
    batches of 128, SGD with momentum 0.9, learning rate 0.1 divided by 10 after a half and three
    quarters of the steps (0.01 for the linear classifier and the MLP), weight decay 1e-4, flips
    and crops. Test accuracy in percent, one number per seed of the initial weights and the order
    of the images:

    ===================================  ================
    ResNet-20                            99.5, 97.4, 98.9
    ResNet-8                             95.8, 80.2, 97.6
    20 layers without shortcuts          99.9, 99.5
    MLP with 256 hidden units            53.0
    linear classifier (SGD)              18.9
    linear classifier (best ridge)       29.6
    ===================================  ================

    So short a run decides how fast a network learns as much as how well: a shallow network is
    sometimes in time and sometimes not, and accuracies of one network differ by some percent.
    """
    train_size = _checked("train_size", train_size, 1)
    test_size = _checked("test_size", test_size, 1)
    seed = _checked("seed", seed, 0)
    image_size = _checked("image_size", image_size, SMALLEST_IMAGE, LARGEST_IMAGE)
    return _split(train_size, seed, 0, image_size), _split(test_size, seed, 1, image_size)
