"""A student's ReLU: the file that the backend `student` looks for."""


def forward(x):
    """y = x where x > 0, else 0."""
    mask = x > 0
    return x * mask, (mask,)


def backward(dy, saved, needs):
    """dx = dy where x > 0, else 0."""
    (mask,) = saved
    return (dy * mask,)
