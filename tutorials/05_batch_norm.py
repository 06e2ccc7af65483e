# %% [markdown]
# # 5. Batch normalisation: the backward that everybody gets wrong once
#
# **You will be able to** write batch norm's forward and backward; derive the three terms of dx; keep running statistics
# and say when they are used; find the mistakes that no gradient check sees.
#
# *Reading and exercises: 70 minutes. The page runs in 15 seconds on two cores. You need
# [lesson 2](02_checking_gradients.ipynb).*
#
# **A question first.** A layer subtracts the mean of the batch from every number. You add 1 to *one* of the numbers. How do the
# results change: only one of them, or all? So which results does one number's gradient come from?

# %%
import numpy as np

import minires as mr
from minires import functional as F
from minires import nn, optim, plots
from minires.data import Loader, Normalization, load_shapes
from minires.gradcheck import gradcheck
from minires.kernels.batch_norm import reference
from minires.tutorials import check
from minires.watchers import watch

rng = np.random.default_rng(0)

# %% [markdown]
# ## Forward
#
# Batch norm (Ioffe and Szegedy 2015) gives every channel the mean 0 and the variance 1, over all images and all pixels of the
# batch. Then a scale $\gamma$ and a shift $\beta$, one of each per channel, let the network choose what it wants. With M = N·H·W numbers per
# channel:
#
# $$\mu = \frac1M\sum_i x_i \qquad \sigma^2 = \frac1M\sum_i (x_i-\mu)^2 \qquad
# \hat x_i = \frac{x_i-\mu}{\sqrt{\sigma^2+\epsilon}} \qquad y_i = \gamma\,\hat x_i + \beta$$
#
# $\epsilon$ (10⁻⁵) stands **inside** the root, so that nothing is divided by zero.
#
# **Exercise 5.1** (●○○, 8 minutes). Write it, for x of any shape whose last axis is the channels.
#
# <details><summary>Hint</summary>
#
# The axes of the mean are all but the last: `tuple(range(x.ndim - 1))`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def batch_norm(x, gamma, beta, eps=1e-5):
#     axes = tuple(range(x.ndim - 1))
#     mean, var = x.mean(axes), x.var(axes)
#     return gamma * (x - mean) / np.sqrt(var + eps) + beta
# ```
# </details>


# %%
def batch_norm(x, gamma, beta, eps=1e-5):
    return None  # write it here


check("5.1", batch_norm)

# %% [markdown]
# ## Backward, line by line
#
# We go back from $y$. Everything is per channel, so we leave the channel's index away. The first two are lesson 1: $\beta$ and
# $\gamma$ are used once for each of the M numbers, and paths add up.
#
# $$d\beta = \sum_i dy_i \qquad d\gamma = \sum_i dy_i\,\hat x_i \qquad g_i := d\hat x_i = \gamma\, dy_i$$
#
# Now from $\hat x$ to $x$. Write $s = 1/\sqrt{\sigma^2+\epsilon}$, so $\hat x_i = (x_i-\mu)\,s$. A number $x_i$ reaches the results on
# **three paths**:
#
# 1. *directly*, through its own $x_i$ in $\hat x_i$: the term $g_i\,s$;
# 2. through the *mean* $\mu$, which is in every $\hat x_j$;
# 3. through the *variance*, which is in $s$, and so in every $\hat x_j$.
#
# The mean: $\partial\mu/\partial x_i = 1/M$, and $\partial \hat x_j/\partial\mu = -s$. Together $-s\,\frac1M\sum_j g_j$.
#
# The variance: $\partial\sigma^2/\partial x_i = \frac2M(x_i-\mu)$. (The mean inside of $\sigma^2$ moves, too, but that adds
# $-\frac{2}{M}\sum_j(x_j-\mu)\frac1M = 0$.) And $\partial s/\partial\sigma^2 = -\frac12 s^3$. So
# $\partial\hat x_j/\partial x_i = (x_j-\mu)\cdot(-\tfrac12 s^3)\cdot\tfrac2M(x_i-\mu) = -\tfrac{s}{M}\,\hat x_j\,\hat x_i$. Together
# $-s\,\hat x_i\,\frac1M\sum_j g_j\hat x_j$. Add the three:
#
# $$dx_i = s\,\Big(\underbrace{g_i}_{\text{direct}} - \underbrace{\tfrac1M\textstyle\sum_j g_j}_{\text{mean}}
# - \underbrace{\hat x_i\,\tfrac1M\textstyle\sum_j g_j\hat x_j}_{\text{variance}}\Big)$$
#
# The two sums are $\gamma\,d\beta$ and $\gamma\,d\gamma$: what the parameters need anyway is all that dx needs.
#
# A picture for one channel with six numbers: the three terms, and their sum.

