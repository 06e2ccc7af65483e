"""PyTorch's names of arguments beside NumPy's: `dim` for `axis`, `keepdim` for `keepdims`."""

from collections.abc import Callable
from functools import wraps

ALIASES = {"dim": "axis", "dims": "axis", "keepdim": "keepdims"}


def pytorch_names(function: Callable) -> Callable:
    """Have `function` understand `dim=` and `keepdim=`, too."""

    @wraps(function)
    def understanding(*args, **named):
        if not named.keys().isdisjoint(ALIASES):
            for alias in ALIASES.keys() & named.keys():
                name = ALIASES[alias]
                if name in named:
                    raise TypeError(
                        f"{function.__name__}: {name} and {alias} mean the same; give one of them"
                    )
                named[name] = named.pop(alias)
        return function(*args, **named)

    return understanding
