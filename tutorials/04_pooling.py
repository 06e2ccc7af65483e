# %% [markdown]
# # 4. Pooling: two traps in ten lines
#
# **You will be able to** write average and max pooling with their backwards; name the two places where almost every
# first version is wrong; say what pooling does to a network that convolutions with a stride do not.
#
# *Reading and exercises: 40 minutes. The page runs in 5 seconds on two cores. You need
# [lesson 3](03_convolution.ipynb).*
#
# **A question first.** Two pixels of a window are both the largest: 7 and 7. Max pooling gives 7. Which of the two pixels
# gets the gradient: the first, the last, both, or each one half? Write down what you think is *right*, and what you think
# the common libraries do.

# %%
import numpy as np

import minires as mr
from minires import functional as F
from minires import plots
from minires.data import load_shapes
from minires.gradcheck import gradcheck
from minires.kernels.max_pool2d import reference
from minires.suspects import GradcheckError
from minires.tutorials import check

rng = np.random.default_rng(0)

# %% [markdown]
# ## What it is
#
# Pooling makes an image smaller. Each result is one number made from a window: the mean, or the largest. There are no weights.
# Every channel is treated alone.


# %%
def windows(x, size, stride):
    """All windows of x (N, H, W, C) as (N, Ho, Wo, C, size, size)."""
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
    return view[:, ::stride, ::stride]


train, _ = load_shapes()
image = train.images[3:4].astype(float)
small_mean = windows(image, 4, 4).mean((4, 5))
small_max = windows(image, 4, 4).max((4, 5))
plots.images(
    [p[0].astype(np.uint8) for p in (image, small_mean, small_max)],
    titles=["32 x 32", "mean of 4 x 4", "largest of 4 x 4"],
    columns=3,
    size=1.7,
    alt="A picture of 32 by 32 pixels and two versions of 8 by 8: the mean is blurred, the largest value is "
    "brighter and keeps bright details.",
)

# %% [markdown]
# ## The mean, and its backward
#
# In $y = \frac{1}{k^2}\sum x$ each pixel of the window has the slope $1/k^2$. So each pixel gets `dy / k²`. If windows do not
# overlap, every pixel belongs to one window, and we are done. **If they overlap, a pixel belongs to several windows, and
# the parts add up.** That is the first trap. It is the sum over paths of lesson 1 again.
#
# How many windows does a pixel belong to? Let backward count: with dy = k² everywhere, dx is the number of windows.

# %%
x = mr.tensor(np.zeros((1, 8, 8, 1)), requires_grad=True)
F.avg_pool2d(x, 3, stride=2).backward(np.full((1, 3, 3, 1), 9.0))
plots.heat(
    x.grad[0, :, :, 0].round().astype(int),
    x="column",
    y="row",
    unit="windows",
    title="in how many 3x3 windows (stride 2) a pixel lies",
    alt="A pixel lies in 1, 2 or 4 windows of 3 by 3 pixels with stride 2; pixels of the last row and column "
    "lie in none.",
)

# %% [markdown]
# Where two windows overlap stands a 2, where two rows and two columns of windows meet a 4. And the last row and the last
# column stand in no window at all: 8 is not 3 + 2·2 = 7. They get zero.
#
# **Exercise 4.1** (●●○, 10 minutes). Write the backward of average pooling: dy (N, Ho, Wo, C) in, dx of `x_shape` out. Windows
# may overlap.
#
# <details><summary>Hint</summary>
#
# Zeros of x's shape. For each of the k² places (i, j) of the window: `dx[:, i : i + (ho-1)*s + 1 : s, ...] += dy / k²`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def avg_pool_backward(dy, x_shape, size, stride):
#     dx = np.zeros(x_shape)
#     ho, wo = dy.shape[1:3]
#     for i in range(size):
#         for j in range(size):
#             rows = slice(i, i + (ho - 1) * stride + 1, stride)
#             columns = slice(j, j + (wo - 1) * stride + 1, stride)
#             dx[:, rows, columns] += dy / size**2
#     return dx
# ```
# </details>


# %%
def avg_pool_backward(dy, x_shape, size, stride):
    return None  # write it here


check("4.1", avg_pool_backward)

# %% [markdown]
# ## The largest, and its backward
#
# In $y = \max x$ only the largest pixel has an influence: its slope is 1, all others have 0. So forward must keep **who won**,
# and backward sends `dy` there. Many first versions keep the *value* instead and compare: `dx = dy * (x == y)`. That is the
# second trap: if two pixels are equal, both get the whole gradient, and the sum of the gradients is twice what it must be.


