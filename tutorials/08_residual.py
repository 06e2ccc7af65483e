# %% [markdown]
# # 8. Residual learning: one addition, and depth pays
#
# **You will be able to** write a residual block's forward and backward; say what the addition does to the gradient; tell the
# shortcuts A, B and C apart; recognise a block that is wired wrongly.
#
# *Reading and exercises: 60 minutes. The page runs in 25 seconds on two cores. You need [lesson 7](07_degradation.ipynb).*
#
# **A question first.** A block of two layers shall hand its input on unchanged. Its result is $H(x)$. What must the weights be, so that
# $H(x) = x$? Then: we add the input to the result, $H(x) = F(x) + x$. What must the weights of $F$ be now? Which of the two is easier to find?

# %%
import numpy as np

import minires as mr
from minires import functional as F
from minires import models, nn, plots
from minires.data import load_shapes
from minires.models.blocks import BasicBlock
from minires.models.cifar import CifarResNet
from minires.tutorials import check, recorded, small

small.on_numpy()
rng = np.random.default_rng(0)

# %% [markdown]
# ## The idea
#
# He et al. (2015): let the layers learn what has to be **added** to the input, $F(x) = H(x) - x$, the *residual*. If nothing has to be done, all
# weights of $F$ go to zero, and zero is what weights tend to anyway. A block is
#
# $$y = \mathrm{ReLU}\big(F(x) + x\big), \qquad F = \text{conv, batch norm, ReLU, conv, batch norm.}$$
#
# The addition has no weights and costs almost nothing. Here is what it does to the small problem of lesson 7. Same depths, same seeds, same rates; one `+ x` more.


# %%
def last_loss(depth, is_residual):
    """The training loss at the end, on the small problem."""
    mr.seed(0)
    return float(np.mean(small.train(small.network(depth, is_residual))[-20:]))


depths = (4, 8, 16)
plain = [last_loss(depth, False) for depth in depths]
residual = [last_loss(depth, True) for depth in depths]
plots.curves(
    {"plain": (depths, plain), "residual": (depths, residual)},
    x="layers",
    y="training loss at the end",
    marks="o",
    alt=f"With 16 layers the plain network's training loss is {plain[-1]:.2f}, the residual one's {residual[-1]:.2f}; with 4 layers "
    f"they are {plain[0]:.2f} and {residual[0]:.2f}.",
)

# %% [markdown]
# And on CIFAR-10, as in the paper's figure 6:

# %%
rows = {row["model"]: row for row in recorded("shortened/figure6")["rows"]}
plots.curves(
    {
        name: (rows[m]["curve"]["step"], rows[m]["curve"]["train_error"])
        for name, m in (
            ("plain-20", "plain20"),
            ("plain-56", "plain56"),
            ("ResNet-20", "resnet20"),
            ("ResNet-56", "resnet56"),
        )
    },
    x="iteration",
    y="error on the training images (%)",
    alt=f"From 20 to 56 layers the plain training error grows from {rows['plain20']['train_error']:.1f} to "
    f"{rows['plain56']['train_error']:.1f} %; the ResNets' falls from {rows['resnet20']['train_error']:.1f} to "
    f"{rows['resnet56']['train_error']:.1f} %.",
)

# %% [markdown]
# ## Backward through an addition
#
# $x$ is used twice: in $F$ and in the sum. Lesson 1: paths add up. With $du$, the gradient behind the ReLU:
#
# $$dx = \underbrace{du}_{\text{shortcut}} + \underbrace{J_F^T\, du}_{\text{through } F}$$
#
# The first term is the point. Whatever $F$ does, whatever its weights are, the gradient of the block's result reaches the block's input
# **unchanged**, in addition to what comes through F. In a stack of blocks it goes from the loss to the first layer over additions only.
#
# **Exercise 8.1** (●●○, 10 minutes). The block is `y = relu(x @ w + x)` with x (N, C) and w (C, C). Write its backward: dx and dw.
#
# <details><summary>Hint</summary>
#
# First through the ReLU: `du = dy * (x @ w + x > 0)`. Then the two paths.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def block_backward(dy, x, w):
#     du = dy * (x @ w + x > 0)
#     return du + du @ w.T, x.T @ du
# ```
# </details>


