"""ResNet-20 learns CIFAR-10 by AdamW, here and in PyTorch: the same weights, the same batches.

    python benchmarks/adamw_parity.py minires --data-dir data --out minires.json
    python benchmarks/adamw_parity.py torch --data-dir data --out torch.json
    python benchmarks/adamw_parity.py compare minires.json torch.json

Both start from the weights of seed 0 and see its crops and flips, with the settings of `minires
train --optimizer adamw`. Round-off drives two float32 runs apart step by step, so what is compared
are mean losses of 50 steps, and in the end the accuracies on the test images.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from minires import backend, data, models
from minires.data import Loader, Normalization
from minires.tensor import Tensor, no_grad
from minires.training import Config, step

STEPS_A_ROW = 50


class Ours:
    """minires on the numba backend."""

    def __init__(self, config: Config):
        self.model = models.resnet20()
        self.optimizer = config.make_optimizer(self.model)

    def step(self, x: Tensor, labels: np.ndarray, lr: float) -> float:
        self.optimizer.lr = lr
        loss, _ = step(self.model, self.optimizer, x, labels)
        return loss.item()

    def predictor(self) -> Callable[[Tensor], np.ndarray]:
        """For evaluation: from images to logits."""
        self.model.eval()
        return lambda x: self.model(x).numpy()


class Theirs:
    """PyTorch on the CPU."""

    def __init__(self, config: Config):
        import torch

        from minires.benchmarks.torch_resnet import TorchResNet
        from minires.interop import to_torch_state_dict

        self.torch, self.model = torch, TorchResNet(3)
        state = to_torch_state_dict(models.resnet20().state_dict())
        tensors = {name: torch.tensor(array) for name, array in state.items()}
        self.model.load_state_dict(tensors, strict=False)  # it counts batches, too
        settings = {"betas": config.betas, "weight_decay": config.weight_decay}
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.lr, **settings)

    def _logits(self, x: Tensor):
        return self.model(self.torch.from_numpy(x.numpy()).permute(0, 3, 1, 2))

    def step(self, x: Tensor, labels: np.ndarray, lr: float) -> float:
        labels = self.torch.from_numpy(labels)
        loss = self.torch.nn.functional.cross_entropy(self._logits(x), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.step()
        return loss.item()

    def predictor(self) -> Callable[[Tensor], np.ndarray]:
        """For evaluation: from images to logits."""
        self.model.eval()
        return lambda x: self._logits(x).detach().numpy()


def run(engine: str, data_dir: str, epochs: int, out: Path) -> None:
    """Train, and write losses and accuracy to `out`."""
    config = Config(dataset="cifar10", optimizer="adamw", epochs=epochs)
    backend.use("numba")
    backend.seed(config.seed)
    train, test, _ = data.load("cifar10", data_dir, False)
    normalization = Normalization.make(config.normalization, train.images)
    loader = Loader(train, normalization, config.batch_size, shuffle=True, augment=True)
    trained = {"minires": Ours, "torch": Theirs}[engine](config)
    total = config.total_steps(len(loader))
    lr, losses, started = config.learning_rate(total), [], time.perf_counter()
    for number, (x, labels) in enumerate(batches(loader, epochs)):
        losses.append(trained.step(x, labels, lr(number)))
        if len(losses) % STEPS_A_ROW == 0:
            print(f"{len(losses)}/{total} {np.mean(losses[-STEPS_A_ROW:]):.4f}", flush=True)
    seconds = time.perf_counter() - started
    predict = trained.predictor()
    with no_grad():
        right = [(predict(x).argmax(1) == y).sum() for x, y in Loader(test, normalization, 250)]
    found = {"losses": losses, "accuracy": int(sum(right)) / len(test), "seconds": seconds}
    out.write_text(json.dumps({"engine": engine, **found}) + "\n")


def batches(loader: Loader, epochs: int) -> Iterator[tuple[Tensor, np.ndarray]]:
    """All batches of a run."""
    for epoch in range(epochs):
        yield from loader.batches(epoch)


def compare(paths: list[Path]) -> None:
    """Print the mean losses of both runs side by side."""
    runs = [json.loads(path.read_text()) for path in paths]
    print("| steps | " + " | ".join(run["engine"] for run in runs) + " |")
    print("|---" * (len(runs) + 1) + "|")
    for start in range(0, len(runs[0]["losses"]), STEPS_A_ROW):
        parts = [run["losses"][start : start + STEPS_A_ROW] for run in runs]
        means = " | ".join(f"{np.mean(part):.4f}" for part in parts)
        print(f"| {start + 1} to {start + len(parts[0])} | {means} |")
    for what, form in (("accuracy", ".2%"), ("seconds", ".0f")):
        print(f"| {what} | " + " | ".join(format(run[what], form) for run in runs) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description="AdamW on CIFAR-10, minires beside PyTorch.")
    commands = parser.add_subparsers(dest="engine", required=True)
    for engine in ("minires", "torch"):
        p = commands.add_parser(engine)
        p.add_argument("--data-dir", default="data")
        p.add_argument("--epochs", type=int, default=2)
        p.add_argument("--out", type=Path, required=True)
    commands.add_parser("compare").add_argument("runs", type=Path, nargs=2)
    options = vars(parser.parse_args())
    if options["engine"] == "compare":
        compare(options["runs"])
    else:
        run(**options)


if __name__ == "__main__":
    main()
