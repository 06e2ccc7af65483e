"""Training steps as replays of one graph: see `minires.cuda.graph`.

See docs/decisions/cuda_graphs.md, "What changes lies on the device".
"""

from collections.abc import Iterator

import numpy as np

from minires import backend
from minires.cuda_graph import Graph, capture
from minires.data import ResidentBatches
from minires.training.config import Config


class GraphedSteps:
    """The steps of a Trainer on full batches, captured once, to the bits of plain steps.

    What changes from step to step lies on the device: the number of the batch, which its kernel
    advances, and with it the learning rate; loss and accuracy are added up there. So a replay
    needs nothing from the host, and the host waits for nothing.

    Parameters
    ----------
    trainer : Trainer
    """

    def __init__(self, trainer):
        self.trainer, self.batches = trainer, ResidentBatches(trainer.loader)
        self.rates = backend.asarray(np.zeros(len(self.batches)))
        self.rate = backend.asarray(0.0, np.float64)
        self.graph: Graph | None = None  # from the first step on

    def __len__(self) -> int:
        """Steps of an epoch that are taken here; a smaller last batch is left."""
        return len(self.batches)

    def take(self, epoch: int, first: int, last: int) -> Iterator[None]:
        """Take the steps `first` to `last` - 1 of an epoch, one at a turn."""
        if first >= last:
            return
        trainer = self.trainer
        self.batches.load(epoch, first)
        begin = epoch * trainer.per_epoch
        rates = np.array([trainer.schedule(begin + batch) for batch in range(len(self))])
        self.rates[...], self.rate[...] = backend.asarray(rates), rates[first]
        if self.graph is None:
            count = trainer.metrics.count
            self.graph = capture(self._step)
            trainer.metrics.count = count  # recorded, but not yet taken
        for _ in range(first, last):
            self.graph.replay()
            trainer.metrics.count += trainer.config.batch_size
            trainer.step += 1
            yield

    def _step(self) -> None:
        x, labels = self.batches.next()
        self.trainer.learn(x, labels, self.rate)
        backend.kernel("iteration").advance(self.batches.number, self.rates, self.rate)


def is_graphed(config: Config) -> bool:
    """Whether a run takes its steps as a graph: what `config.graph` says, else where it pays.

    Raises
    ------
    ValueError
        If it is asked for, but the current backend cannot.
    """
    entry = backend.get(backend.current())
    if config.graph and not entry.graphs:
        raise ValueError(
            f"--graph repeats launches of CUDA C++ kernels (backend "
            f"{' or '.join(backend.able_to('graphs'))}), but the backend is {entry.name}"
        )
    if config.graph is None:  # the emulator gains nothing by it
        pays = entry.graphs and entry.on_gpu
        looked_at = config.clip_grad_norm is not None or config.on_nan == "skip"
        return pays and not (looked_at or config.detect_anomaly or config.recompute)
    return config.graph
