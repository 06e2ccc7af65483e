"""What trained networks say of the test images, also of shifted and mirrored ones."""

import numpy as np

from minires.data import Loader
from minires.paper.runs import Run
from minires.tensor import no_grad

PAD = 4
CENTRE = (PAD, PAD)


class View(Loader):
    """A Loader of all images, each shifted and mirrored in the same way.

    Parameters
    ----------
    offset : (int, int)
        The upper left corner of the crop in the image padded by 4 pixels; (4, 4) is the image.
    flip : bool
    """

    def __init__(self, dataset, normalization, offset=CENTRE, flip=False, batch_size: int = 256):
        super().__init__(dataset, normalization, batch_size, augment=True, pad=PAD)
        self.offset, self.flip = offset, flip

    def crops(self, epoch: int, batch: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The same for every image, where a Loader draws them."""
        return np.tile(np.int64(self.offset), (count, 1)), np.full(count, self.flip)


def probabilities(run: Run, views=((CENTRE, False),)) -> tuple[np.ndarray, np.ndarray]:
    """What a run's network gives each test image, for each view.

    Returns
    -------
    probabilities : float64, (views, N, classes)
        Softmax of the logits.
    labels : int64, (N,)
    """
    net, normalization = run.network()
    _, test_set = run.data_sets()
    found = []
    with no_grad():
        for offset, flip in views:
            loader = View(test_set, normalization, offset, flip)
            found.append(np.concatenate([softmax(net(x).numpy()) for x, _ in loader]))
    return np.stack(found), test_set.labels


def softmax(logits: np.ndarray) -> np.ndarray:
    """The softmax of each row, in float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Percent of the rows whose largest entry is not that of the label."""
    return 100 * float(np.mean(probabilities.argmax(axis=1) != labels))
