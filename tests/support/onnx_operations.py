"""ONNX's operators by minires' operations: names, layouts and defaults translated."""

from collections.abc import Callable
from math import prod

import numpy as np
from foreign import NotTried

import minires as mr
from minires import Tensor
from minires import functional as F

OPERATORS: dict[str, Callable] = {}
"""Operator -> function (inputs, attributes) -> an output or a list of them."""


def operator(*names: str) -> Callable:
    """Enter a function under these names."""

    def enter(function: Callable) -> Callable:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return enter


def ints(x) -> list[int]:
    return [int(n) for n in np.asarray(x.numpy() if isinstance(x, Tensor) else x).reshape(-1)]


def last(x: Tensor) -> Tensor:
    """(N, C, ...) -> (N, ..., C)."""
    return x.movedim(1, -1)


def second(x: Tensor) -> Tensor:
    """(N, ..., C) -> (N, C, ...)."""
    return x.movedim(-1, 1)


UNARY = {
    "Abs": Tensor.abs,
    "Acos": Tensor.acos,
    "Acosh": Tensor.acosh,
    "Asin": Tensor.asin,
    "Asinh": Tensor.asinh,
    "Atan": Tensor.atan,
    "Atanh": Tensor.atanh,
    "BitwiseNot": lambda x: ~x,
    "Ceil": Tensor.ceil,
    "Cos": Tensor.cos,
    "Cosh": Tensor.cosh,
    "Erf": Tensor.erf,
    "Exp": Tensor.exp,
    "Floor": Tensor.floor,
    "HardSwish": F.hardswish,
    "Identity": lambda x: x,
    "IsNaN": Tensor.isnan,
    "Log": Tensor.log,
    "Mish": F.mish,
    "Neg": Tensor.__neg__,
    "Not": lambda x: ~x,
    "Reciprocal": Tensor.reciprocal,
    "Relu": F.relu,
    "Round": Tensor.round,
    "Sigmoid": Tensor.sigmoid,
    "Sign": Tensor.sign,
    "Sin": Tensor.sin,
    "Sinh": Tensor.sinh,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": Tensor.sqrt,
    "Tan": Tensor.tan,
    "Tanh": Tensor.tanh,
    "NonZero": lambda x: x.nonzero().transpose(),
}
OPERATORS |= {name: lambda i, a, f=f: f(i[0]) for name, f in UNARY.items()}
BINARY = {
    "Add": lambda a, b: a + b,
    "And": lambda a, b: a & b,
    "BitwiseAnd": lambda a, b: a & b,
    "BitwiseOr": lambda a, b: a | b,
    "BitwiseXor": lambda a, b: a ^ b,
    "Equal": lambda a, b: a == b,
    "Greater": lambda a, b: a > b,
    "GreaterOrEqual": lambda a, b: a >= b,
    "Less": lambda a, b: a < b,
    "LessOrEqual": lambda a, b: a <= b,
    "MatMul": lambda a, b: a @ b,
    "Mul": lambda a, b: a * b,
    "Or": lambda a, b: a | b,
    "PRelu": F.prelu,
    "Sub": lambda a, b: a - b,
    "Xor": lambda a, b: a ^ b,
}
OPERATORS |= {name: lambda i, a, f=f: f(i[0], i[1]) for name, f in BINARY.items()}
WITH_SETTINGS = {
    "Celu": lambda x, alpha=1.0: mr.maximum(x, 0.0) + mr.minimum(alpha * (x / alpha).expm1(), 0.0),
    "Elu": lambda x, alpha=1.0: F.elu(x, alpha),
    "Gelu": lambda x, approximate="none": F.gelu(x, approximate),
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: (alpha * x + beta).clip(0, 1),
    "LeakyRelu": lambda x, alpha=0.01: F.leaky_relu(x, alpha),
    "LogSoftmax": lambda x, axis=-1: x.log_softmax(axis),
    "Selu": lambda x, alpha=1.6732632423543772, gamma=1.0507009873554805: gamma * F.elu(x, alpha),
    "Shrink": lambda x, lambd=0.5, bias=0.0: mr.where(
        x > lambd, x - bias, mr.where(x < -lambd, x + bias, 0 * x)
    ),
    "Softmax": lambda x, axis=-1: x.softmax(axis),
    "Swish": lambda x, alpha=1.0: x * (alpha * x).sigmoid(),
    "ThresholdedRelu": lambda x, alpha=1.0: mr.where(x > alpha, x, 0 * x),
    "IsInf": lambda x, detect_negative=1, detect_positive=1: (
        x.isinf() & (((x > 0) & bool(detect_positive)) | ((x < 0) & bool(detect_negative)))
    ),
    "Flatten": lambda x, axis=1: (
        x.reshape(prod(x.shape[: axis % (x.ndim + 1) if axis < 0 else axis]), -1)
        if axis >= 0
        else x.reshape(prod(x.shape[:axis]), -1)
    ),
    "Transpose": lambda x, perm=None: x.permute(*perm) if perm else x.T,
    "EyeLike": lambda x, k=0, dtype=None: (
        Tensor(np.eye(*x.shape, k=k, dtype=x.dtype)) if dtype is None else not_tried()
    ),
    "Hardmax": lambda x, axis=-1: (
        F.one_hot(x.argmax(axis), x.shape[axis]).movedim(-1, axis).astype(x.dtype)
    ),
}
OPERATORS |= {name: lambda i, a, f=f: f(i[0], **a) for name, f in WITH_SETTINGS.items()}


