"""Run: what every training run does, whatever it trains."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from minires import backend
from minires.amp import GradScaler
from minires.nn import Module
from minires.optim import Optimizer, Schedule
from minires.training import checkpoint, history
from minires.training.interrupt import StopAfterStep
from minires.training.settings import Settings
from minires.training.weights import write_atomically

say = partial(print, flush=True)


class TrainingError(RuntimeError):
    """A run that cannot start or go on; the message says why."""


class Diverged(TrainingError):
    """A run whose loss is no number any more."""


class Run:
    """A training run in a directory of its own, which can be stopped and goes on to the same bits.

    A subclass sets `model`, `optimizer`, `schedule`, `per_epoch` and `total` in its `__init__` and
    ends it with `_go_on`. It defines `steps`, `read`, `progress`, `measure` and `describe`, and
    what of its own is to be saved.

    Parameters
    ----------
    config : Settings
    resume : bool
        Go on from the checkpoint in `config.out`, if there is one.

    Attributes
    ----------
    config : Settings
        The settings, with what "auto" chose.
    out : Path
    model : Module
    optimizer : Optimizer
    scaler : GradScaler or None
    schedule : Schedule
    step, total : int
        Iterations done and to do.
    per_epoch : int
        Iterations of an epoch.
    history : list of dict
        One row per epoch: the rows of metrics.csv.
    seconds : float
        Time of training in the epoch so far.
    resumed : bool
    stopped : bool
        Whether `run` was asked to stop, be it after the last step, when it finishes all the same.

    Raises
    ------
    TrainingError
        If `config.out` holds another run, or a run with other settings.
    WeightsError
        If the checkpoint is damaged, or of something else.
    ValueError
        If the backend cannot do what the settings ask for.
    """

    model: Module
    optimizer: Optimizer
    schedule: Schedule
    per_epoch: int
    total: int
    scaler: GradScaler | None = None

    def __init__(self, config: Settings, resume: bool):
        self.out = Path(config.out)
        self._saved = checkpoint.read(self.out, type(config)) if resume else None
        if self._saved is not None:
            config = config.with_choices(**self._saved.config)
        self._refuse_conflicts(config, resume)
        backend.use(config.backend)
        backend.set_precision(config.precision)
        backend.seed(config.seed)
        self.config = config.with_choices(backend=backend.current())
        self.step, self.seconds = 0, 0.0
        self.history: list[dict] = []
        self.resumed, self.stopped = self._saved is not None, False

    def _go_on(self) -> None:
        """From the checkpoint, if there is one."""
        if self._saved is not None:
            self._saved.restore(self)
            self._saved = None

    def _refuse_conflicts(self, config: Settings, resume: bool) -> None:
        if self._saved is None and checkpoint.holds_run(self.out):
            way = (
                "go on with it by --resume, or" if not resume else "it has no checkpoint to resume;"
            )
            raise TrainingError(
                f"{self.out} already holds a training run; {way} choose another directory "
                f"with --out"
            )
        if self._saved is not None and (changed := config.differences(self._saved.config)):
            raise TrainingError(
                f"{self.out} holds a run with other settings, which cannot be resumed with these: "
                + "; ".join(changed)
            )

    # What a subclass defines

    def steps(self, epoch: int, first: int, last: int) -> Iterator[None]:
        """Take the steps `first` to `last` - 1 of an epoch, one at a turn, and count them."""
        raise NotImplementedError

    def read(self):
        """Wait for the device, and look at what was summed up in the epoch so far.

        Raises
        ------
        Diverged
            If the loss is no longer finite.
        """
        raise NotImplementedError

    def progress(self) -> str:
        """How the epoch goes so far, for the progress bar."""
        raise NotImplementedError

    def measure(self) -> dict:
        """What an epoch was found to be worth: the rest of its row, after epoch, step and lr."""
        raise NotImplementedError

    def describe(self, row: dict) -> str:
        """The line that is printed about an epoch."""
        raise NotImplementedError

    def keep(self, row: dict) -> None:
        """Write what a finished epoch leaves behind besides its row and the checkpoint."""

    def begin_epoch(self) -> None:
        """Forget what was summed up over the last epoch."""

    def state(self) -> dict:
        """Plain numbers for the checkpoint, besides all arrays."""
        return {"step": self.step, "history": self.history, "seconds": self.seconds}

    def load_state(self, state: dict) -> None:
        """Go on where `state` says."""
        self.step, self.history, self.seconds = (
            state[name] for name in ("step", "history", "seconds")
        )

    # What is the same for all

    @property
    def epochs(self) -> int:
        """Epochs to do, the last of which may be a part of one."""
        return math.ceil(self.total / self.per_epoch)

    def run(self, note: Callable[[str], None] = say) -> dict:
        """Train to the end; returns the last row of the history.

        `note` is told a line about each epoch.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C or SIGTERM, when the step is finished and a checkpoint is written.
        TrainingError
            If the loss is no longer finite. The last checkpoint stays.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        write_atomically(self.out / "config.json", self.config.to_json().encode())
        with StopAfterStep() as stop:
            while (epoch := len(self.history)) * self.per_epoch < self.total:
                end = min(self.total, (epoch + 1) * self.per_epoch)
                if self.step < end:
                    self._train_until(end, epoch, stop)
                self._finish_epoch(epoch)
                note(self.describe(self.history[-1]))
                self.stopped = stop.requested
                if self.stopped and self.step < self.total:
                    raise KeyboardInterrupt
        return self.history[-1]

    def _train_until(self, end: int, epoch: int, stop: StopAfterStep) -> None:
        """The rest of an epoch, up to iteration `end`."""
        self.model.train()
        begin = epoch * self.per_epoch
        steps = self.steps(epoch, self.step - begin, end - begin)
        started, seconds_before, shown = time.perf_counter(), self.seconds, 0.0

        def read() -> None:
            self.read()  # waits for the device, then the time counts
            self.seconds = seconds_before + time.perf_counter() - started

        with self._progress_bar(epoch) as bar:
            for _ in steps:
                if time.perf_counter() - shown > 0.5:
                    shown = time.perf_counter()
                    read()
                    bar.set_postfix_str(self.progress(), refresh=False)
                bar.update(1)
                if stop.requested or self.step % self.config.checkpoint_every == 0:
                    read()  # a diverged state must not replace a good one
                    checkpoint.write(self)
                if stop.requested:
                    raise KeyboardInterrupt
        read()

    def _finish_epoch(self, epoch: int) -> None:
        """Evaluate, and write everything that a finished epoch leaves behind."""
        lr = float(f"{self.schedule(self.step - 1):.6g}")
        row = {"epoch": epoch + 1, "step": self.step, "lr": lr} | self.measure()
        self.history.append(row)
        self.seconds = 0.0
        self.begin_epoch()
        self.keep(row)
        history.write(self.out, self.history)
        checkpoint.write(self)

    def _progress_bar(self, epoch: int):
        """Over the whole run, so that the time left is the run's."""
        from tqdm import tqdm

        return tqdm(
            desc=f"epoch {epoch + 1}/{self.epochs}",
            total=self.total,
            initial=self.step,
            unit="step",
            leave=False,
            **bar_settings(),
        )


def bar_settings() -> dict:
    """How every progress bar behaves: lively on a terminal, rare lines in a log file."""
    return {"dynamic_ncols": True, "mininterval": 0.2 if sys.stderr.isatty() else 30}
