"""The detector's loss, made of the operations of Tensor: nothing here has a backward of its own."""

from minires import functional as F
from minires.paper.detection.detector import Predictions
from minires.paper.detection.grid import Targets
from minires.tensor import Tensor

BOX_WEIGHT = 2.0
"""Weight of the boxes' loss beside objectness and classes; YOLO has 5, with squared errors."""

BETA = 0.1
"""Where the smooth L1 loss goes over from a square to a line: 1.6 pixels."""


def binary_cross_entropy(logits: Tensor, targets) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)) with p = sigmoid(z), for each logit z: of its shape.

    Written as max(z, 0) - z t + log(1 + exp(-|z|)), where no exponential can overflow and no
    logarithm meets zero. max and |.| both have a kink at z = 0, where the function has none: at
    exactly this point the gradient comes out as -t instead of 1/2 - t.

    Parameters
    ----------
    logits : Tensor
    targets : array or Tensor of the same shape
        0 to 1.
    """
    return F.relu(logits) - logits * targets + (1 + (-logits.abs()).exp()).log()


def smooth_l1(difference: Tensor, beta: float) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, beyond |d| - beta / 2: of the shape of d.

    Girshick 2015, "Fast R-CNN", equation 3, there with beta = 1. With q = min(|d|, beta) it is
    q^2 / (2 beta) + |d| - q.
    """
    if not beta > 0:
        raise ValueError(f"smooth_l1: beta must be above 0, but is {beta}")
    size = difference.abs()
    small = size - F.relu(size - beta)
    return small * small * (0.5 / beta) + size - small


def detection_loss(predictions: Predictions, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """(objectness, classes, boxes), each a single number; their sum is the loss.

    Objectness is summed over all cells, classes and boxes over the cells with an object; all three
    are divided by the number of objects of the batch (at least one), so that a batch's loss is that
    of an average object. `BOX_WEIGHT` is in it already.
    """
    objects = max(1, len(targets.cells))
    objectness = binary_cross_entropy(predictions.objectness, targets.objectness).sum() / objects
    if len(targets.cells) == 0:
        nothing = objectness * 0
        return objectness, nothing, nothing
    # Only the cells with an object are looked at: some seventy of a batch's eight thousand.
    classes, offsets = (
        part.reshape(-1, part.shape[-1])[targets.cells]
        for part in (predictions.classes, predictions.offsets)
    )
    boxes = smooth_l1(offsets - targets.offsets, BETA).sum() * (BOX_WEIGHT / objects)
    return objectness, F.cross_entropy(classes, targets.labels), boxes