# %%
def block_backward(dy, x, w):
    return None  # write it here


check("8.1", block_backward)

# %% [markdown]
# The recorded graph of a real block shows both ways. The arrow that leaves the addition to the right, past all the others, is the shortcut.


# %%
class ByHand(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + x)


mr.seed(0)
block = ByHand(4)
x = mr.tensor(rng.standard_normal((2, 6, 6, 4)).astype("float32"), requires_grad=True)
y = block(F.relu(x))
plots.show((y * y).mean(), block)

# %% [markdown]
# Look at the gradients of the two convolutions' biases, too: they are zero but for rounding. A batch norm behind a convolution subtracts the
# mean, and the bias with it. That is why the paper's convolutions have none.
#
# The block in the engine is the same, with two things more: where the backend has a kernel for it, the whole block is one operation; and the
# addition and the ReLU are computed in one pass with the second batch norm.

# %%
plots.source(BasicBlock.forward)

# %% [markdown]
# The [graph page](pages/graph.html) walks back through such a block, one record at a time.
#
# ## How gradients change with depth
#
# In which network is the first layer's gradient of the same size as the last one's? We look at real CIFAR networks, at initialisation, without training.


# %%
def initialized(name):
    """A network with the gradients of one batch."""
    mr.seed(0)
    net = models.build(name, 10)
    images = mr.tensor(np.random.default_rng(0).standard_normal((8, 16, 16, 3)).astype("float32"))
    F.cross_entropy(net(images), np.arange(8)).backward()
    return net


networks = {name: initialized(name) for name in ("plain20", "plain56", "resnet20", "resnet56")}
first_to_last = {}
for name, net in networks.items():
    norms = [float(np.linalg.norm(p.grad)) for p in net.parameters() if p.ndim == 4]
    first_to_last[name] = norms[0] / norms[-1]
plots.gradient_norms(
    networks,
    alt="The gradient of the first convolution's weights is, to the last one's: "
    + ", ".join(f"{name} {value:.2g} times" for name, value in first_to_last.items())
    + ".",
)

# %% [markdown]
# In plain-56 the gradient grows by orders of magnitude on its way back: one learning rate cannot fit both ends. (With batch norm
# it grows; without, it would vanish.) In the ResNets the curves stay together.
#
# ## What the layers do after training
#
# If blocks really learn small corrections, their responses must be small. The paper's figure 7 looks at the standard deviation of each layer's
# response, before the addition. This is our own run:

# %%
figure7 = recorded("shortened/figure7")
std = {row["model"]: row["std"] for row in figure7["rows"]}
means = {name: float(np.mean(values)) for name, values in std.items()}
plots.layer_responses(
    std,
    alt="The mean standard deviation of the layers' responses is "
    + ", ".join(f"{value:.2f} in {name}" for name, value in means.items())
    + ".",
)

# %% [markdown]
# The residual networks' responses are smaller than those of the plain networks, and the deeper ResNet's are smaller still: the more blocks there are, the less each one
# changes.
#
# ## When shapes change: shortcuts A, B, C
#
# Three times in a CIFAR ResNet the image gets smaller and the channels become more. There x and F(x) have different shapes. **A**: take every second pixel and
# fill the new channels with zeros; no weights. **B**: a 1x1 convolution with batch norm where the shape changes. **C**: such a projection around *every* block.


# %%
def count(shortcut):
    """Parameters of ResNet-20 with this shortcut."""
    return sum(p.size for p in CifarResNet(3, shortcut=shortcut).parameters())


for option in ("none", "A", "B", "C"):
    print(f"{option:5}{count(option):8,} parameters")

# %% [markdown]
# **Exercise 8.2** (●●○, 8 minutes). Option B has two projections in ResNet-20: from 16 to 32 and from 32 to 64 channels. Each is a 1x1 convolution without bias and a batch
# norm. How many parameters do the two have together?
#
# <details><summary>Hint</summary>
#
# 16·32 + 32·64 weights, and each batch norm has gamma and beta per result channel.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
# ```
# </details>

# %%
projections = None

check("8.2", projections)

