"""Mixed precision: what training with gradients in float16 needs beside the kernels."""

from minires import backend
from minires.kernels.grad_scaler import FOUND, SCALE
from minires.optim import Optimizer
from minires.tensor import Tensor


class GradScaler:
    """Dynamic loss scaling, PyTorch's `torch.amp.GradScaler`; see `kernels/grad_scaler`.

    >>> scaler.backward(loss)
    >>> scaler.step(sgd)

    Parameters
    ----------
    init_scale : float
        By which the loss is multiplied in the first backward.
    growth_factor, backoff_factor : float
        For the scale after `growth_interval` steps without infinite gradients, and after a step
        with one, which is left out.
    growth_interval : int

    Attributes
    ----------
    state : array (4,), float32
        On the current backend: the steps do not wait for the host. scale, 1 / the scale of the last
        backward, whether the last step was left out, steps since the scale was changed.
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ):
        if not init_scale > 0 or not growth_factor > 1 or not 0 < backoff_factor < 1:
            raise ValueError(
                f"GradScaler: init_scale must be above 0, growth_factor above 1 and backoff_factor "
                f"between 0 and 1, but they are {init_scale}, {growth_factor} and {backoff_factor}"
            )
        if growth_interval < 1:
            raise ValueError(f"GradScaler: growth_interval is at least 1, but is {growth_interval}")
        self.growth = (float(growth_factor), float(backoff_factor), int(growth_interval))
        self.state = backend.asarray([init_scale, 1 / init_scale, 0, 0], "f4")

    def backward(self, loss: Tensor) -> None:
        """Differentiate `loss` (a Tensor () of float32) times the scale."""
        if loss.size != 1:
            raise ValueError(f"GradScaler: the loss must be one number, but is {loss.shape}")
        loss.backward(self.state[SCALE : SCALE + 1].reshape(loss.shape))

    def step(self, optimizer: Optimizer) -> None:
        """Update the parameters with the gradients divided by the scale, if all are finite."""
        grads = [parameter.grad for parameter in optimizer.params if parameter.grad is not None]
        backend.kernel("grad_scaler").update(grads, self.state, *self.growth)
        optimizer.step(self.state)

    @property
    def scale(self) -> float:
        """The scale of the next backward (waits for the device)."""
        return float(backend.to_numpy(self.state)[SCALE])

    @property
    def skipped(self) -> bool:
        """Whether the last step was left out (waits for the device)."""
        return bool(backend.to_numpy(self.state)[FOUND])
