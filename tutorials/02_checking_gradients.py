# %% [markdown]
# # 2. Checking gradients: what a check sees, and what it cannot see
#
# **You will be able to** check any backward by numbers; choose the step, the dtype and the cotangent so
# that the check means something; say which mistakes a given check lets pass.
#
# *Reading and exercises: 50 minutes. The page runs in 5 seconds on two cores. You need
# [lesson 1](01_chain_rule.ipynb).*
#
# **A question first.** A friend has written the backward of a new layer. The network trains, the loss
# falls, the accuracy is good. Does that show that the backward is right? Write down yes or no, and why.

# %%
import numpy as np

import minires as mr
from minires import functional as F
from minires import plots, suspects
from minires.function import Function
from minires.gradcheck import gradcheck
from minires.suspects import GradcheckError
from minires.tutorials import check

# %% [markdown]
# ## Two ways to a slope
#
# The definition of a derivative gives the first way: go a step $h$ ahead and divide,
# $\frac{f(x+h)-f(x)}{h}$. The second way goes a step to both sides: $\frac{f(x+h)-f(x-h)}{2h}$. Taylor's
# series says how large their errors are:
#
# $$\frac{f(x+h)-f(x)}{h} = f'(x) + \frac{h}{2} f''(x) + \dots \qquad
# \frac{f(x+h)-f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots$$
#
# In the central difference the term with $f''$ cancels. So a smaller $h$ is better? Let us look.


# %%
def errors(dtype, central):
    """The relative error of a numerical slope of exp at 1, for many steps."""
    x, steps = dtype(1), 10.0 ** np.arange(-15, 0)
    found = []
    for h in steps.astype(dtype):
        low = x - h if central else x
        found.append((np.exp(x + h) - np.exp(low)) / ((x + h) - low or dtype(np.nan)))
    return steps, np.abs(np.array(found, np.float64) / np.exp(1.0) - 1)


lines = {
    "one-sided, float64": errors(np.float64, False),
    "central, float64": errors(np.float64, True),
    "central, float32": errors(np.float32, True),
}
best = {name: np.nanmin(error[error > 0]) for name, (_, error) in lines.items()}
plots.curves(
    lines,
    x="step h",
    y="relative error of the slope",
    log="xy",
    alt=f"Each error first falls and then grows as the step gets smaller. The best central difference "
    f"is wrong by {best['central, float64']:.0e} in float64, by {best['central, float32']:.0e} in float32.",
)

# %% [markdown]
# Read the picture from the right. A large step has a large Taylor error: it falls with the slope 1 for the
# one-sided difference and with the slope 2 for the central one. Then every curve turns. To the left the
# *rounding* rules: $f(x+h)$ and $f(x-h)$ agree in almost all digits, and the difference keeps only the
# last ones, divided by a tiny $h$.
#
# Three rules follow. Use **central** differences. Use **float64**: in float32 the best that you can get is
# so inexact that a small mistake hides in it. And take $h$ near the minimum, about $10^{-5}$ or $10^{-6}$ times the size
# of $x$.
#
# **Exercise 2.1** (●○○, 3 minutes). You halve the step of a central difference, far to the right of
# the minimum. By which factor does its error shrink?
#
# <details><summary>Hint</summary>
#
# The error is $h^2 f'''/6$. Put $h/2$ in the place of $h$.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# factor = 4
# ```
# </details>

# %%
factor = None

check("2.1", factor)

# %% [markdown]
# ## From a slope to a gradient
#
# A layer has an array as its result, not a number. To get a number, weigh the result with an array $u$ of
# its shape and add up: $L = \sum u \cdot f(x)$. The gradient of $L$ with respect to the result is then $u$
# itself. So `backward(u)` must give the gradient of $L$ with respect to $x$, and differences of $L$ give the
# same by numbers. We call $u$ the **cotangent**; in backward it is the `dy` that arrives.
#
# **Exercise 2.2** (●●○, 10 minutes). Write it: for each entry of x, a central difference of $L$. `f` takes an
# array and returns an array. Do not change the x that you get.
#
# <details><summary>Hint</summary>
#
# Copy x. Go through the indices with `np.ndindex(x.shape)`. Set the entry to `+h`, look at L, to `-h`, look
# at L, and set it back.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def numerical_gradient(f, x, u, h=1e-6):
#     x = x.copy()
#     dx = np.empty_like(x)
#     for i in np.ndindex(x.shape):
#         before = x[i]
#         x[i] = before + h
#         up = (u * f(x)).sum()
#         x[i] = before - h
#         down = (u * f(x)).sum()
#         x[i] = before
#         dx[i] = (up - down) / (2 * h)
#     return dx
# ```
# </details>


