# %% [markdown]
# # 6. Training: from a gradient to a network that has learned something
#
# **You will be able to** write SGD with momentum and weight decay, and Adam; choose a learning rate; read learning curves;
# test a network on ten images before you train it for an hour.
#
# *Reading and exercises: 70 minutes. The page runs in 15 seconds on two cores. You need [lesson 1](01_chain_rule.ipynb).*
#
# **A question first.** A gradient says in which direction the loss falls fastest. Why not go a long way in that direction, and be
# done in ten steps? Write down what you think goes wrong.

# %%
import numpy as np

import minires as mr
from minires import functional as F
from minires import models, nn, optim, plots
from minires.data import load_shapes
from minires.training import minimize
from minires.tutorials import check
from minires.tutorials.small import reduced

rng = np.random.default_rng(0)

# %% [markdown]
# ## A valley
#
# Two weights are enough to see it. The loss is a long valley: steep across (curvature 25), flat along (curvature 1).
# $L(a, b) = \frac12 (a^2 + 25\,b^2)$, so its gradient is $(a,\; 25\,b)$.

# %%
CURVATURE = np.array([1.0, 25.0])


def descend(lr, momentum=0.0, steps=30):
    """The path of gradient descent in the valley."""
    w, v, path = np.array([9.0, 1.0]), np.zeros(2), []
    for _ in range(steps):
        path.append(w.copy())
        v = momentum * v + CURVATURE * w
        w = w - lr * v
    return np.array(path)


# %%
figure, axes = plots.canvas(1, 2, 8.4, 3.2, sharey=True)
paths = {"0.03": descend(0.03), "0.078": descend(0.078), "0.03, momentum 0.7": descend(0.03, 0.7)}
a, b = np.meshgrid(np.linspace(-10, 10, 80), np.linspace(-2, 2, 80))
for place, names in zip(axes, (("0.03", "0.078"), ("0.03", "0.03, momentum 0.7")), strict=True):
    place.contour(a, b, 0.5 * (a**2 + 25 * b**2), levels=8, cmap="cividis", linewidths=0.6)
    for name in names:
        place.plot(*paths[name].T, "o-", markersize=3, linewidth=1, label=f"rate {name}")
    place.set(xlabel="weight a", ylabel="weight b")
    place.legend(loc="upper left")
left = {name: float(np.hypot(*path[-1])) for name, path in paths.items()}
plots.Picture(
    figure,
    alt=f"Paths into a long valley. After 30 steps the distance from the bottom is {left['0.03']:.2f} with rate 0.03, "
    f"{left['0.078']:.2f} with the zigzag of rate 0.078, and {left['0.03, momentum 0.7']:.2f} with momentum.",
)

# %% [markdown]
# A gradient tells the truth only *here*. One step across the valley multiplies $b$ by $(1 - 25\,\eta)$ with the learning rate $\eta$. If this
# number is below −1, each step lands higher on the other side: the loss grows without end. So the *steepest* direction limits the rate,
# and the flat direction then has to wait. This is the answer to the first question.
#
# **Exercise 6.1** (●○○, 5 minutes). Which learning rate is the limit, above which this valley's path diverges?
#
# <details><summary>Hint</summary>
#
# Solve $1 - 25\,\eta = -1$.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# limit = 2 / 25
# ```
# </details>

# %%
limit = None

check("6.1", limit)

# %% [markdown]
# ## Momentum and weight decay
#
# Across the valley the gradient changes its sign at each step; along it the sign stays. If we add up gradients with a memory, the zigzag
# cancels and the way along the valley grows. That is momentum: a *velocity* $v$ that remembers the share $m$ of itself.
#
# Weight decay pulls each weight towards zero: it adds $d\,w$ to the gradient, as if the loss had an additional
# $\frac d2\lVert w\rVert^2$. In the order of the paper's recipe and of PyTorch:
#
# $$g' = g + d\,w \qquad v \leftarrow m\,v + g' \qquad w \leftarrow w - \eta\,v$$
#
# **Exercise 6.2** (●●○, 10 minutes). Write one step. Return the new w and the new v.
#
# <details><summary>Hint</summary>
#
# Three lines, in the order of the formulas. The learning rate multiplies the velocity, it is not a part of it.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def sgd_step(w, g, v, lr, momentum, weight_decay):
#     v = momentum * v + g + weight_decay * w
#     return w - lr * v, v
# ```
# </details>


# %%
def sgd_step(w, g, v, lr, momentum, weight_decay):
    return None  # write it here


check("6.2", sgd_step)