# %%
x = rng.standard_normal(6)
dy = 1 + x + 0.5 * rng.standard_normal(6)
s = 1 / np.sqrt(x.var() + 1e-5)
x_hat = (x - x.mean()) * s
terms = {
    "direct": s * dy,
    "mean": np.full(6, -s * dy.mean()),
    "variance": -s * x_hat * (dy * x_hat).mean(),
}
dx = sum(terms.values())
figure, axes = plots.canvas()
for i, (name, values) in enumerate({**terms, "dx": dx}.items()):
    axes.bar(np.arange(6) + 0.2 * i - 0.3, values, 0.19, label=name, color=plots.COLORS[i])
axes.axhline(0, linewidth=0.6, color="#808890")
axes.set(xlabel="number i of the batch", ylabel="part of dx")
axes.legend(ncols=4)
plots.Picture(
    figure,
    alt=f"For six numbers the direct, the mean and the variance term of dx as bars beside their sum; the "
    f"sum over the batch is {abs(dx.sum()):.0e}, that of dx times x-hat {abs((dx * x_hat).sum()):.0e}.",
)

# %% [markdown]
# Two facts can be checked without any differences. If all x grow by the same amount, nothing changes: so $\sum_i dx_i = 0$. If
# all x are stretched around their mean, (almost) nothing changes: so $\sum_i dx_i\,\hat x_i \approx 0$. The mean term is what makes the
# first sum zero; the variance term the second one. This is the fastest test of a batch norm's backward that there is.
#
# On the [batch norm page](pages/batch_norm.html) you can move one number and watch the three terms.
#
# **Exercise 5.2** (●●●, 20 minutes). Write the backward: return dx, dgamma, dbeta. Start from dy, x and gamma.
#
# <details><summary>Hint</summary>
#
# Compute x_hat and s as in forward. Then dbeta, dgamma, and with M = x.size / C:
# `dx = gamma * s * (dy - dbeta / M - x_hat * dgamma / M)`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def batch_norm_backward(dy, x, gamma, eps=1e-5):
#     axes = tuple(range(x.ndim - 1))
#     m = x.size / x.shape[-1]
#     s = 1 / np.sqrt(x.var(axes) + eps)
#     x_hat = (x - x.mean(axes)) * s
#     dbeta, dgamma = dy.sum(axes), (dy * x_hat).sum(axes)
#     dx = gamma * s * (dy - dbeta / m - x_hat * dgamma / m)
#     return dx, dgamma, dbeta
# ```
# </details>


# %%
def batch_norm_backward(dy, x, gamma, eps=1e-5):
    return None  # write it here


check("5.2", batch_norm_backward)

# %% [markdown]
# The engine's version, for comparison. It keeps x_hat from forward, handles a residual and a ReLU in the same pass, and in
# evaluation only the direct term is left:

# %%
plots.source(reference.backward)

# %%
gamma, beta = rng.standard_normal(3), rng.standard_normal(3)
layer_input = rng.standard_normal((4, 3, 2, 3))
gradcheck(
    lambda x, g, b: F.batch_norm(x, g, b, np.zeros(3), np.ones(3), training=True),
    [layer_input, gamma, beta],
)

# %% [markdown]
# ## Running statistics
#
# In evaluation there may be a single image. Its own mean would be meaningless, and one image's prediction must not depend on the other
# images of its batch. So in training the layer keeps **running statistics**, and in evaluation it uses them as constants:
#
# $$\text{running} \leftarrow \text{running} + m\,(\text{batch} - \text{running}), \qquad m = 0.1$$
#
# For the running variance the *unbiased* one is taken, with M−1 in the denominator, as in PyTorch. (Normalisation itself divides by M.)
#
# **Exercise 5.3** (●●○, 8 minutes). Write the update. Return the new running mean and running variance.
#
# <details><summary>Hint</summary>
#
# `x.var(axes, ddof=1)` divides by M - 1.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def update(running_mean, running_var, x, momentum=0.1):
#     axes = tuple(range(x.ndim - 1))
#     mean, var = x.mean(axes), x.var(axes, ddof=1)
#     return (
#         running_mean + momentum * (mean - running_mean),
#         running_var + momentum * (var - running_var),
#     )
# ```
# </details>


# %%
def update(running_mean, running_var, x, momentum=0.1):
    return None  # write it here


check("5.3", update)

# %% [markdown]
# No gradient check sees a mistake here: the running statistics take no part in the training gradient. The network trains perfectly, and
# the test accuracy is low or depends on the size of the test batch. If you ever see "98 % in training, 10 % in test", look here first.
#
# How fast do they follow? After $n$ batches the starting value still has the weight $0.9^n$.

