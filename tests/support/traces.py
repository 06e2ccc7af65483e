"""Steps of training, for one backend to be compared with another, and replays with plain steps."""

import numpy as np

import minires as mr
from minires import Tensor, backend, models, optim
from minires import functional as F
from minires.cuda_graph import capture
from minires.data import Loader, Normalization, load_shapes
from minires.training import Config, Trainer
from minires.training.evaluate import Metrics
from minires.training.weights import read_arrays


def images(*shape, seed=0) -> np.ndarray:
    """Random numbers in float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def train(name: str, dtype: str, lr: float, steps: int = 20, batch: int = 16, size: int = 32):
    """Losses and the final state of a ResNet-8 trained on random images with backend `name`."""
    mr.seed(0)
    rng = np.random.default_rng(0)
    with mr.use(name):
        net = models.resnet8()
        net = net.double() if dtype == "float64" else net
        sgd = optim.SGD(net, lr, momentum=0.9, weight_decay=1e-4)
        losses = []
        for _ in range(steps):
            x = rng.standard_normal((batch, size, size, 3)).astype(dtype)
            loss = F.cross_entropy(net(Tensor(x)), rng.integers(0, 10, batch))
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            losses.append(loss.item())
        return losses, net.state_dict()


def assert_same_training(name: str, dtype: str, lr: float, tolerance: float, **how) -> None:
    """Twenty steps of SGD, each weight and velocity as after the reference's."""
    expected, weights = train("numpy", dtype, lr, **how)
    losses, own = train(name, dtype, lr, **how)
    np.testing.assert_allclose(losses, expected, rtol=tolerance)
    for parameter, value in weights.items():
        scale = np.abs(value).max() + 1e-3
        np.testing.assert_allclose(
            own[parameter], value, atol=100 * tolerance * scale, err_msg=parameter
        )


class Training:
    """A small network on random images of 8 x 8, to be trained by plain steps or by replays."""

    def __init__(
        self,
        fused: bool | None = None,
        model="resnet8",
        shortcut=None,
        method=optim.SGD,
        spare_vectors=False,
        **settings,
    ):
        backend.seed(0)
        self.model = models.build(model, shortcut=shortcut, fused=fused)
        params = optim.decay_groups(self.model, 1e-2) if spare_vectors else self.model
        own = {"momentum": 0.9} if method is optim.SGD else {}
        self.optimizer = method(params, **{"lr": 0.1, "weight_decay": 1e-2} | own | settings)
        self.metrics = Metrics()

    def step(self, x, labels):
        """One step; returns the loss and the logits."""
        logits = self.model(Tensor(x))
        loss = F.cross_entropy(logits, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.metrics.add(loss.data, logits.data, labels)
        return loss, logits

    def state(self) -> dict:
        """Weights, running statistics, what the optimizer keeps, and sums, by name."""
        sums = {"loss": self.metrics.loss_sum, "correct": self.metrics.correct}
        copies = {k: np.array(backend.to_numpy(v)) for k, v in sums.items()}
        return self.model.state_dict() | self.optimizer.state() | copies


def batches(count: int, size: int = 6) -> list:
    """So many batches of random images and labels, on the current backend."""
    rng = np.random.default_rng(1)
    return [
        (
            backend.asarray(rng.standard_normal((size, 8, 8, 3)).astype(np.float32)),
            backend.asarray(rng.integers(0, 10, size)),
        )
        for _ in range(count)
    ]


def loader(**how) -> Loader:
    """Batches of 5 out of 23 shapes of 8 x 8."""
    train, _ = load_shapes(23, 1, image_size=8)
    return Loader(train, Normalization.make("per-pixel", train.images), 5, **how)


def assert_same_bits(first: dict, second: dict) -> None:
    """Equal names, equal bytes."""
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.tobytes() == second[name].tobytes(), name


def assert_replays_are_plain_steps(name: str, fused: bool | None = None, **how) -> None:
    """Four steps, each with a learning rate of its own: all state has the same bits after each."""
    rates = [0.1, 0.03, 0.3, 0.01]
    with mr.use(name):
        plain, replayed = Training(fused, **how), Training(fused, **how)
        replayed.optimizer.lr = backend.asarray(0.0, np.float64)
        captured = capture(replayed.step, *batches(1)[0])
        for rate, batch in zip(rates, batches(4), strict=True):
            plain.optimizer.lr, replayed.optimizer.lr[...] = rate, rate
            expected, own = plain.step(*batch), captured.replay(*batch)
            for one, other in zip(expected, own, strict=True):
                assert one.numpy().tobytes() == other.numpy().tobytes()
            assert_same_bits(plain.state(), replayed.state())


TINY_RUN = {
    "model": "resnet8",
    "dataset": "shapes",
    "image_size": 8,
    "train_size": 37,  # two batches of 16 and one of 5
    "test_size": 10,
    "batch_size": 16,
    "backend": "emulator",
    "epochs": 2,
    "schedule": "cosine",
    "warm_up": 1,
    "checkpoint_every": 1,
}


def run_tiny(out, resume=False, **settings) -> Trainer:
    """A whole run of `minires train`, with these settings beside those of TINY_RUN."""
    trainer = Trainer(Config(**TINY_RUN | settings, out=str(out)), resume)
    trainer.run()
    return trainer


def without_times(history: list) -> list:
    times = ("seconds", "images_per_second")
    return [{k: v for k, v in row.items() if k not in times} for row in history]


def assert_same_run(first: Trainer, second: Trainer) -> None:
    """Two finished runs have the same record and left the same bits behind."""
    assert without_times(first.history) == without_times(second.history)
    for name in ("last.safetensors", "best.safetensors", "checkpoint"):
        assert_same_bits(*(read_arrays(trainer.out / name)[0] for trainer in (first, second)))
