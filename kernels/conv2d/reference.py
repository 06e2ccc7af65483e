"""Convolution by im2col and a matrix product, in blocks of images that fit the cache.

See docs/decisions/cpu.md, "Blocks of im2col".
"""

from math import prod

from minires.kernels.arrays import array_module, pad_image, windows

BLOCK_BYTES = 4 << 20
"""How much of the im2col matrix is formed at a time. It is KH*KW times as large as the image:
formed whole, it would go through memory twice; a block of 4 MB stays in the cache."""


def forward(x, w, stride=(1, 1), padding=(0, 0)):
    """y = conv(x, w); see the contract in `__init__.py`."""
    return convolve(pad_image(x, padding), w, stride), (x, w, stride, padding)


def backward(dy, saved, needs=(True, True)):
    """(dx, dw) by two convolution-sized matrix products; see the derivation in `__init__.py`."""
    x, w, stride, padding = saved
    dx = input_gradient(dy, w, x.shape, stride, padding) if needs[0] else None
    dw = weight_gradient(dy, pad_image(x, padding), w.shape, stride) if needs[1] else None
    return dx, dw


def convolve(xp, w, stride):
    """Convolution of an image that is already padded: Y = X W, block by block."""
    kh, kw, c, k = w.shape
    view = windows(xp, (kh, kw), stride)
    columns = w.reshape(kh * kw * c, k)
    y = array_module(xp).empty((*view.shape[:3], k), xp.dtype)
    for block in blocks(view):
        pixels = prod(view[block].shape[:3])
        rows = view[block].reshape(pixels, kh * kw * c)  # the one copy: windows -> rows of X
        y[block] = (rows @ columns).reshape(y[block].shape)
    return y


def weight_gradient(dy, xp, w_shape, stride):
    """dW = X^T dY, summed over the blocks."""
    kh, kw, c, k = w_shape
    view = windows(xp, (kh, kw), stride)
    dw = array_module(dy).zeros((kh * kw * c, k), dy.dtype)
    for block in blocks(view):
        pixels = prod(view[block].shape[:3])
        dw += view[block].reshape(pixels, kh * kw * c).T @ dy[block].reshape(pixels, k)
    return dw.reshape(w_shape)


def input_gradient(dy, w, x_shape, stride, padding):
    """dx: the stride-1 convolution of the spread-out dy with the flipped, transposed w."""
    (n, h, width, _), (kh, kw, _, k) = x_shape, w.shape
    (sh, sw), (ph, pw) = stride, padding
    ho, wo = dy.shape[1:3]
    spread = array_module(dy).zeros((n, h + 2 * ph + kh - 1, width + 2 * pw + kw - 1, k), dy.dtype)
    spread[:, kh - 1 : kh - 1 + ho * sh : sh, kw - 1 : kw - 1 + wo * sw : sw] = dy
    # Only the part that reaches the unpadded image: dx = dxp[ph : ph + H, pw : pw + W].
    reached = spread[:, ph : ph + h + kh - 1, pw : pw + width + kw - 1]
    flipped = w[::-1, ::-1].transpose(0, 1, 3, 2)
    return convolve(reached, flipped, (1, 1))


def blocks(view):
    """Slices over the images of a window view, each about BLOCK_BYTES of im2col rows."""
    n = len(view)
    bytes_per_image = view[:1].size * view.itemsize
    step = max(1, BLOCK_BYTES // max(1, bytes_per_image))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]
