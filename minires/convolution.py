"""Convolutions of images (N, H, W, C) with filters (KH, KW, Cin, Cout)."""

from minires import checks
from minires.arguments import integer
from minires.function import Function
from minires.shaping import pad
from minires.tensor import Tensor


def conv2d(x, w, stride=1, padding=0, *, dilation=1, groups: int = 1, bias=None) -> Tensor:
    """Two-dimensional convolution (cross-correlation).

    Parameters
    ----------
    x : Tensor (N, H, W, Cin), float32 or float64
    w : Tensor (KH, KW, Cin / groups, Cout), the dtype of x
    stride : int or pair (for H, for W)
    padding : int, pair (for H, for W), pair of pairs ((top, bottom), (left, right)), or str
        Zeros on each side. "same" keeps H and W (stride 1), "valid" pads nothing.
    dilation : int or pair
        Distance of the pixels that a window looks at.
    groups : int
        Parts of the channels that are convolved by themselves; Cin is depthwise.
    bias : Tensor (Cout,), optional

    Returns
    -------
    Tensor (N, Ho, Wo, Cout)
        Ho = floor((H + padding - dilation (KH - 1) - 1) / stride) + 1, padding that of both sides;
        Wo likewise.

    Raises
    ------
    TypeError, ValueError
        If ranks, channels or dtypes do not match, or the filter is larger than the padded image.
    """
    if isinstance(stride, Tensor):
        raise TypeError("conv2d: the bias goes by name here: conv2d(x, w, stride, padding, bias=b)")
    x, w, stride, dilation, groups = _checked("conv2d", x, w, stride, dilation, groups)
    if x.shape[3] != w.shape[2] * groups:
        of = f" in each of {groups} groups" * (groups > 1)
        nchw = x.shape[1] == w.shape[2] * groups
        raise ValueError(
            f"conv2d: x has {x.shape[3]} channels but w expects {w.shape[2]}{of} (x is (N,H,W,C) = "
            f"{x.shape}, w is (KH,KW,Cin,Cout) = {w.shape})"
            + "; images are (N,H,W,C) here: x.permute(0, 2, 3, 1) makes (N,C,H,W) into that"
            * nchw
        )
    if w.shape[3] % groups:
        raise ValueError(f"conv2d: {w.shape[3]} output channels do not divide into {groups} groups")
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, w.shape, strict=False))
    rows, columns = sides("conv2d", padding, reach, stride)
    if rows[0] == rows[1] and columns[0] == columns[1]:
        padding = (rows[0], columns[0])
    else:
        x, padding = pad(x, (0, 0, *columns, *rows)), (0, 0)
    checks.fits("conv2d", x, reach, padding)
    if dilation == (1, 1) and groups == 1:
        y = Function("conv2d", stride=stride, padding=padding)(x, w)
    else:
        how = {"padding": padding, "dilation": dilation, "groups": groups}
        y = Function("conv2d_grouped", stride=stride, **how)(x, w)
    return _with_bias("conv2d", y, bias)


def conv_transpose2d(
    x, w, stride=1, padding=0, *, output_padding=0, dilation=1, groups: int = 1, bias=None
) -> Tensor:
    """Transposed convolution: enlarges an image by the stride (`kernels/conv_transpose2d`).

    Parameters
    ----------
    x : Tensor (N, H, W, Cin), float32 or float64
    w : Tensor (KH, KW, Cout / groups, Cin), the dtype of x
    stride, dilation : int or pair (for H, for W)
    padding : int or pair
        How many rows and columns the result lacks on every side.
    output_padding : int or pair
        Rows and columns more at the end, fewer than the stride or the dilation.
    bias : Tensor (Cout,), optional

    Returns
    -------
    Tensor (N, Ho, Wo, Cout)
        Ho = (H - 1) stride - 2 padding + dilation (KH - 1) + 1 + output_padding, Wo likewise.
    """
    op = "conv_transpose2d"
    x, w, stride, dilation, groups = _checked(op, x, w, stride, dilation, groups)
    padding = checks.pair(op, "padding", padding, 0)
    extra = checks.pair(op, "output_padding", output_padding, 0)
    if x.shape[3] != w.shape[3] or w.shape[3] % groups:
        raise ValueError(
            f"{op}: w must be (KH,KW,Cout/groups,Cin), Cin = {x.shape[3]} and a multiple of "
            f"groups = {groups}, but is {w.shape} (x is {x.shape})"
        )
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(
            f"{op}: output_padding {extra} must be less than stride {stride} or dilation {dilation}"
        )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for n, s, p, d, k, e in zip(
            x.shape[1:3], stride, padding, dilation, w.shape, extra, strict=False
        )
    )
    if min(*size, *w.shape[:2]) < 1:
        raise ValueError(f"{op}: padding {padding} leaves no pixel of x {x.shape}, w {w.shape}")
    how = {"padding": padding, "dilation": dilation, "groups": groups}
    return _with_bias(op, Function(op, size=size, stride=stride, **how)(x, w), bias)


def _checked(op: str, x, w, stride, dilation, groups) -> tuple:
    x, w = checks.floats(op, x=x, w=w)
    stride = checks.pair(op, "stride", stride, 1)
    dilation = checks.pair(op, "dilation", dilation, 1)
    groups = integer(op, "groups", groups, least=1)
    checks.rank(op, "x", x, "(N,H,W,C)")
    checks.rank(op, "w", w, "(KH,KW,Cin,Cout)")
    return x, w, stride, dilation, groups


def sides(op: str, padding, reach, stride) -> tuple:
    """((top, bottom), (left, right)) of a padding in any form."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"{op}: padding 'same' needs stride 1, but stride is {stride}")
        return tuple(((n - 1) // 2, n // 2) for n in reach)
    if isinstance(padding, str):
        raise ValueError(
            f"{op}: padding must be an integer, pairs, 'same' or 'valid', but is {padding!r}"
        )
    if isinstance(padding, tuple | list) and any(isinstance(p, tuple | list) for p in padding):
        if len(padding) == 2:
            return tuple(checks.pair(op, "padding", side, 0) for side in padding)
    rows, columns = checks.pair(op, "padding", padding, 0)
    return (rows, rows), (columns, columns)


def _with_bias(op: str, y: Tensor, bias) -> Tensor:
    if bias is None:
        return y
    (bias,) = checks.floats(op, bias=bias)
    if bias.shape != y.shape[-1:]:
        raise ValueError(f"{op}: bias must be (Cout,) = {y.shape[-1:]}, but is {bias.shape}")
    return y + bias
