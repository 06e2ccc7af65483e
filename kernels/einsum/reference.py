"""Einstein's summation in array code."""

from minires.kernels.arrays import array_module


def forward(*operands, inputs, output):
    """y by the formula in `__init__.py`."""
    xp = array_module(operands[0])
    y = xp.einsum(f"{','.join(inputs)}->{output}", *operands, optimize=len(operands) > 2)
    return xp.array(y, operands[0].dtype), (inputs, output, *operands)


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
    part = xp.einsum(f"{','.join(names)}->{known}", *factors, optimize=len(factors) > 2)
    part = part.reshape([lengths[letter] if letter in known else 1 for letter in once])
    dx = xp.zeros(x.shape, dy.dtype)
    xp.einsum(f"{letters}->{once}", dx)[...] = part  # a view: of the diagonal, if there is one
    return dx
