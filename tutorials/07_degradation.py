# %% [markdown]
# # 7. The degradation problem: why more layers made networks worse
#
# **You will be able to** tell degradation from overfitting; compute how a signal changes through fifty layers; write He initialisation,
# gradient clipping and dropout; say what each of them cures, and what none of them cures.
#
# *Reading and exercises: 60 minutes. The page runs in 20 seconds on two cores. You need [lesson 5](05_batch_norm.ipynb) and
# [lesson 6](06_training.ipynb).*
#
# **A question first.** Network A has 20 layers. Network B has the same 20 layers and 36 more. B *could* do all that A does: its additional
# layers would only have to hand their input on unchanged. Both are trained in the same way. Which one has the smaller error **on its own
# training images**? Write it down.

# %%
import numpy as np

import minires as mr
from minires import functional as F
from minires import nn, optim, plots
from minires.tutorials import check, recorded, small

small.on_numpy()
rng = np.random.default_rng(0)

# %% [markdown]
# ## What happened
#
# He et al. asked this in 2015, on CIFAR-10. Here is our own run of their figure 6: plain networks of 20 and of 56 layers, with
# batch norm behind every convolution, the paper's recipe with a shorter schedule.

# %%
figure6 = recorded("shortened/figure6")
rows = {row["model"]: row for row in figure6["rows"]}
plots.curves(
    {
        "20 layers": (rows["plain20"]["curve"]["step"], rows["plain20"]["curve"]["train_error"]),
        "56 layers": (rows["plain56"]["curve"]["step"], rows["plain56"]["curve"]["train_error"]),
    },
    x="iteration",
    y="error on the training images (%)",
    title=f"CIFAR-10, plain networks ({figure6['date']}, {figure6['machine']})",
    alt=f"The training error of the plain network with 56 layers stays above that of 20 layers all the time and ends at "
    f"{rows['plain56']['train_error']:.1f} % against {rows['plain20']['train_error']:.1f} %.",
)

# %% [markdown]
# The deeper network is worse, and it is worse on the images that it was *trained* on. So it is not overfitting: a network that
# overfits has a small training error. It has not learned even what the shallow one learned, although a solution exists: copy the 20 layers, and let the
# others hand on their input. Gradient descent does not find it. The authors called this the **degradation problem**.
#
# **Exercise 7.1** (●○○, 5 minutes). Which of these do the curves rule out? Answer with letters in one string. A: the deep network overfits. B: the
# deep network cannot represent a good solution. C: gradient descent has difficulties with it.
#
# <details><summary>Hint</summary>
#
# A by the training error. B by the construction with layers that hand on their input. And C is what is left.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# ruled_out = "AB"
# ```
# </details>

# %%
ruled_out = None

check("7.1", ruled_out)

# %% [markdown]
# ## The same in seconds
#
# It also happens on a small problem: shapes reduced to 8 x 8 pixels, dense layers, batch norm behind each.

# %%
plots.source(small.Block.forward)

# %%
plain = {}
for depth in (4, 8, 16):
    mr.seed(0)
    losses = np.array(small.train(small.network(depth)))
    plain[f"{depth} layers"] = losses.reshape(-1, 5).mean(1)
ends = {name: float(values[-4:].mean()) for name, values in plain.items()}
plots.curves(
    {name: (np.arange(len(v)) * 5, v) for name, v in plain.items()},
    x="iteration",
    y="training loss, mean of 5 batches",
    alt="The deeper, the higher the training loss: "
    + ", ".join(f"{name} {value:.2f}" for name, value in ends.items())
    + " at the end.",
)

# %% [markdown]
# ## Cure 1: initialisation
#
# The first suspicion is the *signal*. Each layer multiplies by random weights. If each of fifty layers makes the signal a little smaller, nothing
# arrives. Let each of n inputs have the variance 1 and each weight the variance $v$. A sum of n products has the variance $n v$.
# ReLU cuts half of it away. So per layer the mean square is multiplied by $n v / 2$, and it stays if $v = 2/n$. That is **He initialisation**
# (He et al. 2015, "Delving Deep into Rectifiers").


