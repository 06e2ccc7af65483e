"""The Functions behind a Tensor's operators: arithmetic, reductions, shapes, indexing."""

from minires.function import Function


class Add(Function):
    """a + b with broadcasting."""

    op = "add"


class Binary(Function):
    """Arithmetic of two operands; `kind` is sub, mul, div or pow."""

    op = "binary"


class Unary(Function):
    """A function of one array; `kind` is neg, exp, log, tanh, sigmoid, sqrt or abs."""

    op = "unary"


class Reduce(Function):
    """sum, mean or max (`kind`) over the axes of the tuple `axis`."""

    op = "reduce"


class MatMul(Function):
    """Matrix product of the last two axes."""

    op = "matmul"


class Index(Function):
    """x[key]."""

    op = "index"


class Reshape(Function):
    """The same values in another shape: forward and backward are views, no arithmetic."""

    def forward(self, x):
        self.saved = (x.shape,)
        return x.reshape(self.options["shape"])

    def backward(self, dy):
        (shape,) = self.saved
        return (dy.reshape(shape),)


class Transpose(Function):
    """Axes in another order; the backward puts them back."""

    def forward(self, x):
        self.saved = (self.options["axes"],)
        return x.transpose(self.options["axes"])

    def backward(self, dy):
        (axes,) = self.saved
        inverse = sorted(range(len(axes)), key=axes.__getitem__)
        return (dy.transpose(inverse),)
