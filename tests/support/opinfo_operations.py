"""PyTorch's operations by minires' own: found by name, or by an adapter where layouts differ."""

from collections.abc import Callable

import numpy as np
import torch
from foreign import NotTried

import minires as mr
from minires import Tensor
from minires import functional as F


def ours(value, gradients: bool):
    """What minires gets for an argument of PyTorch's."""
    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.is_sparse or value.dtype == torch.bfloat16:
            raise NotTried
        array = value.detach().numpy().copy()
        return Tensor(array, gradients and value.requires_grad)
    if isinstance(value, torch.dtype):
        return np.dtype(str(value).removeprefix("torch."))
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, torch.device | torch.layout | torch.memory_format | complex):
        raise NotTried
    if isinstance(value, list | tuple):
        return type(value)(ours(part, gradients) for part in value)
    if isinstance(value, dict):
        return {name: ours(part, gradients) for name, part in value.items()}
    return value


def last(x):
    """(N, C, ...) -> (N, ..., C)."""
    return x.movedim(1, -1)


def second(x):
    """(N, ..., C) -> (N, C, ...)."""
    return x.movedim(-1, 1)


def image(x):
    """A batch of images (N,H,W,C), from (N,C,H,W) or (C,H,W)."""
    if x.ndim not in (3, 4):
        raise NotTried
    return last(x if x.ndim == 4 else x.unsqueeze(0))


def _back(y, x):
    y = second(y)
    return y if x.ndim == 4 else y.squeeze(0)


def _conv2d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    y = F.conv2d(
        image(x),
        w.permute(2, 3, 1, 0),
        stride,
        padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
    )
    return _back(y, x)


def _conv_transpose2d(x, w, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    how = {"output_padding": output_padding, "dilation": dilation, "groups": groups, "bias": bias}
    return _back(F.conv_transpose2d(image(x), w.permute(2, 3, 1, 0), stride, padding, **how), x)


def _pooled(name: str) -> Callable:
    def pool(x, *args, return_indices=False, **named):
        if return_indices or args[-1:] == (True,) and name == "adaptive_max_pool2d":
            raise NotTried
        args = args[:1] if name.startswith("adaptive") else args
        return _back(getattr(F, name)(image(x), *args, **named), x)

    return pool


def _batch_norm(x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    if x.ndim < 2:
        raise NotTried
    channels = x.shape[1]
    ones, zeros = (Tensor(make(channels, x.dtype)) for make in (np.ones, np.zeros))
    if mean is None or var is None:
        mean, var, training = zeros.clone(), ones.clone(), True
    weight, bias = ones if weight is None else weight, zeros if bias is None else bias
    running = (mean.data.copy(), var.data.copy())
    return second(F.batch_norm(last(x), weight, bias, *running, training, momentum, eps))


def _instance_norm(
    x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, **named
):
    if running_mean is not None or x.ndim < 3:
        raise NotTried
    named.pop("momentum", None)
    return second(F.instance_norm(last(x), weight, bias, **named))


def _losses(name: str) -> Callable:
    def loss(x, target, weight=None, size_average=None, ignore_index=-100, reduce=None, **named):
        if size_average is not None or reduce is not None:
            raise NotTried
        x = last(x) if x.ndim > 1 else x.unsqueeze(0)
        if target.dtype.kind == "f":
            target = last(target) if target.ndim > 1 else target.unsqueeze(0)
        else:
            target = target.reshape(x.shape[:-1])
        y = getattr(F, name)(x, target, weight=weight, ignore_index=ignore_index, **named)
        return y

    return loss


ADAPTED: dict[str, Callable] = {
    "nn.functional.linear": lambda x, w, b=None: F.linear(x, w.T, b),
    "nn.functional.conv2d": _conv2d,
    "nn.functional.conv_transpose2d": _conv_transpose2d,
    **{
        f"nn.functional.{name}": _pooled(name)
        for name in (
            "max_pool2d",
            "avg_pool2d",
            "adaptive_avg_pool2d",
            "adaptive_max_pool2d",
        )
    },
    "nn.functional.batch_norm": _batch_norm,
    "nn.functional.instance_norm": _instance_norm,
    "nn.functional.group_norm": lambda x, groups, *rest, **named: second(
        F.group_norm(last(x), groups, *rest, **named)
    ),
    "nn.functional.cross_entropy": _losses("cross_entropy"),
    "nn.functional.nll_loss": _losses("nll_loss"),
    "nn.functional.one_hot": lambda x, num_classes=-1: F.one_hot(
        x, None if num_classes == -1 else num_classes
    ),
    "nn.functional.pad": None,
    "nn.functional.prelu": lambda x, weight: (
        second(F.prelu(last(x), weight))
        if x.ndim > 1
        else F.prelu(x, weight.reshape(*[1] * x.ndim))
    ),
    "nn.functional.embedding": lambda weight, indices, **named: F.embedding(
        indices, weight, **named
    ),
    "einsum": lambda operands, equation: mr.einsum(equation, *operands),
    "where": lambda a, condition, b: mr.where(condition, a, b),
}
"""Where layouts or orders of arguments differ; None: by `_pad`."""


def _pad(x, widths, mode="constant", value=None):
    if mode != "constant":
        raise NotTried
    return F.pad(x, widths, 0.0 if value is None else value)


ADAPTED["nn.functional.pad"] = _pad
LEFT_OUT = {
    "equal": "a bool",
    "allclose": "a bool",
    "item": "a number",
    "nn.functional.dropout": "random",
    "bernoulli": "random",
    "multinomial": "random",
    "normal": "random",
    "randn": "random",
    "randn_like": "random",
    "rand_like": "random",
    "randint": "random",
    "randint_like": "random",
    "uniform": "random",
    "empty": "any numbers",
    "empty_like": "any numbers",
    "gradient": "another thing",
    "nn.functional.interpolate": "layout",
}
"""Operations whose results are no numbers to compare."""


def find(name: str) -> Callable:
    """minires' operation of this name of PyTorch's."""
    if name in ADAPTED:
        return ADAPTED[name]
    if name in LEFT_OUT:
        raise NotTried
    if name.startswith("nn.functional."):
        owner, name = F, name.removeprefix("nn.functional.")
    elif "." in name:
        raise NotTried
    else:
        owner = mr if callable(vars(mr).get(name)) else Tensor
    found = vars(owner).get(name)
    if not callable(found) or isinstance(found, type):
        raise NotTried
    return found
