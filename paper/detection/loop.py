"""Training of a detector on scenes: resumable to the same bits."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from minires import backend, models, nn, optim
from minires.arguments import real
from minires.cuda import HALF
from minires.data import Normalization
from minires.paper.detection.boxes import Detections
from minires.paper.detection.detector import Detector
from minires.paper.detection.grid import decode, encode
from minires.paper.detection.loss import detection_loss
from minires.paper.detection.scenes import Scenes, load_scenes
from minires.tensor import Tensor, no_grad
from minires.training import Diverged, Run, TrainingError, minimize
from minires.training.settings import Settings
from minires.training.weights import read_arrays

PARTS = ("objectness", "classes", "boxes")
"""The parts of the loss."""


@dataclass(frozen=True)
class DetectionConfig(Settings):
    """One training run of a detector.

    Attributes
    ----------
    model : str
        The backbone's name, a network for CIFAR.
    weights : str or None
        A file of `minires train` with which the backbone begins; None: random weights.
    out : str
        Directory for the checkpoint, config.json and metrics.csv.
    seed : int
        Seed of the head's initial weights, the order of the scenes and their flips; the scenes
        themselves are always the same.
    epochs, batch_size, train_size, test_size, image_size : int
    lr, momentum, weight_decay : float
        Settings of SGD; `lr` is divided by 10 after 2/3 and 8/9 of the run.
    warm_up : int
        Iterations with a tenth of `lr` at the beginning, at most a tenth of the run.
    flip : bool
        Mirror every second image, and its boxes.
    checkpoint_every : int
        Iterations; also at the end of each epoch.
    backend, precision : str
    """

    trained = "detector"
    may_change = ("weights", *Settings.may_change)  # what is in the file is looked at

    limits = (
        Settings.limits
        | dict.fromkeys(("epochs", "batch_size"), (1, None))
        | dict.fromkeys(("lr", "momentum", "weight_decay", "warm_up"), (0, None))
    )

    model: str = "resnet20"
    weights: str | None = None
    out: str = "runs/detector"
    epochs: int = 30
    batch_size: int = 32
    train_size: int = 2000
    test_size: int = 500
    image_size: int = 64
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_up: int = 100
    flip: bool = True

    def __post_init__(self):
        super().__post_init__()
        if self.precision in HALF:
            raise ValueError(
                f"precision {self.precision} is for the training of classifiers: the detector has "
                f"operations that keep images in float32 only"
            )


class DetectionTrainer(Run):
    """Sets a run up from its settings, and goes on from the checkpoint in `config.out` if there is
    one; then `run()`.

    Attributes
    ----------
    detector : Detector
        The model that is trained.
    train, test : Scenes
    normalization : Normalization
        Per pixel, from the training scenes.
    losses : list of [objectness, classes, boxes]
        The three parts of the loss in each step of the epoch so far.

    Raises
    ------
    TrainingError
        If the directory holds another run, or a run with other settings.
    WeightsError
        If a file is missing or damaged.
    """

    config: DetectionConfig

    def __init__(self, config: DetectionConfig):
        super().__init__(config, resume=True)
        self.train, self.test = load_scenes(
            config.train_size, config.test_size, image_size=config.image_size
        )
        self.normalization = Normalization.make("per-pixel", self.train.images)
        net = models.build(config.model, len(self.train.classes))
        if config.weights is not None:
            net.load_state_dict(read_arrays(Path(config.weights))[0])
        self.detector = self.model = Detector(net, len(self.train.classes))
        self.optimizer = optim.SGD(self.detector, config.lr, config.momentum, config.weight_decay)
        self.images = _Images(self.train, self.normalization)
        self.per_epoch = math.ceil(len(self.train) / config.batch_size)
        self.total = config.epochs * self.per_epoch
        decay = optim.step_decay(config.lr, (self.total * 2 / 3, self.total * 8 / 9))
        warm_up = min(config.warm_up, self.total // 10)
        self.schedule = optim.warm_up(decay, warm_up, config.lr / 10)
        self.losses: list[list[float]] = []
        self._go_on()

    def batches(self, epoch: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(iteration, scenes (N,), flips (N,)) of each batch, by seed and epoch alone."""
        rng = np.random.default_rng(np.random.SeedSequence(self.config.seed, spawn_key=(epoch,)))
        order = rng.permutation(len(self.train))
        flips = (rng.random(len(order)) < 0.5) & self.config.flip
        for i in range(self.per_epoch):
            part = slice(i * self.config.batch_size, (i + 1) * self.config.batch_size)
            yield epoch * self.per_epoch + i, order[part], flips[part]

    def steps(self, epoch: int, first: int, last: int) -> Iterator[None]:
        """Take steps, and note their losses."""
        for batch in islice(self.batches(epoch), first, last):
            self._guarded_step(*batch)
            self.step += 1
            yield

    def _guarded_step(self, iteration: int, chosen: np.ndarray, flips: np.ndarray) -> None:
        def take() -> None:
            self.losses.append(self._step(iteration, chosen, flips))

        if self.guard is None:
            take()
        else:
            self.guard.take(take, lambda: self.detector(self.images.input(chosen, flips)))

    def _step(self, iteration: int, chosen: np.ndarray, flips: np.ndarray) -> list[float]:
        """Forward, backward, SGD; returns the parts of the loss."""
        size = self.train.image_size
        boxes = [self.train.boxes[i] for i in chosen]
        boxes = [flipped(b, size) if flip else b for b, flip in zip(boxes, flips, strict=True)]
        targets = encode(boxes, [self.train.labels[i] for i in chosen], size)
        parts = detection_loss(self.detector(self.images.input(chosen, flips)), targets)
        self.optimizer.lr = self.schedule(iteration)
        looking = self.guard is not None and self.guard.looking
        minimize(parts[0] + parts[1] + parts[2], self.optimizer, finite=looking)
        return [part.item() for part in parts]

    def read(self) -> list[float]:
        """The mean of each part of the loss in the epoch so far."""
        if not self.losses:  # all steps were left out so far
            return [math.nan] * len(PARTS)
        losses = np.mean(self.losses, axis=0).tolist()
        if not all(map(math.isfinite, losses)):
            raise Diverged(
                f"the detector's losses are {losses} at iteration {self.step}: training has "
                f"diverged; {self.remedy()}"
            )
        return losses

    def progress(self) -> str:
        """The loss."""
        return f"loss {sum(self.read()):.3f}"

    def measure(self) -> dict:
        """The parts of the loss, and how long the training took."""
        row = dict(zip(PARTS, self.read(), strict=True))
        if not self.losses:
            raise Diverged(
                f"every step of epoch {len(self.history) + 1} was left out: training has diverged; "
                f"{self.remedy()}"
            )
        return row | {"seconds": round(self.seconds, 3)}

    def begin_epoch(self) -> None:
        """Forget the losses."""
        self.losses = []

    def describe(self, row: dict) -> str:
        """Epoch, losses, seconds."""
        parts = ", ".join(f"{name} {row[name]:.3f}" for name in PARTS)
        return (
            f"{self.config.model} epoch {row['epoch']}/{self.epochs}  loss "
            f"{sum(row[name] for name in PARTS):.3f} ({parts})  {row['seconds']:.1f} s"
        )

    def state(self) -> dict:
        """With the losses of the epoch so far, and what the backbone began with."""
        own = {"losses": self.losses, "sha256 of the weights": self._digest()}
        return super().state() | own

    def load_state(self, state: dict) -> None:
        """Go on where `state` says."""
        before, now = state["sha256 of the weights"], self._digest()
        if before != now:
            raise TrainingError(
                f"{self.out} holds a run that began with other weights: the sha256 of the weights "
                f"was {before!r} and is now {now!r}"
            )
        super().load_state(state)
        self.losses = [[real("its state", "a loss", n) for n in row] for row in state["losses"]]

    def _digest(self) -> str | None:
        begun = self.config.weights
        return begun and hashlib.sha256(Path(begun).read_bytes()).hexdigest()


