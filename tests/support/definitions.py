"""The operations once more, straight from the formulas of their contracts, in plain loops on
float64 arrays: slow, obvious, and written without a look at the kernels."""

import itertools

import numpy as np


def _pair(value):
    return (value, value) if isinstance(value, int) else value


def _windows(x, kernel, stride, padding, fill):
    """((p, q), window) of every output pixel; a window is (N, KH, KW, C)."""
    (kh, kw), (sh, sw), (ph, pw) = _pair(kernel), _pair(stride), _pair(padding)
    xp = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), constant_values=fill)
    ho, wo = (xp.shape[1] - kh) // sh + 1, (xp.shape[2] - kw) // sw + 1
    for p, q in itertools.product(range(ho), range(wo)):
        yield (p, q), xp[:, p * sh : p * sh + kh, q * sw : q * sw + kw]


def _collect(pixels):
    """Rows and columns of pixels ((p, q), (N, C)) as one array (N, Ho, Wo, C)."""
    pixels = dict(pixels)
    ho, wo = (max(place[i] for place in pixels) + 1 for i in (0, 1))
    return np.stack([np.stack([pixels[p, q] for q in range(wo)], 1) for p in range(ho)], 1)


def conv2d(x, w, stride, padding):
    return _collect(
        (place, np.einsum("nijc,ijck->nk", window, w))
        for place, window in _windows(x, w.shape[:2], stride, padding, 0.0)
    )


def conv2d_grouped(x, w, stride, padding, dilation, groups):
    """A convolution with a filter that has zeros between its pixels and outside its group."""
    (dh, dw), (kh, kw, c, k) = _pair(dilation), w.shape
    spread = np.zeros((dh * (kh - 1) + 1, dw * (kw - 1) + 1, c * groups, k))
    for g in range(groups):
        own = slice(g * k // groups, (g + 1) * k // groups)
        spread[::dh, ::dw, g * c : (g + 1) * c, own] = w[..., own]
    return conv2d(x, spread, stride, padding)


def conv_transpose2d(x, w, stride, padding, output_padding, dilation, groups):
    """Each pixel of x puts a filter, times its value, into the larger image."""
    (sh, sw), (ph, pw), (dh, dw) = _pair(stride), _pair(padding), _pair(dilation)
    (n, h, width, c), (kh, kw, k, _) = x.shape, w.shape
    size = [(h - 1) * sh + dh * (kh - 1) + 1, (width - 1) * sw + dw * (kw - 1) + 1]
    size = [a + b for a, b in zip(size, _pair(output_padding), strict=True)]
    y = np.zeros((n, *size, k * groups))
    for a, b, i, j, ci in itertools.product(*map(range, (h, width, kh, kw, c))):
        own = slice(ci // (c // groups) * k, (ci // (c // groups) + 1) * k)
        y[:, a * sh + i * dh, b * sw + j * dw, own] += x[:, a, b, ci, None] * w[i, j, :, ci]
    return y[:, ph : size[0] - ph, pw : size[1] - pw]


def max_pool2d(x, kernel, stride, padding):
    stride = kernel if stride is None else stride
    return _collect(
        (place, window.max(axis=(1, 2)))
        for place, window in _windows(x, kernel, stride, padding, -np.inf)
    )


def avg_pool2d(x, kernel, stride, padding):
    stride = kernel if stride is None else stride
    kh, kw = _pair(kernel)
    return _collect(
        (place, window.sum(axis=(1, 2)) / (kh * kw))
        for place, window in _windows(x, kernel, stride, padding, 0.0)
    )


def window_pool(x, rows, columns, kind, divisor):
    y = np.zeros((len(x), len(rows), len(columns), x.shape[3]))
    for p, q in itertools.product(range(len(rows)), range(len(columns))):
        seen = x[:, rows[p][rows[p] >= 0]][:, :, columns[q][columns[q] >= 0]]
        y[:, p, q] = seen.max((1, 2)) if kind == "max" else seen.sum((1, 2)) / divisor[p, q]
    return y


def running_statistics(channels):
    """Running mean and variance with which the evaluation mode is tested."""
    return np.linspace(-0.5, 0.7, channels), np.linspace(0.3, 2.1, channels)


def batch_norm(x, gamma, beta, residual=0.0, *, training, relu):
    axes = tuple(range(x.ndim - 1))
    mean, var = running_statistics(x.shape[-1])
    if training:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
    y = gamma * (x - mean) / np.sqrt(var + 1e-5) + beta + residual
    return np.maximum(y, 0) if relu else y


def basic_block(x, w1, gamma1, beta1, w2, gamma2, beta2, *, training, stride, **shortcut):
    padding = (w1.shape[0] // 2, w1.shape[1] // 2)
    h = batch_norm(conv2d(x, w1, stride, padding), gamma1, beta1, training=training, relu=True)
    h = conv2d(h, w2, 1, padding)
    residual = option_a(x, stride, h.shape[3]) if shortcut["shortcut"] else 0.0
    return batch_norm(h, gamma2, beta2, residual, training=training, relu=True)


def relu(x):
    return np.where(x > 0, x, 0.0)


def linear(x, w, b=0.0):
    return np.einsum("...i,io->...o", x, w) + b


def cross_entropy(z, labels, label_smoothing):
    loss = 0.0
    for row, label in zip(z, labels, strict=True):
        target = (1 - label_smoothing) * np.eye(len(row))[label] + label_smoothing / len(row)
        loss -= (target * np.log(np.exp(row) / np.exp(row).sum())).sum() / len(z)
    return np.array(loss)


def option_a(x, stride, channels):
    n, h, w, c = x.shape
    y = np.zeros((n, -(-h // stride), -(-w // stride), channels))
    for p, q in itertools.product(range(y.shape[1]), range(y.shape[2])):
        y[:, p, q, (channels - c) // 2 :][:, :c] = x[:, p * stride, q * stride]
    return y


def softmax(x, axis):
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def log_softmax(x, axis):
    return np.log(softmax(x, axis))


def logsumexp(x, axis):
    return np.log(np.exp(x).sum(axis=axis))


def normalize(x, axis, eps):
    centred = x - x.mean(axis=axis, keepdims=True)
    return centred / np.sqrt(x.var(axis=axis, keepdims=True) + eps)