def not_tried():
    raise NotTried


@operator("Div")
def div(i, a):
    x, y = i
    if x.dtype.kind in "iu":  # ONNX: towards zero
        return (x.abs() // y.abs() * x.sign() * y.sign()).astype(x.dtype)
    return x / y


@operator("Mod")
def mod(i, a):
    if a.get("fmod"):
        return i[0] - (i[0] / i[1]).trunc() * i[1] if i[0].dtype.kind == "f" else not_tried()
    return i[0] % i[1]


@operator("Pow")
def power(i, a):
    return (i[0] ** i[1].astype(i[0].dtype)).astype(i[0].dtype)


@operator("Max", "Min", "Sum", "Mean")
def several(i, a, name=None):
    raise AssertionError("replaced below")


for _name, _two in {
    "Max": mr.maximum,
    "Min": mr.minimum,
    "Sum": lambda a, b: a + b,
    "Mean": lambda a, b: a + b,
}.items():

    def _fold(i, a, name=_name, two=_two):
        total = i[0]
        for x in i[1:]:
            total = two(total, x)
        return total / len(i) if name == "Mean" else total

    OPERATORS[_name] = _fold

REDUCTIONS = {
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keep),
    "ReduceMean": lambda x, axes, keep: x.mean(axes, keep),
    "ReduceMax": lambda x, axes, keep: x.max(axes, keep),
    "ReduceMin": lambda x, axes, keep: x.amin(axes, keep),
    "ReduceProd": lambda x, axes, keep: x.prod(axes, keep),
    "ReduceL1": lambda x, axes, keep: x.norm(1, axes, keep),
    "ReduceL2": lambda x, axes, keep: x.norm(2, axes, keep),
    "ReduceLogSum": lambda x, axes, keep: x.sum(axes, keep).log(),
    "ReduceLogSumExp": lambda x, axes, keep: x.logsumexp(axes, keep),
    "ReduceSumSquare": lambda x, axes, keep: (x * x).sum(axes, keep),
}


def _reduce(i, a, f):
    axes = a.get("axes", ints(i[1]) if len(i) > 1 and i[1] is not None else None)
    if not axes:
        if a.get("noop_with_empty_axes"):
            not_tried()
        axes = None
    elif any(not -i[0].ndim <= n < i[0].ndim for n in axes):
        not_tried()
    return f(i[0], axes if axes is None else tuple(axes), bool(a.get("keepdims", 1)))