# %%
def numerical_gradient(f, x, u, h=1e-6):
    return None  # write it here


check("2.2", numerical_gradient)

# %% [markdown]
# Below, this page uses its own version, so that it runs before you have solved the exercise.


# %%
def by_differences(f, x, u, h=1e-6):
    """The gradient of sum(u * f(x)) by central differences."""
    dx = np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        dx[i] = (u * (f(x + step) - f(x - step))).sum() / (2 * h)
    return dx


rng = np.random.default_rng(0)
x = rng.standard_normal((4, 3))
u = rng.standard_normal((4, 3))
t = mr.tensor(x, requires_grad=True)
F.sigmoid(t).backward(u)
float(np.abs(t.grad - by_differences(lambda x: 1 / (1 + np.exp(-x)), x, u)).max())

# %% [markdown]
# ## What a sum as loss hides
#
# Most people take the shortest way to a number: `y.sum().backward()`. That is the cotangent $u = 1$. Here is
# a normalisation, and two backwards: the right one, and one in which somebody took the standard deviation
# for a constant. (Lesson 5 derives it; here only the numbers matter.)


# %%
def normalize(x):
    """Each column gets mean 0 and standard deviation 1."""
    return (x - x.mean(0)) / x.std(0)


def right(dy, x):
    y = normalize(x)
    return (dy - dy.mean(0) - y * (dy * y).mean(0)) / x.std(0)


def wrong(dy, x):
    return (dy - dy.mean(0)) / x.std(0)  # as if x.std(0) did not depend on x


def largest_difference(backward, u):
    """How far a backward is from the numbers."""
    return float(np.abs(backward(u, x) - by_differences(normalize, x, u)).max())


ones = np.ones_like(x)
for name, backward in (("right", right), ("wrong", wrong)):
    print(f"{name}: u = 1: {largest_difference(backward, ones):.1e}", end="   ")
    print(f"u random: {largest_difference(backward, u):.1e}")

# %% [markdown]
# With $u = 1$ the wrong backward passes with full marks. The reason is that the sum of a normalised column is 0
# whatever $x$ is, so its gradient is 0, and the wrong formula gives 0, too. Nothing was checked. With a random
# cotangent the same mistake is seen at once.
#
# **A check must be able to fail.** Before you believe a check, plant a mistake and look whether it is found.
#
# **Exercise 2.3** (●●○, 10 minutes). Which of these functions has a gradient of **zero** if the loss is a plain
# sum over its result, so that such a check sees nothing? Answer with the letters in one string, such as
# `"AB"`. A: softmax over the last axis. B: ReLU. C: $x - \bar x$ (minus the mean). D: $x^2$. E: layer norm
# without scale and shift.
#
# <details><summary>Hint</summary>
#
# Ask for each: can the sum of the result change at all? Probabilities add up to 1.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# blind = "ACE"
# ```
# </details>

# %%
blind = None

check("2.3", blind)

# %% [markdown]
# ## Kinks
#
# ReLU has a kink at 0, max pooling has one wherever two entries are equal. There the slope to the left and the
# slope to the right differ, and the central difference gives their mean, which is no gradient of anything. A
# check at a kink fails for a right backward. So inputs must be kept away from kinks. minires notices a kink by
# its two one-sided slopes and says so:

# %%
try:
    gradcheck(F.relu, [np.array([1.0, -2.0, 0.0])])
except GradcheckError as error:
    print(error)

# %% [markdown]
# ## Large inputs: along a direction
#
# The check of every entry calls `f` twice per entry. For an image of 32 x 32 x 16 numbers these are 32,768 calls. There
# is a cheaper question: go from $x$ along a random direction $v$. The slope along $v$ is
# $\sum_i \frac{\partial L}{\partial x_i} v_i$, one number, and takes two calls. If a backward is wrong, the two numbers
# differ, except by chance. (It does not tell *which* entry is wrong.)
#
# **Exercise 2.4** (●●○, 10 minutes). Write the numerical slope along $v$, and the slope that a gradient
# claims. Return both.
#
# <details><summary>Hint</summary>
#
# One central difference with the step `h * v`. The other one is a sum of products.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def slopes_along(f, x, u, dx, v, h=1e-6):
#     up = (u * f(x + h * v)).sum()
#     down = (u * f(x - h * v)).sum()
#     return (up - down) / (2 * h), (dx * v).sum()
# ```
# </details>


# %%
def slopes_along(f, x, u, dx, v, h=1e-6):
    return None  # write it here


check("2.4", slopes_along)

