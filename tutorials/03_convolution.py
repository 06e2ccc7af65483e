# %% [markdown]
# # 3. Convolution: loops, a matrix product, and its two gradients
#
# **You will be able to** write a convolution as loops and as one matrix product; count its operations;
# derive and write both gradients for any stride and padding; say why the gradient of a convolution is a
# convolution.
#
# *Reading and exercises: 70 minutes. The page runs in 15 seconds on two cores; the first time, the
# compiled kernels take some seconds more. You need [lesson 2](02_checking_gradients.ipynb).*
#
# **A question first.** A 3x3 filter slides over an image. Pixel (5, 7) of the image changes by a little.
# Which pixels of the result change, and with which weights? Draw it on paper before you read on. If you can
# answer this, you have derived the backward.

# %%
import time

import numpy as np

import minires as mr
from minires import functional as F
from minires import plots
from minires.gradcheck import gradcheck
from minires.kernels.conv2d import numba_cpu, reference
from minires.tutorials import check

rng = np.random.default_rng(0)

# %% [markdown]
# ## What it is
#
# An image batch `x` has the shape (N, H, W, C): images, height, width, channels. The filters `w` have
# (KH, KW, C, K): height and width of the window, channels in, channels out. The padded image `xp` has `padding`
# rows and columns of zeros on every side. Each result is a sum over a window:
#
# $$y_{n,p,q,k} = \sum_{i,j,c} xp_{n,\,p s + i,\; q s + j,\; c}\; w_{i,j,c,k}$$
#
# with the stride $s$. Strictly this is a cross-correlation; every deep-learning library calls it convolution.
# The definition as code is seven loops. Three of them NumPy does for us.


# %%
def convolve(x, w, stride=1, padding=0):
    """The definition, with a loop for each place of the window."""
    kh, kw = w.shape[:2]
    xp = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    ho = (xp.shape[1] - kh) // stride + 1
    wo = (xp.shape[2] - kw) // stride + 1
    y = np.zeros((len(x), ho, wo, w.shape[3]))
    for p in range(ho):
        for q in range(wo):
            window = xp[:, p * stride : p * stride + kh, q * stride : q * stride + kw]
            y[:, p, q] = np.tensordot(window, w, 3)  # sums over i, j and c
    return y


stripes = np.zeros((1, 16, 16, 1))
stripes[0, :, 8:] = 1
edge = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])[:, :, None, None]
plots.images(
    [stripes[0], convolve(stripes, edge)[0]],
    titles=["image", "result"],
    size=1.6,
    alt="An image that is dark on the left and bright on the right; the edge filter's result is bright "
    "only in the two columns where the two halves meet.",
)

# %% [markdown]
# **Exercise 3.1** (●○○, 5 minutes). An image of 32 x 32 pixels, a window of 3 x 3, stride 2, padding 1. How high is
# the result?
#
# <details><summary>Hint</summary>
#
# The padded image has 34 rows. The last window must end inside: $\lfloor (34 - 3)/2 \rfloor + 1$.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# height = 16
# ```
# </details>

# %%
height = None

check("3.1", height)

# %% [markdown]
# ## Counting
#
# Each result is a sum of KH·KW·C products. So there are N·Ho·Wo·K·KH·KW·C multiply-adds, two operations each.
# A layer of ResNet-20's first stage has 32 x 32 pixels, 16 channels in and out, and 3 x 3 windows:

# %%
multiply_adds = 32 * 32 * 16 * 3 * 3 * 16
print(
    f"{multiply_adds:,} multiply-adds for one image, {2 * 128 * multiply_adds / 1e9:.2f} GFLOP for 128 images"
)

# %% [markdown]
# ## One matrix product
#
# All windows that belong to results are laid side by side as the rows of a matrix $X$ with N·Ho·Wo rows and
# KH·KW·C columns. Then the convolution is $Y = X W$ with $W$ = `w.reshape(KH*KW*C, K)`. This is called *im2col*.
# Matrix products are what computers do best.
#
# **Exercise 3.2** (●●○, 15 minutes). Write `im2col`: the matrix X, for any stride and padding. Its columns are in
# the order i, j, c, so that `w.reshape(-1, K)` fits.
#
# <details><summary>Hint</summary>
#
# `np.lib.stride_tricks.sliding_window_view(xp, (kh, kw), (1, 2))` has the shape (N, H', W', C, kh, kw). Take every
# stride-th window, bring C to the end, then reshape.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def im2col(x, kh, kw, stride, padding):
#     xp = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
#     view = np.lib.stride_tricks.sliding_window_view(xp, (kh, kw), (1, 2))
#     view = view[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
#     return view.reshape(-1, kh * kw * x.shape[3])
# ```
# </details>


# %%
def im2col(x, kh, kw, stride, padding):
    return None  # write it here


check("3.2", im2col)

