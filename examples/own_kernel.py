"""A kernel of your own in CUDA C++, both directions, proven by gradcheck.

    python examples/own_kernel.py

The kernels are in `own_kernel.cu`. Without a GPU the emulator runs the very same file on the CPU
(it needs g++ or clang++).
"""

from pathlib import Path

import numpy as np

import minires as mr
from minires import Tensor, backend, cuda
from minires.function import Function
from minires.gradcheck import gradcheck

KERNELS = cuda.Module(
    Path(__file__).with_suffix(".cu"),
    ["swish<float>", "swish<double>", "swish_gradient<float>", "swish_gradient<double>"],
)


def launch(name, **arrays):
    """Run a kernel with a thread for each element, 128 threads in a block."""
    x = arrays["x"]
    instance = f"{name}<{cuda.element_type(x)}>"
    grid, block = (-(-x.size // 128),), (128,)
    KERNELS.launch(instance, grid, block, arrays | {"size": x.size})


class Swish(Function):
    """x / (1 + exp(-x)), by the kernels of `own_kernel.cu`."""

    def forward(self, x):
        y = self.xp.empty_like(x)
        launch("swish", x=x, y=y)
        self.saved = (x,)
        return y

    def backward(self, dy):
        (x,) = self.saved
        dx = self.xp.empty_like(x)
        launch("swish_gradient", dy=dy, x=x, dx=dx)
        return (dx,)


mr.use("emulator" if backend.problem("cupy") else "cupy")
x = Tensor(backend.asarray(np.linspace(-4, 4, 9, dtype=np.float32)), requires_grad=True)
y = Swish()(x)
y.sum().backward()
print(
    f"x      {x.numpy()}\nswish  {y.numpy().round(3)}\nslope  {backend.to_numpy(x.grad).round(3)}"
)

x = backend.asarray(np.random.default_rng(0).standard_normal((3, 100)))  # float64
gradcheck(lambda x: Swish()(x), [x])
print(f"backward agrees with numerical gradients on backend {backend.current()}")
