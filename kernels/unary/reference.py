"""One-operand functions in array code."""

from minires.kernels.arrays import array_module


def forward(x, kind):
    """y = kind(x)."""
    xp = array_module(x)
    if kind == "neg":
        return -x, (None, kind)
    if kind == "log":
        return xp.log(x), (x, kind)
    if kind == "abs":
        return xp.abs(x), (x, kind)
    if kind == "sigmoid":
        y = 0.5 * (1 + xp.tanh(0.5 * x))  # the same function; e^-x would overflow for large -x
    else:
        y = {"exp": xp.exp, "tanh": xp.tanh, "sqrt": xp.sqrt}[kind](x)
    return y, (y, kind)


def backward(dy, saved, needs=(True,)):
    """dx by the table in `__init__.py`."""
    value, kind = saved
    if kind == "neg":
        return (-dy,)
    if kind == "exp":
        return (dy * value,)
    if kind == "log":
        return (dy / value,)
    if kind == "tanh":
        return (dy * (1 - value * value),)
    if kind == "sigmoid":
        return (dy * value * (1 - value),)
    if kind == "sqrt":
        return (dy / (2 * value),)
    return (dy * array_module(dy).sign(value),)