# %% [markdown]
# How much does it bring? We time our loop over the pixels, the engine's matrix product, and its compiled kernel,
# which never forms $X$ at all but keeps a small tile of results in registers
# ([`register_tile.py`](../kernels/register_tile.py)). All three give the same results.

# %%
x32 = rng.standard_normal((16, 32, 32, 16)).astype("float32")
w32 = rng.standard_normal((3, 3, 16, 16)).astype("float32")
ways = {
    "a loop over the pixels": lambda: convolve(x32, w32, 1, 1),
    "im2col and a matrix product": lambda: reference.forward(x32, w32, (1, 1), (1, 1))[0],
    "compiled (Numba)": lambda: numba_cpu.forward(x32, w32, (1, 1), (1, 1))[0],
}
for name, way in ways.items():
    way()  # compiles, if it must
    times = []
    for _ in range(5):
        began = time.perf_counter()
        y = way()
        times.append(time.perf_counter() - began)
    speed = 2 * 16 * multiply_adds / np.median(times) / 1e9
    print(f"{name:28}{1e3 * np.median(times):8.1f} ms {speed:8.1f} GFLOP/s")

# %% [markdown]
# The numbers are those of the machine that ran the page, with whatever else it did. Two things hold everywhere. The
# matrix product has its price: forming $X$ copies nine times the image, and with few channels the copy takes longer
# than the product. And the compiled kernel wins, since it does not copy.
#
# This is the engine's matrix form. It forms $X$ in blocks that fit the processor's cache: formed whole, $X$ would be
# nine times as large as the image.

# %%
plots.source(reference.convolve)

# %% [markdown]
# ## The gradient of the weights
#
# From $Y = X W$ and lesson 1 follows $dW = X^T dY$. In words: the weight at place (i, j) of the window met one pixel in
# every window. Its gradient is the sum over all windows of that pixel times the `dy` of the window.


# %%
def weight_gradient(dy, x, kh, kw, stride, padding):
    """dw: for each place of the window, the pixels that it met, times dy."""
    xp = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    ho, wo = dy.shape[1:3]
    dw = np.empty((kh, kw, x.shape[3], dy.shape[3]))
    for i in range(kh):
        for j in range(kw):
            met = xp[
                :, i : i + (ho - 1) * stride + 1 : stride, j : j + (wo - 1) * stride + 1 : stride
            ]
            dw[i, j] = np.tensordot(met, dy, ((0, 1, 2), (0, 1, 2)))
    return dw


x = rng.standard_normal((2, 7, 6, 3))
w = rng.standard_normal((3, 2, 3, 4))
y = convolve(x, w, 2, 1)
dy = rng.standard_normal(y.shape)
expected = reference.backward(dy, (x, w, (2, 2), (1, 1)))[1]
float(np.abs(weight_gradient(dy, x, 3, 2, 2, 1) - expected).max())

# %% [markdown]
# ## The gradient of the input
#
# Now the question from the top. Take stride 1 and no padding. Pixel $a$ (one dimension is enough) is met by the result
# $p$ with the weight $i = a - p$. So
#
# $$dx_a = \sum_p dy_p\, w_{a-p} .$$
#
# The forward is $y_p = \sum_i x_{p+i}\, w_i$. Compare the signs: in the forward the index of x *grows* with the index of w, in
# the backward the index of dy *falls*. That is a convolution of dy with the **flipped** filter, and dy must be padded by
# KH−1 zeros on each side, so that border pixels, which few windows met, get fewer terms. The channels
# change sides: dx has C channels and is summed over K, so w's last two axes are exchanged.
#
# The picture shows it for one pixel. The bright pixel on the left is the one that we ask about. In the middle
# stand the results that saw it. On the right stand the weights they saw it with: the filter upside down.

# %%
one = np.zeros((1, 7, 7, 1))
one[0, 3, 3] = 1
numbers = np.arange(1.0, 10).reshape(3, 3, 1, 1)
seen_with = convolve(one, numbers)[0, :, :, 0]  # 5 x 5 results; the weight that each saw it with
plots.images(
    [one[0], (seen_with > 0).astype(float), numbers[..., 0, 0], seen_with[1:4, 1:4]],
    titles=["the pixel", "who saw it", "the filter", "with which weight"],
    columns=4,
    size=1.4,
    alt="One pixel is seen by nine results, three by three; the weights they saw it with are the filter "
    "turned by 180 degrees.",
)

# %% [markdown]
# You can point at pixels yourself on the [convolution page](pages/convolution.html): it shows for each pixel which dy and which weights make
# its dx, for several strides, paddings and kernels.
#
# **Exercise 3.3** (●●○, 15 minutes). Write dx for stride 1 and no padding, with `convolve` and a flipped filter.
#
# <details><summary>Hint</summary>
#
# `np.pad` dy by kh-1 and kw-1. `w[::-1, ::-1]` turns the filter. `.transpose(0, 1, 3, 2)` exchanges the channels.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def input_gradient(dy, w):
#     kh, kw = w.shape[:2]
#     wide = np.pad(dy, ((0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1), (0, 0)))
#     return convolve(wide, w[::-1, ::-1].transpose(0, 1, 3, 2))
# ```
# </details>


