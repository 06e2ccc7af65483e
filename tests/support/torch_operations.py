"""The operations in PyTorch, on torch tensors in minires' layout (NHWC, HWIO, (in, out))."""

try:
    import torch
    import torch.nn.functional as TF
except ImportError:  # then the parity tests say so and skip
    torch = TF = None


def to_nchw(x):
    return x.permute(0, 3, 1, 2)


def to_nhwc(x):
    return x.permute(0, 2, 3, 1)


def conv2d(x, w, stride, padding, dilation=1, groups=1):
    w = w.permute(3, 2, 0, 1).contiguous()
    return to_nhwc(TF.conv2d(to_nchw(x), w, None, stride, padding, dilation, groups))


def conv_transpose2d(x, w, stride, padding, **others):
    w = w.permute(3, 2, 0, 1).contiguous()
    return to_nhwc(TF.conv_transpose2d(to_nchw(x), w, None, stride, padding, **others))


def max_pool2d(x, *arguments):
    return to_nhwc(TF.max_pool2d(to_nchw(x), *arguments))


def avg_pool2d(x, *arguments):
    return to_nhwc(TF.avg_pool2d(to_nchw(x), *arguments))


def adaptive_avg_pool2d(x, size):
    return to_nhwc(TF.adaptive_avg_pool2d(to_nchw(x), size))


def adaptive_max_pool2d(x, size):
    return to_nhwc(TF.adaptive_max_pool2d(to_nchw(x), size))


def batch_norm(x, gamma, beta, residual=None, *, training, relu):
    from definitions import running_statistics

    mean, var = (torch.tensor(s, dtype=x.dtype) for s in running_statistics(x.shape[-1]))
    last_to_second = x.movedim(-1, 1)
    y = TF.batch_norm(last_to_second, mean, var, gamma, beta, training).movedim(1, -1)
    y = y if residual is None else y + residual
    return TF.relu(y) if relu else y


def basic_block(x, w1, gamma1, beta1, w2, gamma2, beta2, *, training, stride, **shortcut):
    padding = (w1.shape[0] // 2, w1.shape[1] // 2)
    h = batch_norm(conv2d(x, w1, stride, padding), gamma1, beta1, training=training, relu=True)
    h = conv2d(h, w2, 1, padding)
    residual = option_a(x, stride, h.shape[3]) if shortcut["shortcut"] else None
    return batch_norm(h, gamma2, beta2, residual, training=training, relu=True)


def relu(x):
    return TF.relu(x)


def linear(x, w, b=None):
    return TF.linear(x, w.T, b)


def cross_entropy(z, labels, label_smoothing):
    return TF.cross_entropy(z, torch.tensor(labels), label_smoothing=label_smoothing)


def option_a(x, stride, channels):
    low = (channels - x.shape[3]) // 2
    return TF.pad(x[:, ::stride, ::stride], (low, channels - x.shape[3] - low))


def normalize(x, axis, eps):
    var = x.var(dim=axis, keepdim=True, correction=0)
    return (x - x.mean(dim=axis, keepdim=True)) / (var + eps).sqrt()
