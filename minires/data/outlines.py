"""The outlines of the ten shapes, as signed distances.

A shape is a function of the plane that is negative inside, positive outside, and about the distance
to the edge near it. Three primitives (disc, box, half-plane) are combined with ``min`` (union),
``max`` (intersection) and negation (complement). Only ``+ - * / sqrt min max`` are used, element by
element, which IEEE 754 rounds the same on every machine.
"""

import math

import numpy as np


def disc(x, y, radius):
    return np.sqrt(x * x + y * y) - radius


def box(x, y, half_width, half_height):
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
    return disc(x, y, 1.0)


def _semicircle(x, y):
    y = y + 0.4244  # the centre of gravity comes to the origin; likewise below
    return np.maximum(disc(x, y, 1.0), -y)


def _square(x, y):
    return box(x, y, 1.0, 1.0)


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
    return np.minimum(box(x, y, 1.0, 0.32), box(x, y, 0.32, 1.0))


def _ring(x, y):
    return np.maximum(disc(x, y, 1.0), -disc(x, y, 0.55))


def _crescent(x, y):
    x = x - 0.386
    return np.maximum(disc(x, y, 1.0), -disc(x - 0.5, y, 0.8))


def _heart(x, y):
    # A square standing on its corner and a disc on the middle of either upper edge.
    x, y = np.abs(x), y + 0.31
    half = math.sqrt(0.5)
    return np.minimum(_half_plane(x, np.abs(y), half, half, half), disc(x - 0.5, y - 0.5, half))


def _arrow(x, y):
    head = _wedge(x, y, 0.8, 0.6, -0.05, 1.0)
    return np.minimum(head, box(x, y + 0.5, 0.26, 0.5))


# Class name: its signed distance and the area that this encloses (the tests measure it), by which
# every shape is scaled to the same area.
OUTLINES = {
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
CLASSES = tuple(OUTLINES)


def posed_distance(
    labels: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    tangent: np.ndarray,
    side: np.ndarray,
    stretch: np.ndarray,
) -> np.ndarray:
    """Signed distance, in pixels, to one shape per image, turned, scaled and stretched.

    Parameters
    ----------
    labels : int array (N,)
        Which shape: an index of `CLASSES`.
    x, y : float32 (N, 1, H, W)
        Coordinates of the pixels in pixels, the shape's centre of gravity at the origin, y upwards.
    tangent, side, stretch : float32 (N, 1, 1, 1)
        Tangent of half the angle by which the shape leans, square root of its area in pixels, and
        the square of the factor by which it is narrower and taller than drawn.

    Returns
    -------
    float32 (N, 1, H, W)
    """
    # The tangent of half an angle gives its sine and cosine without another root.
    cosine = (1 - tangent * tangent) / (1 + tangent * tangent)
    sine = 2 * tangent / (1 + tangent * tangent)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    # One axis grows by what the other loses: the area stays.
    stretch = np.sqrt(stretch)
    x, y = x * stretch, y / stretch
    distance = np.empty_like(x)
    for index, (outline, area) in enumerate(OUTLINES.values()):
        members = labels == index
        pixels = side[members] / np.float32(math.sqrt(area))
        distance[members] = outline(x[members] / pixels, y[members] / pixels) * pixels
    return distance
