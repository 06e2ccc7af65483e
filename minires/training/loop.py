"""The training of a classifier: batches in, weights and a history out."""

import math
from collections.abc import Callable, Iterator
from itertools import islice

from minires import data, extensions, models, plots
from minires.amp import GradScaler
from minires.arguments import integer, real
from minires.data import Dataset, Loader, Normalization
from minires.training.config import Config
from minires.training.directory import write_atomically
from minires.training.errors import Diverged
from minires.training.evaluate import Metrics, evaluate
from minires.training.graphed import GraphedSteps, is_graphed
from minires.training.nonfinite import first_module, not_finite
from minires.training.run import Run
from minires.training.step import step
from minires.training.weights import save_weights


def part_of(dataset: Dataset, most: int | None) -> Dataset:
    """The first `most` images of a set, or all of them if there are not as many."""
    return dataset.subset(len(dataset) if most is None else min(most, len(dataset)))


BEST, LAST, CURVES = "best.safetensors", "last.safetensors", "curves.png"


class Trainer(Run):
    """One training run: sets everything up from a Config, then `run()`.

    Parameters
    ----------
    config : Config
    resume : bool
        Go on from the checkpoint in `config.out`, if there is one.
    download : bool
        Whether a missing CIFAR may be downloaded.

    Attributes
    ----------
    loader, test_set, normalization
        What is trained and tested on.
    data_note : str
        Where the images are from.
    best : float
        The best test accuracy after an epoch, 0 to 1.
    metrics : Metrics
        Sums of loss and accuracy in the epoch so far.
    graphed : GraphedSteps or None
        What takes the steps on full batches, if they are replayed as a graph.
    """

    config: Config

    def __init__(self, config: Config, resume: bool = False, download: bool = True):
        extensions.load(config.imports)  # a Config may come from another process
        super().__init__(config, resume)
        config, graphed = self.config, is_graphed(self.config)
        train_set, test_set, self.data_note = data.load(
            config.dataset, config.data_dir, download, config.image_size
        )
        config = self.config = config.with_choices(dataset=train_set.name)
        train_set = part_of(train_set, config.train_size)
        self.test_set = part_of(test_set, config.test_size)
        self.normalization = Normalization.make(config.normalization, train_set.images)
        self.loader = Loader(
            train_set,
            self.normalization,
            config.batch_size,
            shuffle=True,
            augment=config.augment,
            seed=config.seed,
        )
        self.model = models.build(
            config.model, len(train_set.classes), config.shortcut, recompute=config.recompute
        )
        network = models.get(config.model)
        if network.from_outside:  # what is wrong with it is better said before the first step
            size = test_set.images.shape[1]
            network.check_output(self.model, size, len(train_set.classes))
        self.optimizer = config.make_optimizer(self.model)
        self.scaler = GradScaler() if config.precision == "fp16" else None
        self.per_epoch = len(self.loader)
        self.total = config.total_steps(self.per_epoch)
        self.schedule = config.learning_rate(self.total)
        self.best, self.metrics = 0.0, Metrics()
        enough = len(train_set) >= config.batch_size
        self.graphed = GraphedSteps(self) if graphed and enough else None
        self._go_on()

    def steps(self, epoch: int, first: int, last: int) -> Iterator[None]:
        """Take steps: full batches by replays, if there is a graph."""
        if self.graphed is not None:
            whole = min(last, len(self.graphed))
            yield from self.graphed.take(epoch, first, whole)
            first = whole
        for x, labels in islice(self.loader.batches(epoch, first), last - first):
            self._train_step(x, labels)
            yield

    def _train_step(self, x, labels) -> None:
        def take() -> None:
            self.learn(x, labels, self.schedule(self.step))

        if self.guard is None:
            take()
        else:
            self.guard.take(take, lambda: self.model(x))
        self.step += 1

    def learn(self, x, labels, lr) -> None:
        """A step with learning rate `lr`, and the metrics: all but counting."""
        self.optimizer.lr = lr
        loss, logits = step(
            self.model,
            self.optimizer,
            x,
            labels,
            self.config.label_smoothing,
            self.scaler,
            self.config.clip_grad_norm,
            finite=self.guard is not None and self.guard.looking,
        )
        self.metrics.add(loss.data, logits.data, labels)

    def progress(self) -> str:
        """Loss, accuracy and speed."""
        loss, accuracy = self.read()
        speed = self.speed(self.config.batch_size, "images")
        return f"loss {loss:.3f}, accuracy {100 * accuracy:.1f} %{speed}"

    def read(self) -> tuple[float, float]:
        """Mean loss and accuracy (0 to 1) of the epoch so far."""
        if not self.metrics.count:  # all were left out so far
            return math.nan, math.nan
        loss, accuracy = self.metrics.read()
        if not math.isfinite(loss):
            raise Diverged(
                f"the training loss is {loss} at iteration {self.step:,} (learning rate "
                f"{self.schedule(self.step - 1):.6g}){self._where()}: training has diverged; "
                f"{self.remedy()}"
            )
        return loss, accuracy

    def remedy(self) -> str:
        """What to try against divergence, in options of `minires train`."""
        more = "--detect-anomaly names the operation" if not self.config.detect_anomaly else ""
        more += ", --on-nan skip leaves such steps out" if self.config.on_nan == "stop" else ""
        return (
            f"try a smaller --lr, --warm-up or --clip-grad-norm; {more.lstrip(', ')}. "
            f"{self.last_checkpoint()}"
        )

    def _where(self, forward: Callable[[], object] | None = None) -> str:
        """Which array, or else which module in a forward, is the first that is not finite."""
        if dead := not_finite(self.model.state_dict()):
            return f"; {dead[0]} is not finite"
        if forward is not None and (module := first_module(self.model, forward)):
            return f"; the first module whose output is not finite is {module}"
        return ""

    def measure(self) -> dict:
        """Losses and accuracies, and how long the training took."""
        train_loss, train_accuracy = self.read()
        if not self.metrics.count:
            raise Diverged(
                f"every step of epoch {len(self.history) + 1} was left out: training has diverged; "
                f"{self.remedy()}"
            )

        def test() -> tuple[float, float]:
            return evaluate(self.model, self.test_set, self.normalization)

        test_loss, test_accuracy = test()
        if not math.isfinite(test_loss):
            raise Diverged(
                f"the test loss is {test_loss} after epoch {len(self.history) + 1} (iteration "
                f"{self.step:,}, learning rate {self.schedule(self.step - 1):.6g}), though the "
                f"training loss is {train_loss:.4g}{self._where(test)}: training has diverged; "
                f"{self.remedy()}"
            )
        return {
            "train_loss": train_loss,
            "train_acc": train_accuracy,
            "test_loss": test_loss,
            "test_acc": test_accuracy,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.metrics.count / self.seconds, 1),
        }

    def begin_epoch(self) -> None:
        """Sum up from zero."""
        self.metrics.reset()

    def keep(self, row: dict) -> None:
        """Weight files and learning curves."""
        if row["test_acc"] > self.best or len(self.history) == 1:
            self.best = row["test_acc"]
            self._keep_weights(BEST, row)
        self._keep_weights(LAST, row)
        self._keep_curves()

    def restore(self, row: dict) -> None:
        """What is gone of the files that `keep` had left, as far as the checkpoint holds it."""
        if not (self.out / CURVES).exists():
            self._keep_curves()
        here = self.step == row["step"]  # else the network has learned since, and `keep` will come
        if here and not (self.out / LAST).exists():
            self._keep_weights(LAST, row)
        if not (self.out / BEST).exists():
            best = max(self.history, key=lambda row: row["test_acc"])  # the first of equals
            if here and best is row:
                self._keep_weights(BEST, row)
            else:
                self.note(
                    f"{self.out / BEST} is gone, and the checkpoint cannot restore it: it was of "
                    f"epoch {best['epoch']}"
                )

    def _keep_weights(self, name: str, row: dict) -> None:
        config = self.config
        notes = {"model": config.model, "dataset": config.dataset, "step": str(self.step)}
        notes |= {"shortcut": config.shortcut} if config.shortcut else {}
        notes |= {"test_acc": str(row["test_acc"]), "image_size": str(config.image_size)}
        save_weights(self.out / name, self.model, self.normalization, notes)

    def _keep_curves(self) -> None:
        title = f"{self.config.model} on {self.config.dataset}"
        write_atomically(self.out / CURVES, plots.learning_curves(self.history, title))

    def describe(self, row: dict) -> str:
        """Epoch, step, learning rate, losses, accuracies, speed."""
        return (
            f"epoch {row['epoch']}/{self.epochs}  "
            f"step {self.step}/{self.total}  lr {row['lr']:g}  "
            f"train loss {row['train_loss']:.4f} accuracy {100 * row['train_acc']:.2f} %  "
            f"test loss {row['test_loss']:.4f} accuracy {100 * row['test_acc']:.2f} %  "
            f"{row['images_per_second']:.0f} images/s"
            + (f"  {self.skipped:,} steps left out so far" if self.skipped else "")
        )

    def state(self) -> dict:
        """With the best accuracy, and the sums of the epoch so far."""
        return super().state() | {"best": self.best, "metrics": self.metrics.state()}

    def load_state(self, state: dict) -> None:
        """Go on where `state` says."""
        super().load_state(state)
        self.best = real("its state", "best", state["best"], most=1)
        sums = state["metrics"]
        self.metrics.reset(
            real("its metrics", "loss_sum", sums["loss_sum"]),
            integer("its metrics", "correct", sums["correct"], least=0),
            integer("its metrics", "count", sums["count"], least=0),
        )
