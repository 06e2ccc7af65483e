"""Training of a detector on scenes: resumable, epoch by epoch, to the same bits."""

import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from minires import backend, models, optim
from minires.cuda import HALF
from minires.data import Normalization
from minires.paper.detection.boxes import Detections
from minires.paper.detection.detector import Detector
from minires.paper.detection.grid import decode, encode
from minires.paper.detection.loss import detection_loss
from minires.paper.detection.scenes import Scenes, load_scenes
from minires.tensor import Tensor, no_grad
from minires.training import TrainingError
from minires.training.weights import read_arrays, write_arrays

CHECKPOINT = "checkpoint"
MAY_CHANGE = ("out", "weights")
"""Settings that may differ when a run is resumed: where files lie. The weights are compared."""


@dataclass(frozen=True)
class DetectionConfig:
    """One training run of a detector.

    Attributes
    ----------
    model : str
        The backbone's name, a network for CIFAR.
    weights : str or None
        A file of `minires train` with which the backbone begins; None: random weights.
    out : str
        Directory for the checkpoint.
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
    backend, precision : str
    """

    model: str = "resnet20"
    weights: str | None = None
    out: str = "runs/detector"
    seed: int = 0
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
    backend: str = "auto"
    precision: str = "auto"

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        for name in ("seed", "lr", "momentum", "weight_decay", "warm_up"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")
        if self.precision in HALF:
            raise ValueError(
                f"precision {self.precision} is for the training of classifiers: the detector has "
                f"operations that keep images in float32 only"
            )


class DetectionTrainer:
    """Sets a run up from its settings, and goes on from the checkpoint in `config.out` if there is
    one; then `run()`.

    Attributes
    ----------
    detector : Detector
    train, test : Scenes
    normalization : Normalization
        Per pixel, from the training scenes.
    epoch : int
        Epochs done.
    history : list of dict
        For each of them its mean losses, and seconds.

    Raises
    ------
    TrainingError
        If the checkpoint is of a run with other settings.
    WeightsError
        If a file is missing or damaged.
    """

    def __init__(self, config: DetectionConfig):
        self.config = config
        backend.use(config.backend)
        backend.set_precision(config.precision)
        backend.seed(config.seed)
        self.train, self.test = load_scenes(
            config.train_size, config.test_size, image_size=config.image_size
        )
        self.normalization = Normalization.make("per-pixel", self.train.images)
        net = models.build(config.model, len(self.train.classes))
        if config.weights is not None:
            net.load_state_dict(read_arrays(Path(config.weights))[0])
        self.detector = Detector(net, len(self.train.classes))
        self.optimizer = optim.SGD(self.detector, config.lr, config.momentum, config.weight_decay)
        self.images = _Images(self.train, self.normalization)
        self.steps_per_epoch = math.ceil(len(self.train) / config.batch_size)
        total = config.epochs * self.steps_per_epoch
        decay = optim.step_decay(config.lr, (total * 2 // 3, total * 8 // 9))
        self.schedule = optim.warm_up(decay, min(config.warm_up, total // 10), config.lr / 10)
        self.epoch, self.history = 0, []
        self._restore()

    def run(self, note=print) -> Detector:
        """Train to the end; returns the detector. `note` is told a line for each epoch.

        Raises
        ------
        TrainingError
            If the loss is no longer a number. The last checkpoint stays.
        """
        self.detector.train()
        while self.epoch < self.config.epochs:
            started = time.perf_counter()
            losses = np.mean([self._step(*batch) for batch in self.batches(self.epoch)], axis=0)
            row = dict(zip(("objectness", "classes", "boxes"), losses.tolist(), strict=True))
            row["seconds"] = round(time.perf_counter() - started, 3)
            self.history.append(row)
            self.epoch += 1
            self._write()
            note(
                f"{self.config.model} epoch {self.epoch}/{self.config.epochs}  loss "
                f"{losses.sum():.3f} (objectness {losses[0]:.3f}, classes {losses[1]:.3f}, boxes "
                f"{losses[2]:.3f})  {row['seconds']:.1f} s"
            )
        return self.detector

    def batches(self, epoch: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(iteration, scenes (N,), flips (N,)) of each batch, by seed and epoch alone."""
        rng = np.random.default_rng(np.random.SeedSequence(self.config.seed, spawn_key=(epoch,)))
        order = rng.permutation(len(self.train))
        flips = (rng.random(len(order)) < 0.5) & self.config.flip
        for i in range(self.steps_per_epoch):
            part = slice(i * self.config.batch_size, (i + 1) * self.config.batch_size)
            yield epoch * self.steps_per_epoch + i, order[part], flips[part]

    def _step(self, iteration: int, chosen: np.ndarray, flips: np.ndarray) -> list[float]:
        """Forward, backward, SGD; returns the parts of the loss."""
        size = self.train.image_size
        boxes = [self.train.boxes[i] for i in chosen]
        boxes = [flipped(b, size) if flip else b for b, flip in zip(boxes, flips, strict=True)]
        targets = encode(boxes, [self.train.labels[i] for i in chosen], size)
        parts = detection_loss(self.detector(self.images.input(chosen, flips)), targets)
        self.optimizer.zero_grad()
        (parts[0] + parts[1] + parts[2]).backward()
        self.optimizer.lr = self.schedule(iteration)
        self.optimizer.step()
        losses = [part.item() for part in parts]
        if not all(map(math.isfinite, losses)):
            raise TrainingError(
                f"the detector's losses are {losses} at iteration {iteration}: training has "
                f"diverged; try a smaller lr. The last checkpoint is in {self.config.out}"
            )
        return losses

    def _write(self) -> None:
        """The state of the run, replaced as a whole."""
        arrays = {f"model.{name}": array for name, array in self.detector.state_dict().items()}
        for i, velocity in enumerate(self.optimizer.velocities):
            arrays[f"velocity.{i}"] = backend.to_numpy(velocity)
        state = {"epoch": self.epoch, "history": self.history, "settings": self._settings()}
        out = Path(self.config.out)
        out.mkdir(parents=True, exist_ok=True)
        write_arrays(out / CHECKPOINT, arrays, {"detector": json.dumps(state)})

    def _restore(self) -> None:
        path = Path(self.config.out) / CHECKPOINT
        if not path.exists():
            return
        arrays, metadata = read_arrays(path)
        if "detector" not in metadata:
            raise TrainingError(f"{path} is not the checkpoint of a detector; choose another out")
        state, own = json.loads(metadata["detector"]), self._settings()
        changed = [
            f"{name} was {state['settings'].get(name)!r} and is now {own[name]!r}"
            for name in own
            if own[name] != state["settings"].get(name)
        ]
        if changed:
            raise TrainingError(
                f"{path} is of a detector with other settings: {'; '.join(changed)}; choose "
                f"another out, or delete it"
            )
        self.detector.load_state_dict(
            {n.removeprefix("model."): v for n, v in arrays.items() if n.startswith("model.")}
        )
        for i, velocity in enumerate(self.optimizer.velocities):
            velocity[...] = backend.asarray(arrays[f"velocity.{i}"])
        self.epoch, self.history = state["epoch"], state["history"]

    def _settings(self) -> dict:
        """What a resumed run must share with the one that wrote the checkpoint."""
        settings = {n: v for n, v in asdict(self.config).items() if n not in MAY_CHANGE}
        settings["backend"] = backend.current()
        begun = self.config.weights
        digest = begun and hashlib.sha256(Path(begun).read_bytes()).hexdigest()
        return settings | {"sha256 of the weights": digest}


def detect(
    detector: Detector, scenes: Scenes, normalization: Normalization, batch_size: int = 64
) -> list[Detections]:
    """What a detector finds in each scene; its mode is restored."""
    images, found = _Images(scenes, normalization), []
    modes = [(module, module.training) for _, module in detector.named_modules()]
    detector.eval()
    try:
        with no_grad():
            for start in range(0, len(scenes), batch_size):
                chosen = np.arange(start, min(start + batch_size, len(scenes)))
                said = detector(images.input(chosen, np.zeros(len(chosen), bool)))
                found += decode(*(part.numpy() for part in said))
    finally:
        for module, training in modes:
            module.training = training
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
