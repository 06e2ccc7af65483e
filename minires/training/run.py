"""Run: what every training run does, whatever it trains."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from minires import backend
from minires.amp import GradScaler
from minires.arguments import integer, real
from minires.nn import Module
from minires.optim import Optimizer, Schedule
from minires.progress import bar_of, count_first
from minires.training import checkpoint, directory, history, nonfinite, settings
from minires.training.errors import Diverged, TrainingError
from minires.training.interrupt import StopAfterStep, Stopped
from minires.training.nonfinite import Guard
from minires.training.settings import Settings

say = partial(print, flush=True)


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
    history : History, a list of dict
        One row per epoch: the rows of metrics.csv.
    seconds : float
        Time of training in the epoch so far.
    resumed : bool
    saved_step : int or None
        The iteration of the checkpoint in `out`; None if there is none yet.
    guard : Guard or None
        Through which every step is taken, if each is looked at: on a CPU, or when asked for.
    skipped, skipped_in_a_row : int
        Steps that were left out for a NaN: of all, and of the last ones.
    note : callable
        Told a line about each epoch and each step that is left out.
    stopped : Stopped or None
        The signal by which `run` was asked to stop, be it after the last step, when it finishes all
        the same.

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
        directory.refuse_if_in_use(self.out)
        self._found = self._traces()
        self._saved = checkpoint.read(self.out, type(config)) if resume else None
        config = self._resumable(config) if resume else self._new(config)
        backend.use(config.backend)
        backend.set_precision(config.precision)
        backend.seed(config.seed)
        self.config = config.with_choices(backend=backend.current())
        self.step, self.seconds = 0, 0.0
        self.history = history.History()
        self.resumed = self._saved is not None
        self.stopped: Stopped | None = None
        self._compiled, self._since = False, (0.0, 0)
        self.saved_step: int | None = None
        self.note: Callable[[str], None] = say
        self.skipped = self.skipped_in_a_row = 0
        entry = backend.get(backend.current())
        asked = config.on_nan == "skip" or config.detect_anomaly
        self.guard = Guard(self) if asked or not entry.on_gpu else None  # a GPU's steps would wait

    def _go_on(self) -> None:
        """From the checkpoint, if there is one."""
        self._never_finite = {*nonfinite.not_finite(self._arrays())}  # such as a mask of -inf
        if self._saved is not None:
            self._saved.restore(self)
            self._saved, self.saved_step = None, self.step

    def _new(self, config: Settings) -> Settings:
        """The settings of a run that begins; its directory must not hold another one."""
        if checkpoint.holds_run(self.out):
            raise TrainingError(
                f"{self.out} already holds a training run; go on with it by --resume, or choose "
                f"another directory with --out"
            )
        return config

    def _resumable(self, config: Settings) -> Settings:
        """The settings with which the run in the directory, if there is one, goes on."""
        if self._saved is None and (self.out / history.NAME).exists():
            raise TrainingError(
                f"{self.out} already holds a training run; it has no checkpoint to resume; choose "
                f"another directory with --out"
            )
        earlier = self._saved.config if self._saved else config.saved(self.out)
        if earlier is None:
            return config
        config = config.with_choices(**earlier)
        if changed := config.differences(earlier):
            raise TrainingError(
                f"{self.out} holds a run with other settings, which cannot be resumed with these: "
                + "; ".join(changed)
            )
        return config

    def _traces(self) -> list:
        """By what one sees whether another run has written to the directory."""
        found: list[tuple | None] = []
        for name in (checkpoint.NAME, history.NAME, settings.NAME):
            try:
                status = (self.out / name).stat()
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return found

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

    def remedy(self) -> str:
        """What to try against divergence, and where the last checkpoint is."""
        return f"try a smaller lr, a longer warm-up or clipped gradients. {self.last_checkpoint()}"

    def keep(self, row: dict) -> None:
        """Write what a finished epoch leaves behind besides its row and the checkpoint."""

    def restore(self, row: dict) -> None:
        """Write anew what `keep` had left of the last finished epoch, if it is gone."""

    def begin_epoch(self) -> None:
        """Forget what was summed up over the last epoch."""

    def state(self) -> dict:
        """Plain numbers for the checkpoint, besides all arrays."""
        own = {"skipped": self.skipped, "skipped_in_a_row": self.skipped_in_a_row}
        return {"step": self.step, "history": self.history, "seconds": self.seconds} | own

    def load_state(self, state: dict) -> None:
        """Go on where `state` says."""
        where = "its state"
        self.step = integer(where, "step", state["step"], least=0, most=self.total)
        self.seconds = real(where, "seconds", state["seconds"], least=0)
        for name in ("skipped", "skipped_in_a_row"):  # an earlier version left none out
            setattr(self, name, integer(where, name, state.get(name, 0), least=0, most=self.total))
        self.history = history.History(map(history.checked, state["history"]))

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
            After Ctrl-C, SIGTERM or SIGHUP, when the step is finished and a checkpoint is written:
            it is a `Stopped`.
        TrainingError
            If the loss is no longer finite; the last checkpoint stays. If another process works in
            the directory, or has done so since this Run was made.
        OSError
            If a file cannot be written; it is named.
        """
        directory.make_directory(self.out)
        with directory.locked(self.out) as self._lock:
            if self._traces() != self._found:
                raise TrainingError(
                    f"another process has trained in {self.out} meanwhile; repeat the command, or "
                    f"choose another directory with --out"
                )
            try:
                return self._run(note)
            finally:
                self._found = self._traces()

    def _run(self, note: Callable[[str], None]) -> dict:
        self.note = note
        directory.write_atomically(self.out / settings.NAME, self.config.to_json().encode())
        if self.saved_step is None:
            self._save()  # before the first step, so that no moment is without a checkpoint
        elif self.history:
            history.write(self.out, self.history)
            self.restore(self.history[-1])
        with StopAfterStep() as stop:
            while (epoch := len(self.history)) * self.per_epoch < self.total:
                end = min(self.total, (epoch + 1) * self.per_epoch)
                if self.step < end:
                    self._train_until(end, epoch, stop)
                self._finish_epoch(epoch)
                note(self.describe(self.history[-1]))
                self.stopped = stop.requested
                if self.stopped and self.step < self.total:
                    raise self.stopped
        return self.history[-1]

    def _train_until(self, end: int, epoch: int, stop: StopAfterStep) -> None:
        """The rest of an epoch, up to iteration `end`."""
        self.model.train()
        begin = epoch * self.per_epoch
        steps = self.steps(epoch, self.step - begin, end - begin)
        started, seconds_before, shown = time.perf_counter(), self.seconds, 0.0
        self._since = (started, self.step)

        def read() -> None:
            self.read()  # waits for the device, then the time counts
            self.seconds = seconds_before + time.perf_counter() - started

        with bar_of(self, epoch) as bar:
            for _ in steps:
                if not self._compiled:  # the first step of all has waited for compilers
                    read()
                    count_first(bar)
                    self._compiled, self._since = True, (time.perf_counter(), self.step)
                else:
                    if time.perf_counter() - shown > 0.5:
                        shown = time.perf_counter()
                        read()
                        bar.set_postfix_str(self.progress(), refresh=False)
                    bar.update(1)
                if stop.requested or self.step % self.config.checkpoint_every == 0:
                    read()  # a diverged state must not replace a good one
                    self._save()
                if stop.requested:
                    raise stop.requested
        read()

    def _finish_epoch(self, epoch: int) -> None:
        """Evaluate, and write everything that a finished epoch leaves behind."""
        lr = float(f"{self.schedule(self.step - 1):.6g}")
        row = {"epoch": epoch + 1, "step": self.step, "lr": lr} | self.measure()
        self._require_finite()
        self._lock.require()
        self.history.append(row)
        self.seconds = 0.0
        self.begin_epoch()
        self.keep(row)
        history.write(self.out, self.history)
        self._save()

    def _save(self) -> None:
        self._require_finite()
        self._lock.require()
        checkpoint.write(self)
        self.saved_step = self.step

    def _arrays(self) -> dict:
        """Everything that is learned, by name: the arrays themselves, for a look."""
        learned = {name: parameter.data for name, parameter in self.model.named_parameters()}
        kept = {
            f"{name} {place} of the optimizer": array
            for place, state in enumerate(self.optimizer.states)
            for name, array in state.items()
        }
        return learned | dict(self.model.named_buffers()) | kept

    def _require_finite(self) -> None:
        """A state that is to be kept must be worth it."""
        dead = [
            name for name in nonfinite.not_finite(self._arrays()) if name not in self._never_finite
        ]
        if dead:
            others = f", nor are {len(dead) - 1} others" if len(dead) > 1 else ""
            lr = self.schedule(max(self.step - 1, 0))
            raise Diverged(
                f"after iteration {self.step:,} (learning rate {lr:.6g}) {dead[0]} is not finite"
                f"{others}: training has diverged; {self.remedy()}"
            )

    def speed(self, per_step: int, unit: str) -> str:
        """So many units of each step as ", 12 images/s", of now; "" after the first step."""
        (since, first), now = self._since, time.perf_counter()
        return f", {(self.step - first) * per_step / (now - since):.0f} {unit}/s" * (
            self.step > first
        )

    def last_checkpoint(self) -> str:
        """Where the last checkpoint is, and of which iteration, as a sentence."""
        if self.saved_step is None:
            return f"There is no checkpoint yet in {self.out}"
        return f"The last checkpoint, of iteration {self.saved_step:,}, is in {self.out}"
