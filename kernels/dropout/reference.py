"""Dropout in array code."""


def forward(x, keep, p):
    """y = x * keep / (1 - p)."""
    return _scale(x, keep, p), (keep, p)


def backward(dy, saved, needs=(True,)):
    """dx = dy * keep / (1 - p)."""
    keep, p = saved
    return (_scale(dy, keep, p),)


def _scale(values, keep, p):
    return values * keep * (1 / (1 - p) if p < 1 else 0.0)  # p = 1 keeps nothing: all zeros