# %%
def compare_backward(dy, x, size, stride):
    """The trap: every pixel that equals the largest gets dy."""
    y = windows(x, size, stride).max((4, 5))
    dx = np.zeros_like(x)
    for p in range(y.shape[1]):
        for q in range(y.shape[2]):
            rows, columns = (
                slice(p * stride, p * stride + size),
                slice(q * stride, q * stride + size),
            )
            won = x[:, rows, columns] == y[:, p : p + 1, q : q + 1]
            dx[:, rows, columns] += won * dy[:, p : p + 1, q : q + 1]
    return dx


black = np.zeros((1, 4, 4, 1))  # after a ReLU, whole regions are 0
dy = np.ones((1, 2, 2, 1))
print(
    "comparing:   the sum of dx is",
    compare_backward(dy, black, 2, 2).sum(),
    "but dy's is",
    dy.sum(),
)
x = mr.tensor(black, requires_grad=True)
F.max_pool2d(x, 2).backward(dy)
print("one winner:  the sum of dx is", x.grad.sum())

# %% [markdown]
# Ties look rare. They are not: behind a ReLU many windows hold nothing but zeros. What is *right* at a tie?
# Mathematically nothing: the maximum has a kink there and no gradient. Every choice whose parts add up to dy is a so-called
# subgradient. minires, PyTorch and cuDNN take **the first** pixel of the window in reading order, so that results can be
# compared to the digit.
#
# **Exercise 4.2** (●●○, 10 minutes). Write max pooling that keeps its winners: return y and `winner`, the number
# `i * size + j` of the first largest pixel in each window, both (N, Ho, Wo, C).
#
# <details><summary>Hint</summary>
#
# Reshape the last two axes of `windows(...)` to one of length size². `argmax` takes the first one of equals.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def max_pool(x, size, stride):
#     flat = windows(x, size, stride)
#     flat = flat.reshape(*flat.shape[:4], size * size)
#     return flat.max(-1), flat.argmax(-1)
# ```
# </details>


# %%
def max_pool(x, size, stride):
    return None  # write it here


check("4.2", max_pool)

# %% [markdown]
# **Exercise 4.3** (●●○, 15 minutes). Write the backward from the winners. Windows may overlap, so a pixel may win several times.
#
# <details><summary>Hint</summary>
#
# Like 4.1, but with `np.where(winner == i * size + j, dy, 0)` in the place of `dy / size**2`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def max_pool_backward(dy, winner, x_shape, size, stride):
#     dx = np.zeros(x_shape)
#     ho, wo = dy.shape[1:3]
#     for i in range(size):
#         for j in range(size):
#             rows = slice(i, i + (ho - 1) * stride + 1, stride)
#             columns = slice(j, j + (wo - 1) * stride + 1, stride)
#             dx[:, rows, columns] += np.where(winner == i * size + j, dy, 0)
#     return dx
# ```
# </details>


# %%
def max_pool_backward(dy, winner, x_shape, size, stride):
    return None  # write it here


check("4.3", max_pool_backward)

# %% [markdown]
# The engine does the same. Note `+=` in the last lines, and the care for windows that hold nothing but the border:

# %%
plots.source(reference.backward)

# %% [markdown]
# ## What a check sees
#
# A check of 2x2 windows with stride 2 cannot see the first trap: those windows do not overlap. Inputs without ties cannot see the second one. Here is a backward with `=` where `+=` belongs, at two shapes:


# %%
def assigned(dy, winner, x_shape, size, stride):
    """The first trap: = instead of +=."""
    dx = np.zeros(x_shape)
    for index in np.ndindex(dy.shape):
        n, p, q, c = index
        i, j = divmod(int(winner[index]), size)
        dx[n, p * stride + i, q * stride + j, c] = dy[index]
    return dx


for size, stride in ((2, 2), (3, 2)):
    x = mr.tensor(rng.standard_normal((2, 7, 7, 3)), requires_grad=True)
    y = F.max_pool2d(x, size, stride)
    dy = rng.standard_normal(y.shape)
    y.backward(dy)
    flat = windows(x.data, size, stride).reshape(*y.shape, size * size)
    difference = np.abs(assigned(dy, flat.argmax(-1), x.shape, size, stride) - x.grad).max()
    print(f"{size}x{size} windows, stride {stride}: largest difference {difference:.2g}")

