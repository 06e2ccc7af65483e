"""What is done to the parameters of a network as a whole, under PyTorch's names."""

from collections.abc import Iterable
from math import inf, sqrt

import numpy as np

from minires import backend
from minires.arguments import real
from minires.cuda import graph
from minires.hints import asked_in
from minires.nn.module import Module, Parameter
from minires.shaping import cat
from minires.tensor import Tensor, as_tensor


def listed(name: str, params: Module | Iterable[Parameter]) -> list[Parameter]:
    """Parameters as a list; `name` says in an error who was given something else."""
    if isinstance(params, Tensor):
        raise TypeError(f"{name}: params must be a Module or a list of Parameters, not one Tensor")
    params = params.parameters() if isinstance(params, Module) else list(params)
    for place, parameter in enumerate(params):
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"{name}: params[{place}] must be a Parameter, but is a {type(parameter).__name__}"
            )
    return params


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


clip_grad_norm_ = clip_grad_norm


def clip_grad_value_(parameters: Iterable[Parameter], clip_value: float) -> None:
    """Cut every element of the gradients off at -clip_value and clip_value."""
    bound = real("clip_grad_value_", "clip_value", clip_value, least=0)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = backend.xp().clip(parameter.grad, -bound, bound)


def parameters_to_vector(parameters: Iterable[Parameter]) -> Tensor:
    """All parameters in one vector, through which the gradient flows."""
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vector, parameters: Iterable[Parameter]) -> None:
    """Copy the numbers of a vector into the parameters, one after the other.

    Raises
    ------
    ValueError
        If there are more or fewer numbers than the parameters have; then nothing is changed.
    """
    parameters, data = list(parameters), as_tensor(vector).data
    total = sum(parameter.size for parameter in parameters)
    if data.shape != (total,):
        raise ValueError(
            f"vector_to_parameters: the parameters have {total} numbers, the vector is {data.shape}"
        )
    ends = np.cumsum([int(parameter.size) for parameter in parameters])
    for parameter, end in zip(parameters, ends, strict=True):
        parameter.data[...] = data[end - parameter.size : end].reshape(parameter.shape)


__getattr__ = asked_in("utils")