def detect(
    detector: Detector, scenes: Scenes, normalization: Normalization, batch_size: int = 64
) -> list[Detections]:
    """What a detector finds in each scene; its mode is restored."""
    images, found = _Images(scenes, normalization), []
    with nn.evaluating(detector), no_grad():
        for start in range(0, len(scenes), batch_size):
            chosen = np.arange(start, min(start + batch_size, len(scenes)))
            said = detector(images.input(chosen, np.zeros(len(chosen), bool)))
            found += decode(*(part.numpy() for part in said))
    return found


def flipped(boxes: np.ndarray, image_size: int) -> np.ndarray:
    """Boxes (n, 4) in the mirrored image: left and right change places."""
    x0, y0, x1, y1 = boxes.T
    return np.stack([image_size - x1, y0, image_size - x0, y1], axis=1)


class _Images:
    """The scenes' images on the current backend, as bytes; batches of them as float32."""

    def __init__(self, scenes: Scenes, normalization: Normalization):
        self.images = backend.asarray(scenes.images)
        self.mean, self.inv_std = (
            backend.asarray(np.broadcast_to(value, scenes.images.shape[1:]), np.float32)
            for value in (normalization.mean, normalization.inv_std)
        )

    def input(self, chosen: np.ndarray, flips: np.ndarray) -> Tensor:
        """The scenes `chosen` (N,), mirrored where `flips` (N,) says so: (N, S, S, 3)."""
        nowhere = backend.asarray(np.zeros((len(chosen), 2), np.int64))
        chosen, flips = backend.asarray(chosen), backend.asarray(flips)
        augment = backend.kernel("augment").forward
        return Tensor(
            augment(self.images, chosen, nowhere, flips, 0, self.mean, self.inv_std, np.float32)
        )