# %%
def input_gradient(dy, w):
    return None  # write it here


check("3.3", input_gradient)

# %% [markdown]
# ## Stride and padding
#
# With the stride $s$, result $p$ begins at pixel $ps$. So pixel $a$ is met with weight $i = a - ps$, for those $p$ where
# this is between 0 and KH−1. There is a simple way to see it: a convolution with stride $s$ is one with stride 1, of which only
# every $s$-th result is kept. The results that were thrown away have no gradient: write dy with $s-1$ **zeros** between its
# pixels and go on as before.
#
# Padding is simpler still. The gradient of the padded image is computed, and its border is cut off: nobody wants the
# gradient of those zeros. Two traps wait here. `dxp[:, p:-p]` is empty for p = 0. And if the stride does not divide evenly,
# the last rows of x were met by no window: they must get zero, and dx must have x's shape all the same.
#
# **Exercise 3.4** (●●●, 20 minutes). Write dx for any stride and padding. `x_shape` is the shape of x.
#
# <details><summary>Hint</summary>
#
# There is a way without flipping: make zeros of the padded image's shape. For each place (i, j) of the window, *add*
# `dy @ w[i, j].T` to the pixels that this place met; the slices are those of `weight_gradient`. Cut off the border at the end
# with `[p : p + H]`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def any_input_gradient(dy, w, x_shape, stride, padding):
#     n, h, width, c = x_shape
#     kh, kw = w.shape[:2]
#     ho, wo = dy.shape[1:3]
#     dxp = np.zeros((n, h + 2 * padding, width + 2 * padding, c))
#     for i in range(kh):
#         for j in range(kw):
#             rows = slice(i, i + (ho - 1) * stride + 1, stride)
#             columns = slice(j, j + (wo - 1) * stride + 1, stride)
#             dxp[:, rows, columns] += dy @ w[i, j].T
#     return dxp[:, padding : padding + h, padding : padding + width]
# ```
# </details>


# %%
def any_input_gradient(dy, w, x_shape, stride, padding):
    return None  # write it here


check("3.4", any_input_gradient)

# %% [markdown]
# The engine's own version spreads dy and flips, as the derivation does. Each line has its sentence above.

# %%
plots.source(reference.input_gradient)

# %% [markdown]
# ## Is it right?
#
# Lesson 2 says how to ask: float64, a random cotangent, every entry, shapes where all borders are there. The height is not
# the width, the kernel is not square, the stride leaves a remainder.

# %%
x = rng.standard_normal((2, 7, 6, 2))
w = rng.standard_normal((3, 2, 2, 3))
gradcheck(lambda x, w: F.conv2d(x, w, stride=2, padding=1), [x, w])

# %% [markdown]
# **Exercise 3.5** (●○○, 5 minutes). Forward costs $F$ operations. Backward computes dw and dx. About how many times $F$ does it
# cost at stride 1?
#
# <details><summary>Hint</summary>
#
# $dW = X^T dY$ and $dX = dY\,W^T$ have the same three sizes as $Y = XW$.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# times_as_much = 2
# ```
# </details>

# %%
times_as_much = None

check("3.5", times_as_much)

# %% [markdown]
# ## Break it yourself
#
# Take the flip away: `wrong_gradient` convolves with the filter as it is. **Predict** for each of the three filters whether a
# check finds the mistake. Then run.


# %%
def wrong_gradient(dy, w):
    wide = np.pad(dy, ((0, 0), (2, 2), (2, 2), (0, 0)))
    return convolve(wide, w.transpose(0, 1, 3, 2))  # not flipped


tests = {
    "random": rng.standard_normal((3, 3, 1, 1)),
    "all ones": np.ones((3, 3, 1, 1)),
    "edge filter": edge,
}
for name, w in tests.items():
    dy = rng.standard_normal((1, 4, 4, 1))
    x = mr.tensor(rng.standard_normal((1, 6, 6, 1)), requires_grad=True)
    F.conv2d(x, mr.tensor(w)).backward(dy)
    print(f"{name:12} largest difference {np.abs(wrong_gradient(dy, w) - x.grad).max():.2g}")

# %% [markdown]
# For the filter of ones there is nothing to find: it looks the same when turned. Many published examples test with ones. So the
# weights of a check must be random, as the cotangent must be.
#
# ## What to take along
#
# - A convolution is a sum over windows; laid out as rows it is a matrix product.
# - dw: each weight met one pixel per window. dx: each pixel was met by several windows, so terms are **added**.
# - dx is a convolution of dy, spread by the stride and padded, with the filter turned by 180 degrees.
# - Traps: padding 0, a stride with a remainder, filters that look the same when turned.
#
# Next: [4. Pooling](04_pooling.ipynb): two traps in ten lines.
