"""Convolution with groups and dilation in array code: one product for each place of the window."""

from minires.kernels.arrays import array_module, column_sum, pad_image


def forward(x, w, stride, padding, dilation, groups):
    """y: the sum of the products over all places."""
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(x.shape[1:3], padding, dilation, w.shape, stride, strict=False)
    ]
    y = convolve(pad_image(x, padding), w, size, stride, dilation, groups)
    return y, (x, w, stride, padding, dilation, groups)


def backward(dy, saved, needs=(True, True)):
    """(dx, dw), each a sum or a product of its own for each place."""
    x, w, stride, padding, dilation, groups = saved
    dx = input_gradient(dy, w, x.shape, stride, padding, dilation, groups) if needs[0] else None
    dw = None
    if needs[1]:
        dw = filter_gradient(pad_image(x, padding), dy, w.shape, stride, dilation, groups)
    return dx, dw


def convolve(xp, w, size, stride, dilation, groups):
    """y of `size` (Ho, Wo) from the padded image."""
    y = array_module(xp).zeros((len(xp), *size, w.shape[3]), xp.dtype)
    for place in _places(w.shape):
        seen = xp[_slice(place, size, stride, dilation)]
        y += _product(seen, _by_group(w[place], groups))
    return y


def filter_gradient(xp, dy, w_shape, stride, dilation, groups):
    """dw of this shape, from the padded image."""
    dw = array_module(xp).empty(w_shape, xp.dtype)
    for place in _places(w_shape):
        seen = _grouped(xp[_slice(place, dy.shape[1:3], stride, dilation)], groups)
        dy_g = _grouped(dy, groups)
        if seen.shape[2] == dy_g.shape[2] == 1:
            product = column_sum(seen[:, :, 0] * dy_g[:, :, 0])[None]
        else:
            product = seen.transpose(1, 2, 0) @ dy_g.transpose(1, 0, 2)
            product = product.transpose(1, 0, 2)
        dw[place] = product.reshape(w_shape[2:])
    return dw


def input_gradient(dy, w, x_shape, stride, padding, dilation, groups):
    """dx of this shape."""
    (n, h, width, c), (ph, pw) = x_shape, padding
    dxp = array_module(dy).zeros((n, h + 2 * ph, width + 2 * pw, c), dy.dtype)
    for place in _places(w.shape):
        reached = dxp[_slice(place, dy.shape[1:3], stride, dilation)]
        reached += _product(dy, _by_group(w[place], groups).transpose(0, 2, 1))
    return dxp[:, ph : ph + h, pw : pw + width]


def _places(w_shape):
    return [(i, j) for i in range(w_shape[0]) for j in range(w_shape[1])]


def _slice(place, size, stride, dilation):
    """What all windows see at this place: rows and columns of the padded image."""
    return (slice(None),) + tuple(
        slice(i * d, i * d + (n - 1) * s + 1 if n else 0, s)
        for i, n, s, d in zip(place, size, stride, dilation, strict=True)
    )


def _by_group(w, groups):
    """w (C/G, K) of one place as (G, C/G, K/G)."""
    return w.reshape(len(w), groups, w.shape[1] // groups).transpose(1, 0, 2)


def _grouped(x, groups):
    """x (N,H,W,C) as pixels by groups by channels of a group."""
    n, h, w, c = x.shape
    return x.reshape(n * h * w, groups, c // groups)


def _product(x, w):
    """x (N,H,W,C) times w (G, C/G, K/G), each group by itself -> (N,H,W,K)."""
    rows = _grouped(x, len(w))
    if w.shape[1] == 1:  # depthwise: no sum over channels
        y = rows * w[:, 0]
    else:
        y = (rows.transpose(1, 0, 2) @ w).transpose(1, 0, 2)
    return y.reshape(*x.shape[:3], w.shape[0] * w.shape[2])
