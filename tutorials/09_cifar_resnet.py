# %% [markdown]
# # 9. A CIFAR ResNet, end to end
#
# **You will be able to** train a ResNet with your own loop; stop a run and resume it to the same bits; evaluate it, and find out what it confuses and why; load
# published weights and check them to the digit.
#
# *Reading and exercises: 60 minutes. The page runs in 25 seconds on two cores; the first time, the compiled kernels take some seconds more. You need
# [lesson 8](08_residual.ipynb).*
#
# If the environment variable `MINIRES_DATA` names a folder with CIFAR-10, or `data/` in the repository holds it, the page uses its first 3,000 images. Else it draws
# *shapes*, ten kinds of figures of the same size, with the same number of classes. The text is true for both.
#
# **A question first.** A network for ten classes has an accuracy of 10 % before training. After one epoch it has 35 %. Which classes do you expect it to confuse: any, or
# certain pairs? How would you find out?

# %%
import os
import tempfile
from pathlib import Path

import numpy as np

import minires as mr
from minires import functional as F
from minires import models, nn, optim, plots
from minires.data import Loader, Normalization, load_cifar10, load_shapes
from minires.data.cifar import find
from minires.interop import load_torch_state_dict
from minires.training import evaluate
from minires.tutorials import check, recorded

folder = os.environ.get("MINIRES_DATA", "../data")
is_cifar = find("cifar10", folder) is not None
train, test = load_cifar10(folder) if is_cifar else load_shapes()
train, test = train.subset(3000), test.subset(1000)
print(
    f"{'CIFAR-10' if is_cifar else 'shapes'}: {len(train)} training images, {len(test)} test images of {train.images.shape[1:]}"
)

# %%
first = [int(np.flatnonzero(train.labels == k)[0]) for k in range(10)]
plots.images(
    train.images[first],
    titles=train.classes,
    columns=5,
    size=1.2,
    alt="One training image of each of the ten classes: " + ", ".join(train.classes) + ".",
)

# %% [markdown]
# ## What goes in
#
# Three things are done to each image. The *per-pixel mean* of the training set is subtracted. In training the image is padded by 4 pixels and a random window of 32 x 32
# is cut out, and half of the images are mirrored. (He et al. 2015, section 4.2.) The test images are only normalised.

# %%
norm = Normalization.make("per-pixel", train.images)
augmented = Loader(train.subset(1), norm, 1, augment=True, seed=0)
views = [next(iter(augmented.batches(epoch)))[0].numpy()[0] for epoch in range(8)]
plots.images(
    views,
    columns=8,
    alt="The same training image eight times, as the network sees it in eight epochs: shifted by some pixels, half of them mirrored.",
)

# %% [markdown]
# **Exercise 9.1** (●●○, 10 minutes). Write the crop: pad `image` (H, W, C) with zeros by `pad` on each side, and cut out the window of the old size whose upper left corner is at
# (top, left); mirror it if `flip`.
#
# <details><summary>Hint</summary>
#
# `np.pad`, two slices, and `[:, ::-1]` for the mirror: left and right, not up and down.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def crop(image, pad, top, left, flip):
#     h, w, _ = image.shape
#     padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
#     window = padded[top : top + h, left : left + w]
#     return window[:, ::-1] if flip else window
# ```
# </details>


# %%
def crop(image, pad, top, left, flip):
    return None  # write it here


check("9.1", crop)

# %% [markdown]
# ## The network
#
# ResNet-(6n+2): a convolution, three stages of n blocks, the mean over all pixels, a linear layer. For this page n = 1: ResNet-8.

# %%
plots.source(models.CifarResNet.__init__, start="self.conv1 = ", lines=6)

# %% [markdown]
# **Exercise 9.2** (●○○, 5 minutes). How many layers with weights does the network with n = 9 have, and what does the paper call it?
#
# <details><summary>Hint</summary>
#
# One convolution, 3 stages · n blocks · 2 convolutions, one linear layer.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# layers = 56
# ```
# </details>

# %%
layers = None

check("9.2", layers)

# %% [markdown]
# ## The loop
#
# You know every line of it. The rate falls along a cosine; the paper's recipe has steps, and 64,000 iterations instead of our few hundred.

# %%
EPOCHS = 5
loader = Loader(train, norm, batch_size=64, shuffle=True, augment=True, seed=0)
schedule = optim.cosine(0.1, EPOCHS * len(loader))