# %% [markdown]
# ## Adam beside it
#
# Adam (Kingma and Ba 2015) gives each weight a rate of its own. It keeps a running mean of the gradients, $m$, and of their squares,
# $s$, and steps by $m/\sqrt{s}$: weights with small gradients make large steps. Both means start at zero and are too small at first; dividing
# by $1-\beta^t$ corrects that.
#
# $$m \leftarrow \beta_1 m + (1-\beta_1) g \qquad s \leftarrow \beta_2 s + (1-\beta_2) g^2 \qquad
# w \leftarrow w - \eta\,\frac{m / (1-\beta_1^t)}{\sqrt{s/(1-\beta_2^t)} + \epsilon}$$
#
# **Exercise 6.3** (●●○, 10 minutes). Write one step for the step number t = 1, 2, ... Return w, m and s.
#
# <details><summary>Hint</summary>
#
# $\epsilon$ is outside of the root here (in batch norm it is inside). The stored m and s are the uncorrected ones.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def adam_step(w, g, m, s, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
#     m = beta1 * m + (1 - beta1) * g
#     s = beta2 * s + (1 - beta2) * g**2
#     mean, square = m / (1 - beta1**t), s / (1 - beta2**t)
#     return w - lr * mean / (np.sqrt(square) + eps), m, s
# ```
# </details>


