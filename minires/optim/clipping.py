"""Gradients scaled down together."""

from collections.abc import Iterable
from math import inf, sqrt

from minires.arguments import real
from minires.cuda import graph
from minires.nn import Module, Parameter
from minires.optim.optimizer import listed


def clip_grad_norm(params: Module | Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients together so that their joint Euclidean norm is at most `max_norm`.

    Returns
    -------
    float
        The norm before clipping.
    """
    graph.refuse("clip_grad_norm, which reads the norm on the host")
    if max_norm != inf:
        max_norm = real("clip_grad_norm", "max_norm", max_norm, least=0)
    params = listed("clip_grad_norm", params)
    gradients = [parameter.grad for parameter in params if parameter.grad is not None]
    norm = sqrt(float(sum((g * g).sum(dtype="f8") for g in gradients)))
    if norm > max_norm:
        for gradient in gradients:
            gradient *= max_norm / norm
    return norm
