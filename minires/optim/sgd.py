"""Stochastic gradient descent."""

from minires import backend
from minires.arguments import flag, real
from minires.optim.optimizer import Optimizer, Params


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov's variant and weight decay.

    The update stands in `kernels/sgd`; update and defaults are PyTorch's.

    Parameters
    ----------
    params : Module, iterable of Parameter, or list of dict
        See `Optimizer`.
    lr : float
    momentum, weight_decay : float
    nesterov : bool
        Needs momentum > 0.
    """

    kernel = "sgd"

    def __init__(
        self,
        params: Params,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        momentum = real("SGD", "momentum", momentum, least=0)
        nesterov = flag("SGD", "nesterov", nesterov)
        super().__init__(params, lr, weight_decay, momentum=momentum, nesterov=nesterov)
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0")

    def initial_state(self, array) -> dict:
        """The velocity begins at zero."""
        return {"velocity": backend.xp().zeros_like(array)}