OPERATORS |= {name: lambda i, a, f=f: _reduce(i, a, f) for name, f in REDUCTIONS.items()}


@operator("ArgMax")
def argmax(i, a, find="argmax"):
    x, axis, keep = i[0], a.get("axis", 0), bool(a.get("keepdims", 1))
    if not a.get("select_last_index"):
        return getattr(x, find)(axis, keep)
    return x.shape[axis] - 1 - getattr(x.flip(axis), find)(axis, keep)


@operator("ArgMin")
def argmin(i, a):
    return argmax(i, a, "argmin")


@operator("CumSum")
def cumsum(i, a):
    x, axis = i[0], ints(i[1])[0]
    x = x.flip(axis) if a.get("reverse") else x
    y = x.cumsum(axis)
    y = y - x if a.get("exclusive") else y
    y = y.flip(axis) if a.get("reverse") else y
    return y.astype(i[0].dtype)


@operator("Clip")
def clip(i, a):
    low, high = ([*i[1:], None, None])[:2]
    return i[0] if low is None and high is None else i[0].clip(low, high)


@operator("Concat")
def concat(i, a):
    return mr.cat(list(i), a["axis"])


@operator("Split")
def split(i, a):
    axis = a.get("axis", 0)
    if len(i) > 1 and i[1] is not None:
        return list(i[0].split(ints(i[1]), axis))
    return list(i[0].split(-(-i[0].shape[axis] // a["outputs"]), axis))


@operator("Slice")
def slice_(i, a):
    x, starts, ends, *rest = i
    axes = ints(rest[0]) if rest and rest[0] is not None else range(x.ndim)
    steps = ints(rest[1]) if len(rest) > 1 else [1] * len(starts)
    key = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, ints(starts), ints(ends), steps, strict=False):
        end = None if step < 0 and end < -x.shape[axis] else end
        key[axis] = slice(start, end, step)
    return x[tuple(key)]


@operator("Squeeze")
def squeeze(i, a):
    return i[0].squeeze(tuple(ints(i[1]))) if len(i) > 1 else i[0].squeeze()


@operator("Unsqueeze")
def unsqueeze(i, a):
    ndim = i[0].ndim + len(ints(i[1]))
    y = i[0]
    for axis in sorted(n % ndim for n in ints(i[1])):
        y = y.unsqueeze(axis)
    return y


@operator("Reshape")
def reshape(i, a):
    shape = ints(i[1])
    if not a.get("allowzero"):
        shape = [i[0].shape[k] if n == 0 else n for k, n in enumerate(shape)]
    return i[0].reshape(*shape)


@operator("Expand")
def expand(i, a):
    return i[0].expand(*np.broadcast_shapes(i[0].shape, tuple(ints(i[1]))))


@operator("Tile")
def tile(i, a):
    return i[0].repeat(*ints(i[1]))


@operator("Pad")
def pad(i, a):
    if a.get("mode", "constant") != "constant":
        not_tried()
    x, widths, *rest = i
    value = rest[0].item() if rest and rest[0] is not None else 0
    n = len(ints(widths)) // 2
    axes = ints(rest[1]) if len(rest) > 1 else range(n)
    pairs = dict(
        zip([k % x.ndim for k in axes], np.reshape(ints(widths), (2, n)).T.tolist(), strict=True)
    )
    flat = [w for k in range(x.ndim)[::-1] for w in pairs.get(k, (0, 0))]
    return F.pad(x, flat, value)


@operator("Gather")
def gather(i, a):
    axis = a.get("axis", 0) % i[0].ndim
    return i[0][(slice(None),) * axis + (i[1],)]


@operator("GatherElements")
def gather_elements(i, a):
    axis = a.get("axis", 0)
    index = i[1].numpy()
    return i[0].gather(axis, np.where(index < 0, index + i[0].shape[axis], index))


@operator("Where")
def where(i, a):
    return mr.where(*i)


@operator("OneHot")
def one_hot(i, a):
    depth = ints(i[1])[0]
    labels = Tensor(i[0].numpy().astype(np.int64) % depth)
    low, high = i[2][0], i[2][1]
    return mr.where(F.one_hot(labels, depth).movedim(-1, a.get("axis", -1)) == 1, high, low)


@operator("Trilu")
def trilu(i, a):
    k = ints(i[1])[0] if len(i) > 1 else 0
    return i[0].triu(k) if a.get("upper", 1) else i[0].tril(k)


@operator("Einsum")
def einsum(i, a):
    return mr.einsum(a["equation"], *i)


@operator("TopK")
def topk(i, a):
    if not a.get("sorted", 1):
        not_tried()
    return list(i[0].topk(ints(i[1])[0], a.get("axis", -1), bool(a.get("largest", 1))))


@operator("Compress")
def compress(i, a):
    mask = i[1].numpy()
    x, axis = (i[0].flatten(), 0) if "axis" not in a else (i[0], a["axis"])
    return x.index_select(axis, np.flatnonzero(mask))


@operator("Shape")
def shape(i, a):
    return Tensor(np.array(i[0].shape[a.get("start", 0) : a.get("end", i[0].ndim)], np.int64))


@operator("Size")
def size(i, a):
    return Tensor(np.array(i[0].size, np.int64))


@operator("CastLike")
def cast_like(i, a):
    return i[0].astype(i[1].dtype)


@operator("Gemm")
def gemm(i, a):
    x, y = (m.T if a.get(f"trans{n}") else m for m, n in zip(i, "AB", strict=False))
    product = a.get("alpha", 1.0) * (x @ y)
    return product + a.get("beta", 1.0) * i[2] if len(i) > 2 else product


def _padding(a, x, kernel, stride, dilation):
    """((before, after), ...) of the two axes of pixels."""
    auto = a.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        pads = a.get("pads", [0] * 4)
        return [(pads[k], pads[k + 2]) for k in range(2)]
    if auto == "VALID":
        return [(0, 0), (0, 0)]
    sides = []
    for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True):
        whole = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
        sides.append((whole // 2, whole - whole // 2)[:: 1 if auto == "SAME_UPPER" else -1])
    return sides


def _flat(x):
    if x.ndim != 4:
        not_tried()  # images alone
    return x


@operator("Conv")
def conv(i, a):
    x, w = _flat(i[0]), i[1]
    stride, dilation = tuple(a.get("strides", (1, 1))), tuple(a.get("dilations", (1, 1)))
    padding = tuple(_padding(a, x, w.shape[2:], stride, dilation))
    how = {"dilation": dilation, "groups": a.get("group", 1), "bias": i[2] if len(i) > 2 else None}
    return second(F.conv2d(last(x), w.permute(2, 3, 1, 0), stride, padding, **how))


@operator("ConvTranspose")
def conv_transpose(i, a):
    x, w = _flat(i[0]), i[1]
    stride, dilation = tuple(a.get("strides", (1, 1))), tuple(a.get("dilations", (1, 1)))
    extra, pads = tuple(a.get("output_padding", (0, 0))), a.get("pads", [0] * 4)
    if "output_shape" in a or a.get("auto_pad", "NOTSET") != "NOTSET" or pads[:2] != pads[2:]:
        not_tried()
    how = {"dilation": dilation, "groups": a.get("group", 1), "output_padding": extra}
    return second(
        F.conv_transpose2d(last(x), w.permute(2, 3, 1, 0), stride, tuple(pads[:2]), **how)
    )


@operator("MaxPool", "AveragePool")
def pool(i, a):
    x, kernel = _flat(i[0]), tuple(a["kernel_shape"])
    stride, dilation = tuple(a.get("strides", (1, 1))), tuple(a.get("dilations", (1, 1)))
    sides = _padding(a, x, kernel, stride, dilation)
    if a["outputs"] > 1 or any(first != end for first, end in sides) or "storage_order" in a:
        not_tried()
    padding, ceil = tuple(first for first, _ in sides), bool(a.get("ceil_mode"))
    if "count_include_pad" in a or a["name"] == "AveragePool":
        if dilation != (1, 1):
            not_tried()
        counted = bool(a.get("count_include_pad", 0))
        return second(F.avg_pool2d(last(x), kernel, stride, padding, ceil, counted))
    if x.dtype.kind != "f":
        not_tried()
    return second(F.max_pool2d(last(x), kernel, stride, padding, dilation, ceil))


@operator("GlobalAveragePool")
def global_average(i, a):
    return second(F.adaptive_avg_pool2d(last(_flat(i[0])), 1))


@operator("GlobalMaxPool")
def global_max(i, a):
    return second(F.adaptive_max_pool2d(last(_flat(i[0])), 1))


@operator("BatchNormalization")
def batch_normalization(i, a):
    if a["outputs"] > 1 or a.get("training_mode"):
        not_tried()
    x, scale, shift, mean, var = i
    return second(
        F.batch_norm(last(x), scale, shift, mean.data, var.data, False, 0.1, a.get("epsilon", 1e-5))
    )


@operator("InstanceNormalization")
def instance_normalization(i, a):
    return second(F.instance_norm(last(i[0]), i[1], i[2], a.get("epsilon", 1e-5)))


@operator("GroupNormalization")
def group_normalization(i, a):
    return second(F.group_norm(last(i[0]), a["num_groups"], i[1], i[2], a.get("epsilon", 1e-5)))


@operator("LayerNormalization", "RMSNormalization")
def layer_normalization(i, a):
    if a["outputs"] > 1:
        not_tried()
    normalized = i[0].shape[a.get("axis", -1) % i[0].ndim :]
    weight = i[1].expand(*normalized)
    if a["name"] == "RMSNormalization":
        return F.rms_norm(i[0], normalized, weight, a.get("epsilon", 1e-5))
    shift = i[2].expand(*normalized) if len(i) > 2 else None
    return F.layer_norm(i[0], normalized, weight, shift, a.get("epsilon", 1e-5))


@operator("LpNormalization")
def lp_normalization(i, a):
    return F.normalize(i[0], float(a.get("p", 2)), a.get("axis", -1))


@operator("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss")
def losses(i, a):
    if a["outputs"] > 1:
        not_tried()
    how = {"reduction": a.get("reduction", "mean"), "ignore_index": a.get("ignore_index", -100)}
    how["weight"] = i[2] if len(i) > 2 else None
    loss = F.nll_loss if a["name"].startswith("Neg") else F.cross_entropy
    return loss(last(i[0]), i[1], **how)


@operator("Dropout")
def dropout(i, a):
    training = len(i) > 2 and i[2] is not None and bool(i[2].item())
    if a["outputs"] > 1 or training:
        not_tried()
    return F.dropout(i[0], 0.5, False)


@operator("SpaceToDepth")
def space_to_depth(i, a):
    if a.get("mode", "DCR") != "DCR":
        not_tried()
    (n, c, h, w), b = i[0].shape, a["blocksize"]
    x = i[0].reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(n, c * b * b, h // b, w // b)


@operator("MeanVarianceNormalization")
def mean_variance(i, a):
    axes = tuple(a.get("axes", (0, 2, 3)))
    return (i[0] - i[0].mean(axes, True)) / (i[0].std(axes, True, 0) + 1e-9)


def run(node, inputs: list[Tensor | None]) -> list[Tensor]:
    """The outputs of one node."""
    import onnx

    if node.op_type not in OPERATORS:
        raise NotTried
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
    if node.op_type in WITH_SETTINGS:
        given = attributes
    else:
        given = attributes | {"outputs": len(node.output), "name": node.op_type}
    result = OPERATORS[node.op_type](inputs, given)
    return result if isinstance(result, list) else [result]
