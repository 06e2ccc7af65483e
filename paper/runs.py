"""Training runs of an experiment that are finished: their curves, and their networks."""

import csv
import statistics
from dataclasses import dataclass
from pathlib import Path

from minires import backend, data, models
from minires.cuda import HALF
from minires.data import Dataset
from minires.training import Config, TrainingError, checkpoint, load_weights
from minires.training.history import COLUMNS
from minires.training.loop import part_of

WEIGHTS = "last.safetensors"


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes
    ----------
    path : Path
        Its directory.
    config : Config
    history : list of dict
        The rows of its metrics.csv, as numbers.
    """

    path: Path
    config: Config
    history: list[dict]

    @property
    def train_error(self) -> float:
        """Error of the last epoch in percent, on augmented images, as they were trained on."""
        return 100 * (1 - self.history[-1]["train_acc"])

    @property
    def test_error(self) -> float:
        """Test error after the last epoch, in percent."""
        return 100 * (1 - self.history[-1]["test_acc"])

    @property
    def best_test_error(self) -> float:
        """Error of the best epoch in percent: chosen by the test set, so too good."""
        return 100 * (1 - max(row["test_acc"] for row in self.history))

    @property
    def seconds(self) -> float:
        """Seconds of training, without evaluation."""
        return sum(row["seconds"] for row in self.history)

    @property
    def classes(self) -> int:
        """The number of classes of its data set."""
        known = data.get(self.config.dataset).classes
        return len(self.data_sets()[0].classes) if known is None else known

    def data_sets(self) -> tuple[Dataset, Dataset]:
        """Its training and its test set, as it had them."""
        config = self.config
        train, test, _ = data.load(config.dataset, config.data_dir, False, config.image_size)
        return (
            part_of(train, config.train_size),
            part_of(test, config.test_size),
        )

    def network(self, fused: bool | None = None) -> tuple:
        """The trained network in evaluation mode, on its backend, and its Normalization.

        With `fused` False in float32, if it was trained in half storage, which only the fused
        operations have.
        """
        if not (self.path / WEIGHTS).exists():
            way = "train it anew with another --out, or delete it"
            if (self.path / checkpoint.NAME).exists():
                way = f"minires train --out {self.path} --resume restores them"
            raise TrainingError(
                f"{self.path} has the record of a finished run, but not its weights ({WEIGHTS}), "
                f"which this experiment needs; {way}"
            )
        backend.use(self.config.backend)
        plain = fused is False and self.config.precision in HALF
        backend.set_precision("float32" if plain else self.config.precision)
        net = models.build(self.config.model, self.classes, self.config.shortcut, fused)
        return net.eval(), load_weights(self.path / WEIGHTS, net)


def read_config(path: Path) -> Config | None:
    """The settings of the run in directory `path`, finished or not; None if there is none."""
    try:
        found = Config.saved(path)
    except ValueError as error:
        raise TrainingError(str(error)) from None
    try:
        return None if found is None else Config(**found)
    except (TypeError, ValueError) as error:
        raise TrainingError(
            f"{path / 'config.json'}: not the settings of a training run ({error})"
        ) from None


def read_run(path: Path) -> Run | None:
    """The run in directory `path`; None if there is none, or it is not finished."""
    if (config := read_config(path)) is None or not (path / "metrics.csv").exists():
        return None
    try:
        with open(path / "metrics.csv", newline="") as file:
            rows = [{name: float(row[name]) for name in COLUMNS} for row in csv.DictReader(file)]
        for row in rows:
            row.update({name: int(row[name]) for name in ("epoch", "step")})
    except (KeyError, TypeError, ValueError, OverflowError, csv.Error) as error:
        raise TrainingError(
            f"{path / 'metrics.csv'}: not the record of a training run, each row with a number for "
            f"{', '.join(COLUMNS)} ({error})"
        ) from None
    # The first row tells how many steps an epoch has, if there is more than one epoch at all.
    if not rows or rows[-1]["step"] < config.total_steps(rows[0]["step"]):
        return None
    return Run(path, config, rows)


def named(row: dict) -> str:
    """The network that a row is about, for a legend: the seed is said unless it is 0."""
    return row["model"] + (f", seed {row['seed']}" if row["seed"] else "")


def line_style(row: dict) -> str:
    """Dashed for the networks without shortcuts, solid for ResNets, as in the paper."""
    return "-" if models.get(row["model"]).has_shortcuts else "--"


def mean_and_std(values: list[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation, which a single value does not have."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None
