# %% [markdown]
# # 13. Further: wider, deeper, and what came after
#
# **You will be able to** count what a bottleneck saves; train nets whose activations do not fit in memory; average
# networks rightly; measure a box; read a residual net as a numerical solution of a differential equation.
#
# *Reading and exercises: 60 minutes. The page runs in 15 seconds on two cores; the first run compiles kernels and may
# take longer. You need residual blocks and training.*
#
# **A question first.** ResNet-50 has 16 layers more than ResNet-34, and up to 2,048 channels instead of 512. How many
# times as many multiply-adds does an image need? Write down a guess.

# %%
import numpy as np

import minires as mr
from minires import functional as F
from minires import models, plots
from minires.kernels import memory
from minires.models.imagenet import Bottleneck
from minires.paper.detection.boxes import intersection_over_union
from minires.paper.detection.scenes import load_scenes
from minires.recompute import recomputed
from minires.summary import summarize
from minires.tutorials import check

for name in ("resnet34", "resnet50"):
    s = summarize(models.build(name), 224)
    print(
        f"{name}: {s.multiply_adds / 1e9:.2f} G multiply-adds, {s.parameters / 1e6:.1f} M weights"
    )

# %% [markdown]
# ## Bottlenecks
#
# About 1.05 times as many. The trick is in the block: a 1x1 convolution makes 64 channels of 256, the 3x3 convolution works
# on 64, another 1x1 makes 256 again. The shortcut carries 256 channels.
#
# **Exercise 13.1** (●○○, 10 minutes). Count the weights of (a) two 3x3 convolutions on 64 channels, (b) the bottleneck on 256, (c) two
# 3x3 convolutions on 256. No biases, no batch norm.
#
# <details><summary>Hint</summary>
#
# A k x k convolution has k k C_in C_out weights.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# weights = 2 * 9 * 64 * 64, 256 * 64 + 9 * 64 * 64 + 64 * 256, 2 * 9 * 256 * 256
# ```
# </details>

# %%
weights = None

check("13.1", weights)

# %% [markdown]
# The bottleneck on 256 channels costs less than the plain block on 64. This is the engine's:

# %%
plots.source(Bottleneck.forward)

# %% [markdown]
# ## 1202 layers, and recomputing
#
# Backward needs what forward has calculated, so memory grows with depth. *Recomputing* keeps only the input of each segment of
# s blocks. When backward reaches a segment, its forward runs once more. Then one segment is in memory as a whole, and of
# the others only their inputs.
#
# **Exercise 13.2** (●●○, 10 minutes). n blocks in segments of s (the last may be shorter). How many arrays are kept, if a block keeps one: one
# for each segment's input, and s inside the segment that is being computed?
#
# <details><summary>Hint</summary>
#
# The number of segments is n / s, rounded up.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def kept(n, s):
#     return -(-n // s) + s
# ```
# </details>


# %%
def kept(n, s):
    return None  # write it here


check("13.2", kept)

# %% [markdown]
# It is least near $s = \sqrt n$, where it is about $2\sqrt n$ instead of $n$ (Chen et al. 2016). The price is one more forward. In minires
# a call `recomputed(blocks, x)` replaces `blocks(x)`; `recompute=True` does it for a whole network. We look at what
# the pool of memory holds after a forward of ResNet-56.

# %%
x = mr.tensor(np.random.default_rng(0).standard_normal((16, 32, 32, 3)).astype("f4"))
labels, found = np.arange(16) % 10, {}
for recompute in (False, True):
    mr.seed(0)
    net = models.build("resnet56", recompute=recompute)
    memory.release()
    before = memory.reserved()
    loss = F.cross_entropy(net(x), labels)
    held = (memory.reserved() - before) / 2**20
    loss.backward()
    found[recompute] = held, net.conv1.weight.grad.copy()
    print(f"recompute={recompute!s:<5}  held after forward {held:5.1f} MiB, loss {loss.item():.6f}")
    del loss, net
print("same gradient:", bool((found[False][1] == found[True][1]).all()))

# %%
plots.source(recomputed, start="if isinstance(module, list", lines=9)

