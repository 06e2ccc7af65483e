"""Loss and accuracy of a model on a data set."""

from minires import backend
from minires import functional as F
from minires.data.dataset import Dataset
from minires.data.loader import Loader
from minires.data.normalization import Normalization
from minires.tensor import no_grad


def evaluate(
    model, dataset: Dataset, normalization: Normalization, batch_size: int = 256, progress=None
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0 to 1), in evaluation mode; every mode is restored.

    `progress`, if given, is called with the number of images after each batch.
    """
    modes = [(module, module.training) for _, module in model.named_modules()]
    model.eval()
    metrics = Metrics()
    try:
        with no_grad():
            for x, labels in Loader(dataset, normalization, batch_size):
                logits = model(x)
                metrics.add(F.cross_entropy(logits, labels).data, logits.data, labels)
                if progress:
                    progress(len(labels))
    finally:
        for module, training in modes:
            module.training = training
    return metrics.read()


class Metrics:
    """Running loss and accuracy, summed on the device and read only when a number is shown."""

    def __init__(self, loss_sum: float = 0.0, correct: int = 0, count: int = 0):
        xp = backend.xp()
        self.loss_sum, self.correct = xp.asarray(loss_sum, "f8"), xp.asarray(correct, "i8")
        self.count = count

    def add(self, loss, logits, labels) -> None:
        """One batch: its mean loss, logits (N, K), labels (N,)."""
        self.loss_sum = self.loss_sum + loss.astype("f8") * len(labels)
        self.correct = self.correct + (logits.argmax(axis=1) == labels).sum()
        self.count += len(labels)

    def read(self) -> tuple[float, float]:
        """Mean loss and accuracy (0 to 1) so far."""
        return float(self.loss_sum) / self.count, int(self.correct) / self.count

    def state(self) -> dict:
        """Plain numbers, with which to make the same Metrics again."""
        return {
            "loss_sum": float(self.loss_sum),
            "correct": int(self.correct),
            "count": self.count,
        }