# %%
def adam_step(w, g, m, s, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    return None  # write it here


check("6.3", adam_step)

# %% [markdown]
# Which is better? On image networks like ours, SGD with momentum and a good schedule is hard to beat, and it is the paper's choice. Adam needs
# less tuning, above all where gradients differ much in size.
#
# ## Schedules
#
# Early in training a large rate covers ground. Late, the noise of the batches keeps the weights jumping around the bottom, and
# a smaller rate lets them settle. The paper divides by 10 twice. Newer recipes fall along a cosine, or warm up first.

# %%
total = 64_000
steps = np.arange(0, total, 250)
schedules = {
    "the paper: divided by 10 twice": optim.step_decay(0.1, (32_000, 48_000)),
    "cosine": optim.cosine(0.1, total),
    "one cycle": optim.one_cycle(0.1, total),
}
plots.curves(
    {name: (steps, [schedule(i) for i in steps]) for name, schedule in schedules.items()},
    x="iteration",
    y="learning rate",
    alt="The paper's rate stays at 0.1 for half of the 64,000 iterations, then falls to 0.01 and to 0.001; a cosine falls "
    "smoothly from the start; one cycle rises for 30 % of the time first.",
)

# %% [markdown]
# **Exercise 6.4** (●○○, 3 minutes). Which learning rate does the paper's schedule have at iteration 50,000?
#
# <details><summary>Hint</summary>
#
# Both milestones have passed.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# rate = 0.001
# ```
# </details>

# %%
rate = None

check("6.4", rate)

# %% [markdown]
# ## Ten images first
#
# Before you train for an hour, train on **ten images**, without augmentation and weight decay. A network with thousands of weights must learn ten
# images by heart: its loss must go to zero. If it does not, something is wrong: the labels do not fit the images, a layer gets no gradient, the
# rate is off. It takes seconds.

# %%
train, test = load_shapes()
ten = mr.tensor((train.images[:10] / 255 - 0.5).astype("float32"))
mr.seed(0)
net = models.resnet8()
sgd = optim.SGD(net, lr=0.02, momentum=0.9)
losses = []
for _ in range(40):
    loss = F.cross_entropy(net(ten), train.labels[:10])
    sgd.zero_grad()
    loss.backward()
    sgd.step()
    losses.append(loss.item())
plots.curves(
    {"": losses},
    x="iteration",
    y="loss on the ten images",
    alt=f"On ten images the loss falls from {losses[0]:.2f} to {losses[-1]:.3f} in 40 iterations.",
)

# %% [markdown]
# The five lines of that loop are all of training. The engine's own step has the same lines, with checks for losses that are not finite and
# for half precision:

# %%
plots.source(minimize, start="    optimizer.zero_grad", lines=14)

# %% [markdown]
# ## Reading curves
#
# To see the effect of the learning rate in seconds, we take a small problem: images reduced to 8 x 8 pixels, and a network with one hidden
# layer.


# %%
def learn(lr, images=2000, epochs=6, hidden=64, weight_decay=0.0, seed=0):
    """Training loss after each epoch, the network, and its data."""
    mr.seed(seed)
    x, labels = reduced(train.images[:images]), train.labels[:images]
    net = nn.Sequential(nn.Linear(192, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    sgd = optim.SGD(net, lr=lr, momentum=0.9, weight_decay=weight_decay)
    order, losses = np.random.default_rng(seed), []
    for _ in range(epochs):
        parts = np.array_split(order.permutation(images), max(1, images // 50))
        for part in parts:
            loss = F.cross_entropy(net(mr.tensor(x[part])), labels[part])
            minimize(loss, sgd)
            losses.append(loss.item())
    return losses, net


def smooth(values, width=20):
    """The mean of each value and those before it."""
    sums = np.cumsum(np.insert(values, 0, 0.0))
    return (sums[width:] - sums[:-width]) / width


# %%
runs = {f"rate {lr}": smooth(learn(lr)[0]) for lr in (0.001, 0.05, 2.0)}
ends = {name: float(values[-1]) for name, values in runs.items()}
plots.curves(
    runs,
    x="iteration",
    y="loss, mean of 20 batches",
    alt=f"The loss ends at {ends['rate 0.001']:.2f} with rate 0.001, at {ends['rate 0.05']:.2f} with 0.05, and at "
    f"{ends['rate 2.0']:.2f} with 2.0.",
)

# %% [markdown]
# Three shapes to remember. **Too small**: a line that falls straight and slowly; it would still fall tomorrow. **Good**: falls fast, then bends.
# **Too large**: jumps, around or above the loss of guessing, which is $\ln 10 \approx 2.30$ for ten classes, or ends in NaN.
#
# The second thing to read is the distance between training and test. With few images the network learns them by heart:


# %%
def errors(net, dataset, count):
    """Errors in percent on the first images of a data set."""
    predicted = net(mr.tensor(reduced(dataset.images[:count]))).numpy().argmax(1)
    return 100 * float((predicted != dataset.labels[:count]).mean())


counts, train_errors, test_errors = (50, 100, 200, 500, 1000, 2000, 5000), [], []
for count in counts:
    _, net = learn(0.05, images=count, epochs=600 * 50 // count)
    train_errors.append(errors(net, train, count))
    test_errors.append(errors(net, test, 1000))
plots.curves(
    {"training": (counts, train_errors), "test": (counts, test_errors)},
    x="training images",
    y="error (%)",
    log="x",
    marks="o",
    alt=f"With 50 images the training error is {train_errors[0]:.0f} % and the test error {test_errors[0]:.0f} %; with 5000 images "
    f"they are {train_errors[-1]:.0f} % and {test_errors[-1]:.0f} %.",
)

# %% [markdown]
# A small training error beside a large test error is *overfitting*; more images, augmentation or weight decay help. A large training error
# means that the network has not even learned its own images: then regularisation makes it worse. Lesson 7 is about deep networks
# whose *training* error is large. Keep the two apart.
#
# ## Bug hunt: the loop without `zero_grad`
#
# `backward()` adds to `.grad` (lesson 1: paths add up). Who forgets to clear it uses the sum of *all* gradients so far. **Predict**: does such a
# network learn?


# %%
def without_or_with(is_cleared, lr=0.05, steps=300):
    """Training without momentum; gradients are cleared, or not."""
    mr.seed(0)
    x, labels = reduced(train.images[:2000]), train.labels[:2000]
    net = nn.Sequential(nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, 10))
    sgd, order, losses = optim.SGD(net, lr=lr), np.random.default_rng(0), []
    for _ in range(steps):
        part = order.integers(0, 2000, 50)
        loss = F.cross_entropy(net(mr.tensor(x[part])), labels[part])
        if is_cleared:
            sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return smooth(losses)


cleared, kept = without_or_with(True), without_or_with(False)
plots.curves(
    {"with zero_grad": cleared, "without": kept},
    x="iteration",
    y="loss, mean of 20 batches",
    alt=f"Without zero_grad the loss falls faster at first, to {kept.min():.2f}, and then grows to {kept[-1]:.2f}; with it the "
    f"loss falls slowly, to {cleared[-1]:.2f}.",
)

# %% [markdown]
# It learns, and at first even faster than the right loop. The sum of all gradients is a momentum that forgets nothing. It is a ball that rolls
# into the valley without friction: it gathers speed, passes the bottom, and each swing is higher than the one before. So the bug looks like "my
# network learns well and then suddenly breaks down; I must stop early". Look for the missing line instead.
#
# **Exercise 6.5** (●○○, 5 minutes). The gradient is 1 at every step, the rate 0.1, there is no momentum. How far has the weight moved after
# four steps **without** `zero_grad`? (Take the distance, without the sign.)
#
# <details><summary>Hint</summary>
#
# The gradients that are used are 1, 2, 3 and 4.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# moved = 0.1 * (1 + 2 + 3 + 4)
# ```
# </details>

# %%
moved = None

check("6.5", moved)

# %% [markdown]
# ## What to take along
#
# - The steepest direction limits the learning rate; momentum helps along the flat ones.
# - A network must be able to learn ten images by heart. Try that first.
# - Loss near ln(classes) means guessing. Look at training and test errors side by side.
# - A forgotten `zero_grad` looks like a training that breaks down late.
#
# Next: [7. The degradation problem](07_degradation.ipynb).
