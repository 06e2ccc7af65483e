"""Adam, and AdamW, which decays weights beside it."""

import numpy as np

from minires import backend
from minires.arguments import real
from minires.optim.optimizer import Optimizer, Params


class Adam(Optimizer):
    """Steps divided by the root mean square of recent gradients (Kingma & Ba 2015).

    The update stands in `kernels/adam`; update and defaults are PyTorch's.

    Parameters
    ----------
    params : Module, iterable of Parameter, or list of dict
        See `Optimizer`.
    lr : float
    betas : (float, float)
        How much of the running means of gradients and of their squares remains in a step: 0 to 1,
        1 excluded.
    eps : float
        Added to the root, lest a step is divided by zero.
    weight_decay : float
        Added to the gradient, times the weight; see AdamW.
    """

    kernel = "adam"
    decoupled = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        name = type(self).__name__
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ValueError(f"{name}: betas are two numbers from 0 to below 1, but are {betas}")
        first, second = (real(name, "a beta", beta, least=0, below=1) for beta in betas)
        eps = real(name, "eps", eps, least=0)
        settings = {"betas": (first, second), "eps": eps, "decoupled": self.decoupled}
        super().__init__(params, lr, weight_decay, **settings)

    def initial_state(self, array) -> dict:
        """Both moments begin at zero; the step number lies on the device, for CUDA graphs."""
        zeros = backend.xp().zeros_like
        return {
            "first_moment": zeros(array),
            "second_moment": zeros(array),
            "step": backend.asarray(0, np.int64),
        }


class AdamW(Adam):
    """Adam with weight decay beside it, not in the gradient (Loshchilov & Hutter 2019).

    Parameters are those of Adam; every step takes `lr * weight_decay` of each weight away.
    """

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(params, lr, betas, eps, weight_decay)
