"""Einstein's summation in array code."""

import numpy as np

from minires.kernels.arrays import array_module


def forward(*operands, inputs, output):
    """y by the formula in `__init__.py`."""
    return _product(inputs, output, operands), (inputs, output, *operands)


def _product(inputs, output, operands):
    """Einstein's sum in the dtype of the operands; float32 is added up in float64."""
    xp, dtype = array_module(operands[0]), operands[0].dtype
    wide = [x.astype(np.float64) if dtype == np.float32 else x for x in operands]
    return xp.array(
        xp.einsum(f"{','.join(inputs)}->{output}", *wide, optimize=len(wide) > 2), dtype
    )


def backward(dy, saved, needs):
    """The gradient of each operand that needs one."""
    inputs, output, *operands = saved
    return tuple(
        _gradient(i, dy, inputs, output, operands) if needs[i] else None
        for i in range(len(operands))
    )


def _gradient(place, dy, inputs, output, operands):
    xp, x, letters = array_module(dy), operands[place], inputs[place]
    others = [i for i in range(len(operands)) if i != place]
    factors, names = [dy, *(operands[i] for i in others)], [output, *(inputs[i] for i in others)]
    once = "".join(dict.fromkeys(letters))
    known = "".join(letter for letter in once if any(letter in name for name in names))
    lengths = dict(zip(letters, x.shape, strict=True))
    part = _product(names, known, factors)
    part = part.reshape([lengths[letter] if letter in known else 1 for letter in once])
    dx = xp.zeros(x.shape, dy.dtype)
    xp.einsum(f"{letters}->{once}", dx)[...] = part  # a view: of the diagonal, if there is one
    return dx
