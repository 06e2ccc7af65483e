"""Loss and accuracy of a model on a data set."""

from collections.abc import Callable

from minires import backend, nn
from minires import functional as F
from minires.data.dataset import Dataset
from minires.data.loader import Loader
from minires.data.normalization import Normalization
from minires.tensor import no_grad


def evaluate(
    model: nn.Module,
    dataset: Dataset,
    normalization: Normalization | None = None,
    batch_size: int = 256,
    progress: Callable[[int], object] | None = None,
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0 to 1), in evaluation mode; every mode is restored.

    `progress`, if given, is called with the number of images after each batch.
    """
    metrics = Metrics()
    with nn.evaluating(model), no_grad():
        for x, labels in Loader(dataset, normalization, batch_size):
            logits = model(x)
            metrics.add(F.cross_entropy(logits, labels).data, logits.data, labels)
            if progress:
                progress(len(labels))
    return metrics.read()


class Metrics:
    """Running loss and accuracy, summed on the device and read only when a number is shown.

    The sums stay in the same two arrays, `loss_sum` and `correct`, on which a graph can work.
    """

    def __init__(self, loss_sum: float = 0.0, correct: int = 0, count: int = 0):
        self.loss_sum, self.correct = backend.asarray(0.0, "f8"), backend.asarray(0, "i8")
        self.reset(loss_sum, correct, count)

    def reset(self, loss_sum: float = 0.0, correct: int = 0, count: int = 0) -> None:
        """Start again from zero, or from `state`."""
        self.loss_sum[...], self.correct[...] = loss_sum, correct
        self.count = count

    def add(self, loss, logits, labels) -> None:
        """One batch: its mean loss, logits (N, K), labels (N,)."""
        backend.kernel("metrics").accumulate(loss, logits, labels, self.loss_sum, self.correct)
        self.count += len(labels)

    def read(self) -> tuple[float, float]:
        """Mean loss and accuracy (0 to 1) so far."""
        state = self.state()
        return state["loss_sum"] / self.count, state["correct"] / self.count

    def state(self) -> dict:
        """Plain numbers, with which to make the same Metrics again."""
        return {
            "loss_sum": float(backend.to_numpy(self.loss_sum)),
            "correct": int(backend.to_numpy(self.correct)),
            "count": self.count,
        }