def run_epoch(net, sgd, epoch):
    """Train for one epoch -> mean loss."""
    losses = []
    for i, (x, labels) in enumerate(loader.batches(epoch)):
        sgd.lr = schedule(epoch * len(loader) + i)
        loss = F.cross_entropy(net(x), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return float(np.mean(losses))


# %%
def begin():
    """A new network and its optimizer."""
    mr.seed(0)
    net = models.resnet8()
    return net, optim.SGD(net, lr=0.1, momentum=0.9, weight_decay=1e-4)


net, sgd = begin()
history = [evaluate(net, test, norm)]
for epoch in range(EPOCHS):
    loss = run_epoch(net, sgd, epoch)
    history.append(evaluate(net, test, norm))
    print(
        f"epoch {epoch + 1}: training loss {loss:.3f}, test accuracy {100 * history[-1][1]:.1f} %"
    )
    if epoch == 1:
        kept = Path(tempfile.mkdtemp()) / "after2.safetensors"
        mr.save(kept, {"net": net.state_dict(), "sgd": sgd.state_dict()})
plots.curves(
    {"": [100 * accuracy for _, accuracy in history]},
    x="epoch",
    y="test accuracy (%)",
    marks="o",
    alt=f"The test accuracy rises from {100 * history[0][1]:.0f} % before training to {100 * history[-1][1]:.0f} % after {EPOCHS} epochs.",
)

# %% [markdown]
# ## Stop and resume
#
# After the second epoch the loop has written a file with the weights, the batch norms' running statistics and the optimizer's velocities. What if the machine had
# been switched off there? We make a new network, load the file, train the three epochs that are missing, and compare with the network that was never stopped.

# %%
saved = mr.load(kept)
again, again_sgd = begin()
again.load_state_dict({k.removeprefix("net."): v for k, v in saved.items() if k.startswith("net.")})
state = {k.removeprefix("sgd."): v for k, v in saved.items() if k.startswith("sgd.")}
again_sgd.load_state_dict(state)
for epoch in range(2, EPOCHS):
    run_epoch(again, again_sgd, epoch)
pairs = zip(net.state_dict().values(), again.state_dict().values(), strict=True)
print("the same bits everywhere:", all(np.array_equal(a, b) for a, b in pairs))

# %% [markdown]
# The same **bits**, not just similar numbers. Three things make that possible. The order of the images and the augmentation are functions of seed and epoch, not of
# what happened before. The rate is a function of the iteration. And the file holds the *velocities*: without them momentum would start from zero.
#
# The command line does all of this: `minires train --out runs/first` can be stopped with Ctrl-C, and `--resume` goes on from its checkpoint.
#
# **Exercise 9.3** (●○○, 5 minutes). Which of these must a checkpoint hold for the same bits? Answer with letters in one string. A: weights. B: running statistics. C: velocities.
# D: the gradients of the last step. E: how many iterations were done.
#
# <details><summary>Hint</summary>
#
# The next step computes its gradients anew.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# needed = "ABCE"
# ```
# </details>

# %%
needed = None

check("9.3", needed)

# %% [markdown]
# ## What does it confuse?
#
# Accuracy is one number. The confusion matrix says which class was taken for which.

# %%
with nn.evaluating(net), mr.no_grad():
    logits = np.concatenate([net(x).numpy() for x, _ in Loader(test, norm, 250)])
predicted = logits.argmax(1)
matrix = np.zeros((10, 10), int)
np.add.at(matrix, (test.labels, predicted), 1)
off = matrix - np.diag(np.diag(matrix))
true, taken = (int(i) for i in np.unravel_index(off.argmax(), off.shape))
plots.confusion_matrix(
    test.labels,
    predicted,
    names=test.classes,
    alt=f"The commonest confusion is {test.classes[true]} taken for {test.classes[taken]}, {off[true, taken]} times; the accuracy is "
    f"{100 * np.mean(predicted == test.labels):.1f} %.",
)

# %% [markdown]
# Confusions come in pairs that look alike. Below are the mistakes that the network was *surest* of. Look at them before you blame the network.
#
# **Exercise 9.4** (●●○, 10 minutes). Write it: from logits (N, K) and labels, the indices of the `count` wrong predictions with the largest probability, surest first.
#
# <details><summary>Hint</summary>
#
# Softmax: subtract each row's maximum before `exp`. Set the confidence of right predictions to −1, then `argsort`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def surest_mistakes(logits, labels, count):
#     p = np.exp(logits - logits.max(1, keepdims=True))
#     p /= p.sum(1, keepdims=True)
#     sure = np.where(p.argmax(1) == labels, -1, p.max(1))
#     return np.argsort(-sure)[:count]
# ```
# </details>


# %%
def surest_mistakes(logits, labels, count):
    return None  # write it here


check("9.4", surest_mistakes)

# %%
p = F.softmax(mr.tensor(logits), axis=1).numpy()
sure = np.where(predicted == test.labels, -1, p.max(1))
worst = np.argsort(-sure)[:10]
plots.images(
    test.images[worst],
    titles=[f"{test.classes[test.labels[i]]}\n{test.classes[predicted[i]]}?" for i in worst],
    columns=5,
    size=1.2,
    alt="The ten test images that the network got wrong with the greatest confidence, each with its true class above the predicted one.",
)

# %% [markdown]
# ## A look inside
#
# The first convolution has 16 filters of 3 x 3 pixels in three colours. Behind the first stage an image has become 16 maps: each shows where its pattern was found.

# %%
plots.filters(
    net.conv1.weight,
    alt="The 16 filters of the first convolution as small coloured images; some are edges of light and dark, some react to a colour.",
)

# %%
with nn.evaluating(net), mr.no_grad():
    x, _ = next(iter(Loader(test.subset(1), norm, 1)))
    maps = net.layer1(F.relu(net.bn1(net.conv1(x))))
plots.feature_maps(
    maps,
    alt="The first test image as 16 maps behind the first stage: some show its outline, some its background.",
)

# %% [markdown]
# ## The published weights
#
# A network that computes the same function as somebody else's must get the same numbers from the same weights. Trained weights of a ResNet-20 for CIFAR-10 (akamaster,
# PyTorch) have a test accuracy of 91.73 % in PyTorch. If the whole CIFAR-10 and the file are at hand (`MINIRES_WEIGHTS` names the file), the next cell loads them. Not one
# weight was trained by minires: padding, strides, batch norm, shortcut, layout of the arrays, all of it must be right for this number to come out.

# %%
weights = os.environ.get("MINIRES_WEIGHTS", "")
if is_cifar and Path(weights).is_file():
    published = models.resnet20()
    published.load_state_dict(load_torch_state_dict(weights))
    _, whole = load_cifar10(folder)
    _, accuracy = evaluate(published, whole, Normalization.make("imagenet", None))
    print(f"published ResNet-20: {100 * accuracy:.2f} % of {len(whole):,} test images")
else:
    print("The published weights or CIFAR-10 are not at hand here.")

# %% [markdown]
# ## The paper's number
#
# The whole recipe, 64,000 iterations, trained by minires itself, is recorded in the repository:

# %%
table = recorded("full/table6")
for row in table["rows"]:
    ours, paper = row["error"], row["paper"]
    print(f"{row['model']}: {ours:.2f} % test error after the last epoch; the paper: {paper:.2f} %")
print(f"trained on {table['date']}, {table['machine']}")

# %% [markdown]
# **Exercise 9.5** (●●○, 5 minutes). One run of ResNet-20 has 8.31 % error on 10,000 test images. How large is the standard error of this figure from the choice of test images
# alone, in percentage points? ($\sqrt{p(1-p)/N}$.)
#
# <details><summary>Hint</summary>
#
# p = 0.0831, N = 10,000; times 100 for percentage points.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# standard_error = 100 * (0.0831 * (1 - 0.0831) / 10_000) ** 0.5
# ```
# </details>

# %%
standard_error = None

check("9.5", standard_error)

# %% [markdown]
# So a difference of 0.2 points between two networks means little after one run. Papers report means over seeds for this reason.
#
# ## Break it yourself
#
# Evaluate the network without `nn.evaluating`: batch norm then uses the statistics of each test batch. **Predict** what the accuracy will be with batches of 256, and with batches of
# one image. Then run.


# %%
def careless(batch_size, count=256):
    """Accuracy in training mode: the mistake."""
    net.train()
    right = 0
    with mr.no_grad():
        for x, labels in Loader(test.subset(count), norm, batch_size):
            right += int((net(x).numpy().argmax(1) == labels).sum())
    return 100 * right / count


kept_state = {k: v.copy() for k, v in net.state_dict().items()}
_, proper = evaluate(net, test.subset(256), norm)
print(
    f"evaluation mode {100 * proper:.1f} %, training mode: {careless(256):.1f} % in batches of 256, {careless(2):.1f} % in batches of 2"
)
net.load_state_dict(kept_state)  # training mode has moved the running statistics

# %% [markdown]
# With large batches the mistake hides: a batch of 256 test images has nearly the statistics of the training set. With batches of two the predictions break down. And the evaluation has
# *changed* the network, since training mode moves the running statistics. Always look whether the accuracy depends on the batch size. It must not.
#
# ## What to take along
#
# - Training is a loop of five lines. What makes it reproducible is around it: seeds, functions of the iteration, complete checkpoints.
# - Accuracy is the beginning of a question. The confusion matrix and the surest mistakes are the next ones.
# - Published weights are the strictest test of a network.
# - One run has an error bar.
#
# Next: [10. Threads and blocks](10_threads_and_blocks.ipynb).
