"""Twenty steps of training, for one backend to be compared with another."""

import numpy as np

import minires as mr
from minires import Tensor, models, optim
from minires import functional as F


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
