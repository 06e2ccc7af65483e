"""A Function of your own: softplus, its backward by hand, and the proof that it is right.

    python examples/own_function.py

softplus(x) = log(1 + exp(x)) is a smooth ReLU. Its derivative is 1 / (1 + exp(-x)), the sigmoid.
"""

import numpy as np

from minires import Tensor
from minires.function import Function
from minires.gradcheck import GradcheckError, gradcheck


class Softplus(Function):
    """log(1 + exp(x)), for any x: exp is never taken of a large number."""

    def forward(self, x):
        """Arrays in, an array out. `self.saved` is what backward will need."""
        self.saved = (x,)
        return self.xp.maximum(x, 0) + self.xp.log1p(self.xp.exp(-abs(x)))

    def backward(self, dy):
        """The gradient of the output in; a tuple with one gradient for each input out."""
        (x,) = self.saved
        return (dy / (1 + self.xp.exp(-x)),)


def softplus(x: Tensor) -> Tensor:
    """A Function records one call, so every call makes a new one."""
    return Softplus()(x)


class WrongSoftplus(Softplus):
    """A sign is lost."""

    def backward(self, dy):
        (x,) = self.saved
        return (dy / (1 + self.xp.exp(x)),)


x = np.random.default_rng(0).standard_normal((3, 4))

print(softplus(Tensor([-1000.0, 0.0, 1000.0])))  # no overflow at either end
gradcheck(softplus, [x])
print("softplus: backward agrees with numerical gradients")

try:
    gradcheck(lambda x: WrongSoftplus()(x), [x])
except GradcheckError as error:
    print(f"\nWrongSoftplus: {error}")