# %%
def signal(factor, depth=50, width=256):
    """The root mean square behind each layer, for weights of variance factor / width."""
    x, sizes = rng.standard_normal((64, width)), []
    for _ in range(depth):
        w = rng.standard_normal((width, width)) * np.sqrt(factor / width)
        x = np.maximum(x @ w, 0)
        sizes.append(np.sqrt((x**2).mean()))
    return sizes


sizes = {f"variance {factor}/n": signal(factor) for factor in (1, 2, 4)}
plots.curves(
    sizes,
    x="layer",
    y="root mean square of the signal",
    log="y",
    alt="Through 50 layers with ReLU the signal "
    + "; ".join(f"with {name} ends at {v[-1]:.1g}" for name, v in sizes.items())
    + ".",
)

# %% [markdown]
# **Exercise 7.2** (●●○, 8 minutes). By which factor does the root mean square change through 50 layers with ReLU, if the weights have the
# variance 1/n?
#
# <details><summary>Hint</summary>
#
# The mean square: times 1/2 per layer. The *root*: times $\sqrt{1/2}$ per layer, 50 times.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# factor = 0.5**25
# ```
# </details>

# %%
factor = None

check("7.2", factor)

# %% [markdown]
# **Exercise 7.3** (●○○, 5 minutes). Write the standard deviation of He initialisation for a convolution's weights of the shape (KH, KW, C, K). What is n
# there?
#
# <details><summary>Hint</summary>
#
# n is how many products one result adds up: the window times the channels.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def he_std(shape):
#     kh, kw, c, k = shape
#     return np.sqrt(2 / (kh * kw * c))
# ```
# </details>


# %%
def he_std(shape):
    return None  # write it here


check("7.3", he_std)

# %% [markdown]
# Good initialisation let people train networks of twenty layers, and batch norm made it less important: each layer brings the signal back to variance 1. The
# 56-layer network above has both. The signal is healthy, forward and backward, and the degradation is still there.
#
# ## Cure 2: clipping
#
# Where gradients sometimes explode, they can be cut: if the length of the *whole* gradient, over all parameters, is above a limit, it is scaled down to that
# length. The direction stays.
#
# **Exercise 7.4** (●●○, 8 minutes). Write it for a list of gradients. Return the new list.
#
# <details><summary>Hint</summary>
#
# One length for all arrays together. Do not scale up what is short already.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def clip(gradients, limit):
#     length = np.sqrt(sum((g**2).sum() for g in gradients))
#     scale = min(1.0, limit / length)
#     return [g * scale for g in gradients]
# ```
# </details>


# %%
def clip(gradients, limit):
    return None  # write it here


def clip_two(a, b, limit):
    """For the check: two gradients in, two out."""
    clipped = clip([a, b], limit)
    return None if clipped is None else tuple(clipped)


check("7.4", clip_two)

# %% [markdown]
# ## Cure 3: dropout and weight decay
#
# Dropout sets a random share $p$ of the numbers to zero in training, so that no unit can rely on one other unit. What is left is divided by $1-p$, so
# that the mean stays and evaluation needs no change. It is a cure against *overfitting*, as is weight decay.
#
# **Exercise 7.5** (●●○, 8 minutes). Write dropout's forward for a given array of random numbers `r` between 0 and 1, as large as x: an entry is dropped where
# r < p.
#
# <details><summary>Hint</summary>
#
# Keep where r >= p. Divide by the share that is kept.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def dropout(x, r, p):
#     return x * (r >= p) / (1 - p)
# ```
# </details>


# %%
def dropout(x, r, p):
    return None  # write it here


check("7.5", dropout)

# %% [markdown]
# ## Do they cure it?
#
# We take the network with 16 layers that was bad above and try each cure alone. What counts is the **training** loss: that is where it is ill.


# %%
def cured(change=None, after_backward=None, weight_decay=0.0):
    """The last training loss of 16 plain layers with one cure."""
    mr.seed(0)
    net = small.network(16)
    if change:
        change(net)
    if weight_decay:
        before = after_backward

        def after_backward(net):
            for p in net.parameters():
                p.grad += weight_decay * p.data
            if before:
                before(net)

    return float(np.mean(small.train(net, after_backward=after_backward)[-20:]))