# %% [markdown]
# **Exercise 4.4** (●○○, 5 minutes). Windows of 5 x 5 with stride 1, far from the border. What is the largest number of times
# that one pixel can win?
#
# <details><summary>Hint</summary>
#
# In how many windows does a pixel lie? A very bright pixel wins in all of them.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# wins = 25
# ```
# </details>

# %%
wins = None

check("4.4", wins)

# %% [markdown]
# ## Padding
#
# Padding with zeros is right for a sum. For a maximum it is wrong: if all pixels of a window are negative, the zero of the border would
# win. So max pooling pads with $-\infty$.

# %%
x = np.full((1, 4, 4, 1), -1.0)
print("minires:", F.max_pool2d(mr.tensor(x), 3, stride=2, padding=1).numpy().min())
padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
print("padded with zeros:", windows(padded, 3, 2).max())

# %% [markdown]
# ## The mean over everything
#
# A ResNet has one pooling layer at its end: the mean over *all* pixels of each channel (*global average pooling*). It replaces the
# large fully connected layers of older networks: VGG-16 has 103 million weights in the one layer after its last pooling. With
# the mean over all pixels a layer of 64 x 10 is enough, and the network takes images of any size.
#
# **Exercise 4.5** (●○○, 5 minutes). Write its backward: dy (N, C) in, dx of `x_shape` (N, H, W, C) out.
#
# <details><summary>Hint</summary>
#
# Each pixel has the slope 1/(H W). Use `np.broadcast_to`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def global_mean_backward(dy, x_shape):
#     n, h, w, c = x_shape
#     return np.broadcast_to(dy[:, None, None] / (h * w), x_shape)
# ```
# </details>


# %%
def global_mean_backward(dy, x_shape):
    return None  # write it here


check("4.5", global_mean_backward)

# %% [markdown]
# ## Pooling or a stride?
#
# The networks of lesson 9 make images smaller by a convolution with stride 2, not by pooling. Both halve the size. Pooling throws
# away *where* in the window something was, and has nothing to learn; a stride throws away three of four results, and the
# weights can learn which ones matter. Max pooling makes the result depend less on small shifts. Here is how much: an image is shifted by
# one pixel, and we look how much the results change.

# %%
x = mr.tensor(train.images[:64].astype("float64") / 255)
shifted = mr.tensor(np.roll(train.images[:64], 1, axis=2).astype("float64") / 255)


def change(f):
    """How much f changes if the image is shifted by a pixel, relative to its spread."""
    a, b = f(x).numpy(), f(shifted).numpy()
    return float(np.abs(a - b).mean() / a.std())


changes = {
    "every second pixel": change(lambda x: x[:, ::2, ::2]),
    "largest of 2x2": change(lambda x: F.max_pool2d(x, 2)),
    "mean of 2x2": change(lambda x: F.avg_pool2d(x, 2)),
    "mean of all": change(lambda x: F.global_avg_pool2d(x)),
}
for name, value in changes.items():
    print(f"{name:20}{value:.3f}")

# %% [markdown]
# The mean of all pixels does not change at all (the image is shifted around the edge). The means of 2x2 change less than every second
# pixel does.
#
# ## Break it yourself
#
# gradcheck tells a wrong backward from a kink. **Predict** what it says to each of these two inputs, then run: numbers that are all
# different, and a window of equal numbers.

# %%
for name, x in (
    ("different", rng.permutation(16.0 * np.arange(16)).reshape(1, 4, 4, 1) / 16),
    ("equal", np.ones((1, 4, 4, 1))),
):
    try:
        print(name, gradcheck(lambda x: F.max_pool2d(x, 2), [x]))
    except GradcheckError as error:
        print(name, error)

# %% [markdown]
# So a check of max pooling needs inputs whose entries differ by more than the step of the differences. A permutation of different
# numbers is a good choice; random numbers are nearly as good; numbers after a ReLU are bad.
#
# ## What to take along
#
# - Pooling has no weights; its backward spreads (mean) or sends (maximum).
# - First trap: windows that overlap. Parts **add up**. A check with 2x2 and stride 2 does not see it.
# - Second trap: ties. Keep who won, not the value.
# - A maximum pads with minus infinity.
#
# Next: [5. Batch normalisation](05_batch_norm.ipynb).
