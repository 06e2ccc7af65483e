"""A problem that is small enough for a lesson: shapes of 8 x 8 pixels, dense layers of any depth.

The lessons on depth use it. Its arithmetic runs on NumPy: small arrays gain nothing from threads.
"""

from collections.abc import Callable

import numpy as np

import minires as mr
from minires import backend, nn, optim
from minires import functional as F
from minires.data import load_shapes
from minires.training import minimize

WIDTH = 64


def reduced(images: np.ndarray) -> np.ndarray:
    """Images (N, 32, 32, 3) as vectors (N, 192): means of 4 x 4 pixels, from -1/2 to 1/2."""
    blocks = images.reshape(len(images), 8, 4, 8, 4, 3).mean((2, 4)) / 255 - 0.5
    return blocks.reshape(len(images), -1).astype("float32")


class Block(nn.Module):
    """Two dense layers, each with its normalisation; with a shortcut around them or without."""

    def __init__(self, is_residual: bool, is_normalized: bool = True):
        super().__init__()
        self.first, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        kind = nn.BatchNorm1d if is_normalized else lambda width: nn.Identity()
        self.norm1, self.norm2 = kind(WIDTH), kind(WIDTH)
        self.is_residual = is_residual

    def forward(self, x):
        h = F.relu(self.norm1(self.first(x)))
        h = self.norm2(self.last(h))
        return F.relu(h + x if self.is_residual else h)


def network(depth: int, is_residual: bool = False, is_normalized: bool = True) -> nn.Module:
    """A network with `depth` layers of weights, of which all but two are in blocks."""
    blocks = [Block(is_residual, is_normalized) for _ in range((depth - 2) // 2)]
    return nn.Sequential(nn.Linear(192, WIDTH), nn.ReLU(), *blocks, nn.Linear(WIDTH, 10))


def train(
    net: nn.Module, epochs: int = 5, lr: float = 0.02, after_backward: Callable | None = None
) -> list[float]:
    """Train on 2000 shapes in batches of 100 -> the loss of each iteration.

    `after_backward(net)` may look at the gradients or change them before the step.
    """
    shapes, _ = load_shapes()
    x, labels = reduced(shapes.images[:2000]), shapes.labels[:2000]
    sgd, order = optim.SGD(net, lr=lr, momentum=0.9), np.random.default_rng(0)
    losses = []
    for _ in range(epochs):
        for part in np.array_split(order.permutation(len(x)), len(x) // 100):
            loss = F.cross_entropy(net(mr.tensor(x[part])), labels[part])
            if after_backward is None:
                minimize(loss, sgd)
            else:
                sgd.zero_grad()
                loss.backward()
                after_backward(net)
                sgd.step()
            losses.append(loss.item())
    return losses


def on_numpy() -> None:
    """Choose the backend of this problem."""
    backend.use("numpy")