# %% [markdown]
# The paper's net of 1,202 layers has a training error below 0.1 % and a *larger* test error than its net of 110 layers (7.93 %
# against 6.43 %). The paper's reading: it is unnecessarily large for 50,000 images. Depth can be trained now; that does not mean that it helps.
#
# ## Ensembles
#
# Networks that start from different seeds make different mistakes. So average them. What exactly?
#
# **Exercise 13.3** (●●○, 10 minutes). `ensemble(logits)`: logits of shape (networks, images, classes) to class probabilities of shape (images,
# classes): the mean of the networks' *probabilities*.
#
# <details><summary>Hint</summary>
#
# First the softmax of each network over its classes, then the mean over the networks.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def ensemble(logits):
#     e = np.exp(logits - logits.max(-1, keepdims=True))
#     return (e / e.sum(-1, keepdims=True)).mean(0)
# ```
# </details>


# %%
def ensemble(logits):
    return None  # write it here


check("13.3", ensemble)

# %% [markdown]
# It helps as far as the mistakes are independent. Below, classifiers whose logits are the truth plus noise; a part of the
# noise is common to all.


# %%
def averaged_error(networks, common, rng=None):
    """The test error in percent of averaged, noisy classifiers of 10 classes."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 10, 4000)
    shared = rng.standard_normal((1, 4000, 10))
    own = rng.standard_normal((networks, 4000, 10))
    logits = 2 * np.eye(10)[truth] + np.sqrt(common) * shared + np.sqrt(1 - common) * own
    e = np.exp(logits)
    return 100 * np.mean((e / e.sum(-1, keepdims=True)).mean(0).argmax(-1) != truth)


sizes = (1, 2, 3, 5, 10)
errors = {f"{c:.0%} in common": [averaged_error(n, c) for n in sizes] for c in (0.0, 0.5, 0.9)}
plots.curves(
    {name: (sizes, e) for name, e in errors.items()},
    "networks averaged",
    "error (%)",
    "From 1 network to 10 the error falls "
    + "; ".join(f"from {e[0]:.0f} to {e[-1]:.0f} % with {n}" for n, e in errors.items())
    + ".",
    marks="o",
)

# %% [markdown]
# Where all is in common, averaging would give nothing. With trained networks, three ResNet-20 together made 8.65 % errors on CIFAR-10, each alone
# about 10.8 % ([the record](../paper/results/README.md)). The paper won ImageNet's competition of 2015 with an ensemble of six networks.
#
# ## Detection in one picture
#
# The same backbone can say *where* things are. A detector puts a grid over its last feature map; each cell predicts whether the middle of an
# object lies in it, a box and a class. A box counts as found if it covers nearly the same area as the true one:
# $\text{IoU} = \frac{\text{area of both}}{\text{area of either}}$ is at least 0.5.

# %%
_, scenes = load_scenes(4, 4, image_size=64)
figure, places = plots.canvas(1, 4, 7, 2)
count = 0
for i, place in enumerate(places):
    place.imshow(scenes.images[i])
    place.axis("off")
    for x0, y0, x1, y1 in scenes.boxes[i]:
        place.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color="white", linewidth=1)
        count += 1
plots.Picture(figure, f"Four scenes of 64 x 64 pixels with {count} shapes, each in its true box.")

# %% [markdown]
# **Exercise 13.4** (●●○, 10 minutes). Write the IoU of two boxes (x0, y0, x1, y1).
#
# <details><summary>Hint</summary>
#
# The shared width is min(x1) - max(x0), but never below 0. The area of either is the sum of the two areas, less the shared one.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def iou(a, b):
#     width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
#     height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
#     areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
#     return width * height / (sum(areas) - width * height)
# ```
# </details>


# %%
def iou(a, b):
    return None  # write it here


check("13.4", iou)

# %%
plots.source(intersection_over_union, start="low =", lines=6)

# %% [markdown]
# ## A residual net is a path
#
# A block computes $x_{l+1} = x_l + f_l(x_l)$. Write a step length $h$ before f:
#
# $$x_{l+1} = x_l + h\,f(x_l) .$$
#
# This is Euler's method for the differential equation $\dot x = f(x)$. Depth is time: more layers with smaller steps follow the same path
# more exactly (E 2017, "A Proposal on Machine Learning via Dynamical Systems").
#
# **Exercise 13.5** (●●○, 10 minutes). Take $f(x) = (-x_2, x_1)$, which turns points around the origin. Write `euler(x, steps)`, from time 0 to time
# 1: `steps` steps of length 1/steps.
#
# <details><summary>Hint</summary>
#
# `x = x + h * np.array([-x[1], x[0]])`
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def euler(x, steps):
#     for _ in range(steps):
#         x = x + np.array([-x[1], x[0]]) / steps
#     return x
# ```
# </details>


# %%
def euler(x, steps):
    return None  # write it here


check("13.5", euler)


# %%
def path(steps, residual=True):
    """Points of a net on the way from time 0 to 6."""
    points, h = [np.array([1.0, 0.0])], 6 / steps
    for _ in range(steps):
        x = points[-1]
        points.append(x * residual + h * np.array([-x[1], x[0]]))
    return np.array(points)


figure, axes = plots.canvas(width=4.6, height=4.2)
for steps, color in zip((12, 48, 400), plots.COLORS, strict=False):
    p = path(steps)
    axes.plot(p[:, 0], p[:, 1], ".-", color=color, label=f"{steps} residual steps", markersize=3)
p = path(12, residual=False)
axes.plot(p[:, 0], p[:, 1], "s", color=plots.COLORS[3], label="12 plain steps")
axes.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
axes.legend(fontsize=7)
ends = [float(np.linalg.norm(q[-1])) for q in (path(12), path(48), path(400), p)]
plots.Picture(
    figure,
    "The true path is a circle of radius 1. Residual steps end at radius "
    + ", ".join(f"{e:.2f}" for e in ends[:3])
    + f" with 12, 48 and 400 steps; plain steps end at {ends[3]:.4f}.",
)

# %% [markdown]
# The residual steps follow the circle, the better the smaller they are. Plain steps forget where they were: each multiplies by h, and with
# h = 1/2 they jump towards the origin. Nothing is left of the input after some layers.
#
# ## Break it yourself: steps that are too long
#
# Each Euler step of this f makes a point's distance grow by $\sqrt{1 + h^2}$. **Predict** the distance after 50 steps of length 1. Then
# run it. Then give f a small weight, as networks do when they start their last batch norm of a block with gamma = 0 (Goyal et al. 2017).

# %%
for h in (1.0, 0.1, 0.0):
    x = np.array([1.0, 0.0])
    for _ in range(50):
        x = x + h * np.array([-x[1], x[0]])
    print(f"h = {h}: distance {np.linalg.norm(x):.3g}, predicted {(1 + h * h) ** 25:.3g}")

# %% [markdown]
# A residual net is no cure for everything: sums of 50 large terms grow. Batch norm inside the block, small weights at the start, or a factor
# before f keep them small.
#
# ## What came after
#
# | year | what | paper |
# |---|---|---|
# | 2016 | pre-activation: norm and ReLU before the convolution, so that the shortcut is never changed | He et al., "Identity Mappings in Deep Residual Networks" |
# | 2016 | fewer, wider layers are as good and faster | Zagoruyko and Komodakis, "Wide Residual Networks" |
# | 2017 | DenseNet: concatenate instead of add | Huang et al., "Densely Connected Convolutional Networks" |
# | 2017 | the transformer: a residual sum around each attention and each feed-forward layer | Vaswani et al., "Attention Is All You Need" |
# | 2018 | depth as continuous time, solved by an ODE solver | Chen et al., "Neural Ordinary Differential Equations" |
# | 2019 | EfficientNet: depth, width and image size grow together | Tan and Le, "EfficientNet: Rethinking Model Scaling" |
# | 2022 | ConvNeXt: a ResNet, modernised step by step, meets vision transformers | Liu et al., "A ConvNet for the 2020s" |
#
# The transformer has no convolution and no batch norm. What it has taken over is the sum $x + f(x)$. Of this list only DenseNet replaces it.
#
# ## What to take along
#
# - A bottleneck computes in few channels and carries many.
# - Recomputing trades one more forward for memory of the order of $\sqrt n$.
# - An ensemble averages probabilities. It gains as far as the mistakes differ.
# - $x + h f(x)$ is an Euler step; depth is time, and small steps keep the path.
