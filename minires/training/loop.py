"""The training loop: batches in, weights and a record out, resumable to the same bits."""

import math
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from minires import backend, data, extensions, models, optim
from minires import functional as F
from minires.amp import GradScaler
from minires.data import Loader, Normalization
from minires.training import checkpoint, record
from minires.training.config import Config
from minires.training.evaluate import Metrics, evaluate
from minires.training.graphed import GraphedSteps, is_graphed
from minires.training.interrupt import StopAfterStep
from minires.training.weights import save_weights, write_atomically


class TrainingError(RuntimeError):
    """A run that cannot start or go on; the message says why."""


class Diverged(TrainingError):
    """A run whose loss is no number any more."""


class Trainer:
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
    config : Config
        With the data set and the backend that "auto" chose.
    model, optimizer, loader, test_set, normalization
        What is trained, by what, on what.
    step, total : int
        Iterations done and to do.
    history : list of dict
        One row per epoch: the rows of metrics.csv.
    graphed : GraphedSteps or None
        What takes the steps on full batches, if they are replayed as a graph.
    stopped : bool
        Whether `run` was asked to stop, be it after the last step, when it finishes all the same.

    Raises
    ------
    TrainingError
        If `config.out` holds another run, or a run with other settings.
    ValueError
        If the backend cannot do what the settings ask for.
    """

    def __init__(self, config: Config, resume: bool = False, download: bool = True):
        self.out = Path(config.out)
        extensions.load(config.imports)  # a Config may come from another process
        saved = checkpoint.read(self.out) if resume else None
        if saved is not None:  # "auto" chose then, and must not choose anew now
            config = config.with_choices(**saved.config)
        self._refuse_conflicts(config, resume, saved)
        backend.use(config.backend)
        backend.set_precision(config.precision)
        graphed = is_graphed(config)
        backend.seed(config.seed)
        train_set, test_set, self.data_note = data.load(
            config.dataset, config.data_dir, download, config.image_size
        )
        config = config.with_choices(dataset=train_set.name, backend=backend.current())
        self.config = config
        train_set = train_set.subset(config.train_size or len(train_set))
        self.test_set = test_set.subset(config.test_size or len(test_set))
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
            network.check_output(self.model, config.image_size, len(train_set.classes))
        self.optimizer = optim.SGD(
            self.model,
            config.lr,
            config.momentum,
            config.weight_decay,
            config.nesterov,
            config.decay_norm_bias,
        )
        self.scaler = GradScaler() if config.precision == "fp16" else None
        self.total = config.total_steps(len(self.loader))
        self.schedule = config.learning_rate(self.total)
        self.step, self.history, self.best = 0, [], 0.0
        self.metrics, self.seconds = Metrics(), 0.0  # of the epoch so far
        enough = len(train_set) >= config.batch_size
        self.graphed = GraphedSteps(self) if graphed and enough else None
        self.resumed, self.stopped = saved is not None, False
        if saved is not None:
            saved.restore(self)

    def _refuse_conflicts(self, config: Config, resume: bool, saved) -> None:
        if saved is None and checkpoint.holds_run(self.out):
            way = (
                "go on with it by --resume, or" if not resume else "it has no checkpoint to resume;"
            )
            raise TrainingError(
                f"{self.out} already holds a training run; {way} choose another directory "
                f"with --out"
            )
        if saved is not None and (changed := config.differences(saved.config)):
            raise TrainingError(
                f"{self.out} holds a run with other settings, which cannot be resumed with these: "
                + "; ".join(changed)
            )

    def run(self) -> dict:
        """Train to the end; returns the last row of the history.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C or SIGTERM, when the step is finished and a checkpoint is written.
        TrainingError
            If the loss is no longer finite.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        write_atomically(self.out / "config.json", self.config.to_json().encode())
        per_epoch = len(self.loader)
        with StopAfterStep() as stop:
            while (epoch := len(self.history)) * per_epoch < self.total:
                end = min(self.total, (epoch + 1) * per_epoch)
                if self.step < end:
                    self._train_until(end, epoch, stop)
                self._finish_epoch(epoch)
                self.stopped = stop.requested
                if self.stopped and self.step < self.total:
                    raise KeyboardInterrupt
        return self.history[-1]

    def _train_until(self, end: int, epoch: int, stop: StopAfterStep) -> None:
        """The rest of an epoch, up to iteration `end`."""
        self.model.train()
        begin = epoch * len(self.loader)
        steps = self._steps(epoch, self.step - begin, end - begin)
        started, seconds_before, shown = time.perf_counter(), self.seconds, 0.0

        def read_metrics() -> tuple[float, float]:
            found = self._read_metrics()  # waits for the device, then the time counts
            self.seconds = seconds_before + time.perf_counter() - started
            return found

        with self._progress_bar(epoch) as bar:
            for _ in steps:
                if time.perf_counter() - shown > 0.5:
                    shown = time.perf_counter()
                    self._show(bar, *read_metrics())
                bar.update(1)
                if stop.requested or self.step % self.config.checkpoint_every == 0:
                    read_metrics()  # a diverged state must not replace a good one
                    checkpoint.write(self)
                if stop.requested:
                    raise KeyboardInterrupt
        read_metrics()

    def _steps(self, epoch: int, first: int, last: int) -> Iterator[None]:
        """Take the steps `first` to `last` - 1 of an epoch, one at a turn."""
        if self.graphed is not None:
            whole = min(last, len(self.graphed))
            yield from self.graphed.take(epoch, first, whole)
            first = whole
        for x, labels in islice(self.loader.batches(epoch, first), last - first):
            self._train_step(x, labels)
            yield

    def _train_step(self, x, labels) -> None:
        self.learn(x, labels, self.schedule(self.step))
        self.step += 1

    def learn(self, x, labels, lr) -> None:
        """Forward, backward and SGD with learning rate `lr`, the metrics: all but counting."""
        logits = self.model(x)
        loss = F.cross_entropy(logits, labels, self.config.label_smoothing)
        self.optimizer.zero_grad()
        if self.scaler is None:
            loss.backward()
        else:
            self.scaler.backward(loss)
        if (norm := self.config.clip_grad_norm) is not None:
            scale = 1.0 if self.scaler is None else self.scaler.scale
            optim.clip_grad_norm(self.model, norm * scale)
        self.optimizer.lr = lr
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
        self.metrics.add(loss.data, logits.data, labels)

    def _read_metrics(self) -> tuple[float, float]:
        loss, accuracy = self.metrics.read()
        if not math.isfinite(loss):
            raise Diverged(
                f"the training loss is {loss} at iteration {self.step}: training has diverged; try "
                f"a smaller --lr, --warm-up or --clip-grad-norm. The last checkpoint is in "
                f"{self.out}"
            )
        return loss, accuracy

    def _show(self, bar, loss: float, accuracy: float) -> None:
        bar.set_postfix_str(
            f"loss {loss:.3f}, accuracy {100 * accuracy:.1f} %, "
            f"{self.metrics.count / self.seconds:.0f} images/s",
            refresh=False,
        )

    def _finish_epoch(self, epoch: int) -> None:
        """Evaluate, and write everything that a finished epoch leaves behind."""
        train_loss, train_accuracy = self._read_metrics()
        test_loss, test_accuracy = evaluate(self.model, self.test_set, self.normalization)
        row = {
            "epoch": epoch + 1,
            "step": self.step,
            "lr": float(f"{self.schedule(self.step - 1):.6g}"),
            "train_loss": train_loss,
            "train_acc": train_accuracy,
            "test_loss": test_loss,
            "test_acc": test_accuracy,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.metrics.count / self.seconds, 1),
        }
        self.history.append(row)
        self.seconds = 0.0
        self.metrics.reset()
        notes = {"model": self.config.model, "dataset": self.config.dataset, "step": str(self.step)}
        notes |= {"shortcut": self.config.shortcut} if self.config.shortcut else {}
        notes |= {"test_acc": str(test_accuracy), "image_size": str(self.config.image_size)}
        if test_accuracy > self.best or len(self.history) == 1:
            self.best = test_accuracy
            save_weights(self.out / "best.safetensors", self.model, self.normalization, notes)
        save_weights(self.out / "last.safetensors", self.model, self.normalization, notes)
        title = f"{self.config.model} on {self.config.dataset}"
        record.write(self.out, self.history, title)
        checkpoint.write(self)
        print(
            f"epoch {row['epoch']}/{math.ceil(self.total / len(self.loader))}  "
            f"step {self.step}/{self.total}  lr {row['lr']:g}  "
            f"train loss {train_loss:.4f} accuracy {100 * train_accuracy:.2f} %  "
            f"test loss {test_loss:.4f} accuracy {100 * test_accuracy:.2f} %  "
            f"{row['images_per_second']:.0f} images/s",
            flush=True,
        )

    def _progress_bar(self, epoch: int):
        """Over the whole run, so that the time left is the run's."""
        from tqdm import tqdm

        return tqdm(
            desc=f"epoch {epoch + 1}/{math.ceil(self.total / len(self.loader))}",
            total=self.total,
            initial=self.step,
            unit="step",
            leave=False,
            **bar_settings(),
        )


def bar_settings() -> dict:
    """How every progress bar behaves: lively on a terminal, rare lines in a log file."""
    return {"dynamic_ncols": True, "mininterval": 0.2 if sys.stderr.isatty() else 30}
