"""Logistic regression: two clouds of points, a line between them, and no layer at all.

    python examples/logistic_regression.py

A `Tensor` remembers how it was computed, so the loss can be written down as in a textbook. Its
gradient is written down here, too, and compared.
"""

import numpy as np

from minires import Tensor

rng = np.random.default_rng(0)
N = 200
t = np.where(np.arange(N) < N // 2, 1.0, -1.0)[:, None]  # (N, 1): which cloud a point belongs to
x = rng.standard_normal((N, 2)) + t * np.array([1.0, 0.5])  # (N, 2)

w = Tensor(np.zeros((2, 1)), requires_grad=True)
b = Tensor(np.zeros(1), requires_grad=True)


def loss_of(w, b):
    """The mean over the points of log(1 + exp(-t (x w + b)))."""
    return (1 + (-(x @ w + b) * t).exp()).log().mean()


def gradient_by_hand(w, b):
    """The gradient with respect to w: the mean of -t x / (1 + exp(t (x w + b)))."""
    return (-t * x / (1 + np.exp(t * (x @ w + b)))).mean(axis=0, keepdims=True).T


for step in range(51):
    loss = loss_of(w, b)
    w.grad = b.grad = None
    loss.backward()
    assert np.allclose(w.grad, gradient_by_hand(w.data, b.data))
    if step % 10 == 0:
        right = ((x @ w.data + b.data) * t > 0).mean()
        print(f"step {step:>2}: loss {loss.item():.4f}, {100 * right:.1f} % on the right side")
    w.data -= 1.0 * w.grad
    b.data -= 1.0 * b.grad

print(f"the line: {w.data[0, 0]:.2f} x0 + {w.data[1, 0]:.2f} x1 + {b.data[0]:.2f} = 0")