# %% [markdown]
# ## The engine's check
#
# `minires.gradcheck` does all of this: float64, central differences, a random cotangent, every entry or
# directions, kinks. And when it fails, it tries what would explain the numbers. Here is a linear layer with a
# mistake that is made often.


# %%
class Scale(Function):
    """y = x * s, s of shape (C,) used for every row."""

    def forward(self, x, s):
        self.saved = (x, s)
        return x * s

    def backward(self, dy):
        x, s = self.saved
        return dy * s, (dy * x).mean(0)  # the bug


try:
    gradcheck(Scale, [rng.standard_normal((5, 3)), rng.standard_normal(3)])
except GradcheckError as error:
    print(error)

# %% [markdown]
# The last lines are the useful ones. Nothing was guessed from the code: gradcheck multiplies, transposes, flips
# and adds terms until one hypothesis explains *all* entries. This is its list:

# %%
plots.source(suspects, start="    the output's gradient", lines=6)

# %% [markdown]
# ## Which entries does a check see?
#
# Some courses check one random entry of each input, with a tolerance of one in a hundred. How often does such a check
# let a wrong backward pass? We plant a mistake that touches one row of a matrix of 8 rows, as an off-by-one at a
# border does, and draw many entries.

# %%
true = rng.standard_normal((8, 8))
planted = true.copy()
planted[-1] *= 1.5  # the last row is wrong

counts = np.arange(1, 65)
seen = []
for n in counts:
    draws = [rng.choice(64, n, replace=False) for _ in range(300)]
    seen.append(
        100 * np.mean([not np.allclose(true.flat[d], planted.flat[d], rtol=1e-2) for d in draws])
    )
plots.curves(
    {"": (counts, seen)},
    x="entries that are checked (of 64)",
    y="how often the mistake is found (%)",
    alt=f"With one entry the mistake is found in {seen[0]:.0f} % of the trials; with 20 entries in "
    f"{seen[19]:.0f} %; with all 64 always.",
)

# %% [markdown]
# One entry finds this mistake in about one of eight trials. That is the share of wrong entries. Border mistakes
# of a convolution touch a few pixels in a thousand. So check every entry of a **small** input, and choose its shape so
# that all borders are there: odd sizes, a stride with a remainder, a batch of one, height unlike width.
#
# **Exercise 2.5** (●○○, 5 minutes). A convolution's backward is wrong only in the last row of dx, if the stride
# does not divide the height evenly. You check an image of height 8 with a 2x2 kernel and stride 2. How many rows of dx are wrong?
#
# <details><summary>Hint</summary>
#
# The windows begin at rows 0, 2, 4, 6, and the last one ends at row 7. Is there a remainder?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# wrong_rows = 0  # the check cannot see the mistake; height 7 or 9 would show it
# ```
# </details>

# %%
wrong_rows = None

check("2.5", wrong_rows)

# %% [markdown]
# ## Break it yourself
#
# Below stands a ReLU with a planted mistake. **Predict** which of the three checks finds it. Then run. Then change the
# mistake (`dy * x`, `dy * (x < 0)`, `np.abs(dy)`), predict again, and run again.


# %%
class Broken(Function):
    def forward(self, x):
        self.saved = (x,)
        return np.maximum(x, 0)

    def backward(self, dy):
        (x,) = self.saved
        return (np.ones_like(dy) * (x > 0),)  # dy is left out


def finds(cotangent):
    """Whether a check with this cotangent finds the mistake."""
    x = mr.tensor(rng.standard_normal((4, 4)), requires_grad=True)
    Broken()(x).backward(cotangent)
    expected = by_differences(lambda x: np.maximum(x, 0), x.data, cotangent)
    return not np.allclose(x.grad, expected, rtol=1e-5)


print("a plain sum finds it:     ", finds(np.ones((4, 4))))
print("a random cotangent finds it:", finds(rng.standard_normal((4, 4))))
try:
    print("gradcheck:", gradcheck(Broken, [rng.standard_normal((4, 4))]))
except GradcheckError as error:
    print(error)

# %% [markdown]
# And the friend of the first question? A network can learn with a wrong backward: a direction that is only roughly
# downhill still goes down. The loss shows that something is learned, not that the gradient is right. Lesson 5 has a
# batch norm that trains with a wrong backward, a bit worse, and nobody notices.
#
# ## What to take along
#
# - Central differences, float64, a step of about $10^{-6}$.
# - A random cotangent. A plain sum checks nothing where the sum cannot change.
# - Every entry of a small input with odd sizes; directions for large ones.
# - Keep away from kinks and ties.
# - Plant a mistake: a check that cannot fail is no check.