def he(net):
    """He initialisation for every dense layer."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            module.weight.data[...] = rng.standard_normal(module.weight.shape) * np.sqrt(
                2 / module.weight.shape[0]
            )


# %%
def with_dropout(net):
    """Dropout of a tenth behind every block's first normalisation."""
    for module in net.modules():
        if isinstance(module, small.Block):
            module.norm1 = nn.Sequential(module.norm1, nn.Dropout(0.1))


results = {
    "4 layers": ends["4 layers"],
    "16 layers": ends["16 layers"],
    "with He initialisation": cured(he),
    "with clipping at 1": cured(
        after_backward=lambda net: optim.clip_grad_norm(list(net.parameters()), 1.0)
    ),
    "with weight decay": cured(weight_decay=1e-3),
    "with dropout": cured(with_dropout),
}
for name, value in results.items():
    print(f"{name:26}{value:.2f}")

# %% [markdown]
# Read the table from the top. The shallow network is the mark to reach. Not one of the cures brings sixteen layers there. Dropout and weight decay are made
# for another illness, and a network that does not learn its own images gets nothing from them.
#
# ## Is it the gradient that vanishes?
#
# The usual explanation is that gradients vanish on their way to the first layers. We look: the length of the gradient of each layer's weights, in the first
# iteration.


# %%
def gradients(depth, is_normalized):
    """Norms of the gradients of all dense layers' weights, in the first iteration."""
    mr.seed(0)
    net, kept = small.network(depth, is_normalized=is_normalized), []
    x = mr.tensor(rng.standard_normal((100, 192)).astype("float32"))
    F.cross_entropy(net(x), rng.integers(0, 10, 100)).backward()
    for name, p in net.named_parameters():
        if name.endswith("weight") and p.ndim == 2:
            kept.append(float(np.linalg.norm(p.grad)))
    return kept


lengths = {"with batch norm": gradients(32, True), "without": gradients(32, False)}
ratio = {name: values[0] / values[-1] for name, values in lengths.items()}
plots.curves(
    lengths,
    x="layer, from the input on",
    y="norm of its weights' gradient",
    log="y",
    alt=f"First layer to last layer, the gradient's norm is {ratio['with batch norm']:.2g} times as large with batch norm and "
    f"{ratio['without']:.1g} times without.",
)

# %% [markdown]
# Without batch norm it does vanish. With batch norm it does not; at initialisation it even grows on its way back. The authors looked, too, and wrote that neither forward nor backward signals vanish. So the
# degradation of the normalised networks has another reason. Perhaps it is hard for a stack of layers with ReLU to become the identity. If that is so, there is a
# simple way out. It is lesson 8.
#
# ## Break it yourself
#
# In `he`, exchange the 2 for 0.02. **Predict**: does the network with batch norm notice? And the one without? Then run. (`small.network(16, is_normalized=False)` is
# the one without.)


# %%
def scaled(variance, is_normalized):
    """The last training loss of 8 layers whose weights have the variance `variance / n`."""
    mr.seed(0)
    net = small.network(8, is_normalized=is_normalized)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            w = module.weight.data
            w[...] = np.random.default_rng(0).standard_normal(w.shape) * np.sqrt(variance / len(w))
    return float(np.mean(small.train(net, epochs=3)[-20:]))


for is_normalized in (True, False):
    pair = [scaled(variance, is_normalized) for variance in (2, 0.02)]
    print(f"batch norm: {is_normalized!s:6} variance 2/n: {pair[0]:.2f}   0.02/n: {pair[1]:.2f}")

# %% [markdown]
# A normalised layer does not care for the size of its weights: the normalisation divides it out. So batch norm hides a bad initialisation, in forward. Without it
# the network stays at the loss of guessing, 2.30.
#
# ## What to take along
#
# - More training error with more layers is degradation, not overfitting.
# - He initialisation keeps the signal's size; batch norm restores it at every layer.
# - Clipping cures exploding steps, dropout and weight decay cure overfitting. None of them cures degradation.
# - With batch norm the gradient does not vanish, and deep plain networks are still worse.
#
# Next: [8. Residual learning](08_residual.ipynb).