# %%
steps = np.arange(0, 61)
lines = {f"momentum {m}": (steps, 5 * (1 - (1 - m) ** steps)) for m in (0.1, 0.01, 0.9)}
plots.curves(
    lines,
    x="batches seen",
    y="running mean (the true mean is 5)",
    alt=f"With momentum 0.1 the running mean reaches {5 * (1 - 0.9**20):.1f} of 5 after 20 batches; with 0.01 only "
    f"{5 * (1 - 0.99**60):.1f} after 60; with 0.9 it jumps with every batch.",
)

# %% [markdown]
# **Exercise 5.4** (●○○, 3 minutes). In some libraries the update is written as `0.9 * running + 0.1 * batch`, and 0.9 is what they
# call momentum. You load their layer's setting `momentum=0.9` into minires. Which number belongs there?
#
# <details><summary>Hint</summary>
#
# minires and PyTorch name the weight of the *new* batch.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# momentum = 0.1
# ```
# </details>

# %%
momentum = None

check("5.4", momentum)

# %% [markdown]
# ## Bug hunt: the network that trains with a wrong backward
#
# Now the experiment that lesson 2 promised. We plant the commonest mistake into the engine: the variance term is left out. (A *watcher*
# may change what a backward returns.) Two equal networks train on the same images; one has the bug. **Predict**: does the
# loss of the broken network fall?


# %%
def without_variance_term(function, direction, compute, *arrays):
    """A batch norm whose backward takes the standard deviation for a constant."""
    results = compute(*arrays)
    if direction == "backward" and function.name == "batch_norm":
        x_hat, gamma, inv_std = function.kept
        axes = tuple(range(x_hat.ndim - 1))
        dy = arrays[0]
        results = (gamma * inv_std * (dy - dy.mean(axes)), *results[1:])
    elif direction == "forward" and function.name == "batch_norm":
        x, gamma = arrays[0], arrays[1]
        axes = tuple(range(x.ndim - 1))
        inv_std = 1 / np.sqrt(x.var(axes) + 1e-5)
        function.kept = ((x - x.mean(axes)) * inv_std, gamma, inv_std)
    return results


# %%
def build(classes):
    """Three convolutions, each with a batch norm."""
    layers = []
    for channels, wider in ((3, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1)]
        layers += [nn.BatchNorm2d(wider), nn.ReLU()]
    return nn.Sequential(*layers, nn.GlobalAvgPool2d(), nn.Linear(32, classes))


def leave_alone(function, direction, compute, *arrays):
    """A watcher that changes nothing."""
    return compute(*arrays)


# %%
def train(watcher, steps=80):
    """Losses of a small network's training, with a watcher at every computation."""
    mr.seed(0)
    data, _ = load_shapes()
    loader = Loader(data, Normalization.make("per-pixel", data.images), 32, shuffle=True, seed=1)
    net = build(len(data.classes))
    sgd, losses = optim.SGD(net, lr=0.2, momentum=0.9), []
    with watch(watcher):
        for _, (x, labels) in zip(range(steps), loader.batches(0), strict=False):
            loss = F.cross_entropy(net(x), labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            losses.append(loss.item())
    return losses


# %%
right, broken = train(leave_alone), train(without_variance_term)
end = [float(np.mean(losses[-10:])) for losses in (right, broken)]
plots.curves(
    {"right": right, "without the variance term": broken},
    x="iteration",
    y="loss (cross-entropy)",
    alt=f"Both networks learn: the loss falls from {right[0]:.2f} to {end[0]:.2f} with the right backward and to "
    f"{end[1]:.2f} with the wrong one.",
)

# %% [markdown]
# Both fall, and nothing in the curves says which of them is wrong: a difference of this size might be the seed. The check with a random
# cotangent finds it in a millisecond, and so do the two sums from above.
#
# **Exercise 5.5** (●●○, 8 minutes). Which of these mistakes does *no* gradient check find, since forward and backward agree with each
# other? Answer with letters in one string. A: eps outside of the root, in forward and backward. B: the mean term left out in
# backward. C: biased running variance. D: gamma left out of dx. E: batch statistics used in evaluation.
#
# <details><summary>Hint</summary>
#
# A gradient check compares backward with *your* forward. Which of them are wrong in forward, consistently?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# unseen = "ACE"
# ```
# </details>

# %%
unseen = None

check("5.5", unseen)

# %% [markdown]
# So a backward needs a gradient check, and a forward needs something else to be compared with: the definition in plain loops, a paper's
# number, or another library.
#
# ## What to take along
#
# - One number reaches all results of its channel: directly, through the mean and through the variance. dx has three terms.
# - $\sum dx = 0$ and $\sum dx\,\hat x \approx 0$ are a test of one line.
# - Training uses the batch, evaluation uses the running statistics. `model.eval()` is the switch.
# - A network can train with a wrong backward. The loss curve is no proof.
#
# Next: [6. Training](06_training.ipynb).