# %% [markdown]
# **Exercise 8.3** (●●○, 10 minutes). Write option A for any stride and number of channels: x (N, H, W, C) in; every `stride`-th pixel, and zeros for the new channels, half of
# them in front and half behind.
#
# <details><summary>Hint</summary>
#
# `x[:, ::stride, ::stride]`, then `np.pad` of the last axis. With K − C new channels, (K − C) // 2 stand in front.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def shortcut_a(x, stride, channels):
#     new = channels - x.shape[3]
#     low = new // 2
#     return np.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (low, new - low)))
# ```
# </details>


# %%
def shortcut_a(x, stride, channels):
    return None  # write it here


check("8.3", shortcut_a)

# %% [markdown]
# ## The loss around the weights
#
# A picture helps to see why training gets easier. We walk away from the initial weights along two random directions and look how the loss changes (Li et al. 2018). Where the
# lines are smooth and wide, steps can be large.

# %%
data, _ = load_shapes()
images, labels = mr.tensor(small.reduced(data.images[:200])), data.labels[:200]
pair = {}
for name, is_residual in (("plain, 16 layers", False), ("residual, 16 layers", True)):
    mr.seed(0)
    pair[name] = small.network(16, is_residual)
    small.train(pair[name], epochs=2)
loss_at = {name: F.cross_entropy(net(images), labels).item() for name, net in pair.items()}
plots.loss_surface(
    pair,
    lambda net: F.cross_entropy(net(images), labels).item(),
    alt="Contour lines of the loss around the weights after two epochs; at the weights themselves it is "
    + ", ".join(f"{value:.2f} ({name})" for name, value in loss_at.items())
    + ".",
    points=9,
)

# %% [markdown]
# ## Bug hunt
#
# Four ways to wire the block. Only one of them is the paper's. All of them run, and all of them learn *something*.


# %%
class Wired(small.Block):
    """A residual block with its parts in another order."""

    kind = ""

    def forward(self, x):
        h = F.relu(self.norm1(self.first(x)))
        h = self.norm2(self.last(h))
        if self.kind == "relu before the addition":
            return F.relu(h) + x
        if self.kind == "cut shortcut":
            return F.relu(h + mr.tensor(x.data))  # no gradient through the shortcut
        return F.relu(h + x)


found = {"as in the paper": residual[2], "addition forgotten": plain[2]}
for kind in ("relu before the addition", "cut shortcut"):
    Wired.kind = kind
    mr.seed(0)
    blocks = [Wired(True) for _ in range(7)]
    net = nn.Sequential(nn.Linear(192, 64), nn.ReLU(), *blocks, nn.Linear(64, 10))
    found[kind] = float(np.mean(small.train(net)[-20:]))
for kind, value in found.items():
    print(f"{kind:28}{value:.2f}")

# %% [markdown]
# With the ReLU before the addition a block can only *add* positive numbers: the signal grows from block to block. It learns all the same, in this small network even well; the
# original authors compared such orders in a second paper (He et al. 2016, "Identity Mappings"). With the cut shortcut forward is right to the digit, and only
# backward is wrong: it trains like a plain network. No look at the outputs can find that. `plots.show` does, and so does this test:
#
# **Exercise 8.4** (●●○, 10 minutes). All weights of F are zero, so F(x) = 0 and y = relu(x). What must dx be? Write it as a function of dy and x.
#
# <details><summary>Hint</summary>
#
# Nothing comes through F: the weights are zero. Only the shortcut is left, behind the ReLU.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def dx_of_zero_block(dy, x):
#     return dy * (x > 0)
# ```
# </details>


# %%
def dx_of_zero_block(dy, x):
    return None  # write it here


check("8.4", dx_of_zero_block)

# %% [markdown]
# ## What to take along
#
# - Learn what to add, not the whole: y = F(x) + x.
# - The addition hands the gradient on unchanged, and a copy goes through F.
# - Gradients keep their size over depth; responses get smaller with more blocks.
# - Option A has no weights; B projects where shapes change; C projects everywhere.
# - Forward alone cannot show a cut shortcut. Test dx with F = 0.
#
# Next: [9. A CIFAR ResNet](09_cifar_resnet.ipynb).
