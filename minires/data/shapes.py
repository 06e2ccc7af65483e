"""A built-in image set shaped like CIFAR-10: ten shapes, drawn by NumPy, nothing to download.

Every image holds one large shape on a cluttered background. The class is the outline and nothing
else: colours, gradients and textures are drawn without looking at the label, every shape is scaled
to the same area, and size, position, tilt and stretch are random. What a network has to learn is
geometry, which is what convolutions and depth are for. The shapes stand upright, like most things
in photographs, and lean by at most 14 degrees; a mirrored or slightly shifted shape keeps its
class, so the usual augmentation (horizontal flips, crops shifted by up to 4 pixels) applies.

The outlines are in `outlines.py`, the clutter and the paint in `drawing.py`.

Same seed, same bytes
---------------------
The arrays depend on the arguments only, not on the machine or the NumPy version: see `drawing.py`.
"""

import numpy as np

from minires.arguments import integer
from minires.data.dataset import Dataset
from minires.data.drawing import (
    Draws,
    far_colour,
    finished,
    paint,
    paint_blob,
    paint_stroke,
    pixel_grid,
    surface,
)
from minires.data.outlines import CLASSES, posed_distance

SMALLEST_IMAGE, LARGEST_IMAGE = 8, 64

# Images drawn together. A part of the stream's layout: another number gives other images.
_CHUNK = 128

# How hard the set is; measured by training, see load_shapes. Lengths are shares of the image side.
_SIDE = (0.46, 0.58)  # square root of the shape's area
_SHIFT = 0.05  # the centre is at most this far from the middle, along x and along y
TILT = 0.12  # tangent of half the largest angle by which a shape leans: 14 degrees
STRETCH = 0.10  # width over height is up to this share away from one
_COLOURS = 10  # the shape gets the one of these that is farthest from the background's
_BLOBS, _STROKES = 2, 1  # distractors, behind the shape
_LARGEST_BLOB = 0.11  # radius
_NOISE = 0.04


def _shape_distance(draws: Draws, labels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance, in pixels, to one shape per image, at a random place and size."""
    size = x.shape[-1]
    x = x - draws.uniform(-_SHIFT * size, _SHIFT * size)
    y = y - draws.uniform(-_SHIFT * size, _SHIFT * size)
    tangent = draws.uniform(-TILT, TILT)
    side = draws.uniform(_SIDE[0] * size, _SIDE[1] * size)
    return posed_distance(labels, x, y, tangent, side, draws.uniform(1 - STRETCH, 1 + STRETCH))


def _draw(draws: Draws, labels: np.ndarray, size: int) -> np.ndarray:
    """One image per label: uint8, (len(labels), size, size, 3)."""
    x, y = pixel_grid(len(labels), size)
    background = draws.uniform(0, 1, 3)
    image = surface(draws, background, x, y)
    for _ in range(_BLOBS):
        paint_blob(draws, image, x, y, _LARGEST_BLOB)
    for _ in range(_STROKES):
        paint_stroke(draws, image, x, y)
    inside = surface(draws, far_colour(draws, background, _COLOURS), x, y)
    paint(image, _shape_distance(draws, labels, x, y), inside)
    return finished(draws, image, _NOISE)


def _split(count: int, seed: int, stream: int, size: int) -> Dataset:
    bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream,)))
    # Equal numbers of every class, then a shuffle: the order that sorts random words.
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    labels = labels[np.argsort(bits.random_raw(count), kind="stable")]
    images = np.empty((count, size, size, 3), np.uint8)
    for start in range(0, count, _CHUNK):
        chunk = labels[start : start + _CHUNK]
        images[start : start + _CHUNK] = _draw(Draws(bits, len(chunk)), chunk, size)
    return Dataset("shapes", images, labels, CLASSES)


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
    TypeError, ValueError
        If an argument is not an integer, or out of range.

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
    where = "load_shapes"
    train_size = integer(where, "train_size", train_size, least=1)
    test_size = integer(where, "test_size", test_size, least=1)
    seed = integer(where, "seed", seed, least=0)
    image_size = integer(where, "image_size", image_size, SMALLEST_IMAGE, LARGEST_IMAGE)
    return _split(train_size, seed, 0, image_size), _split(test_size, seed, 1, image_size)
