# %% [markdown]
# # 1. Tensors and the graph: from the chain rule to `backward()`
#
# **You will be able to** compute a gradient by hand, by a program of 25 lines, and with minires;
# say what a graph records; find the place where a graph was cut.
#
# *Reading and exercises: 45 minutes. The page runs in 5 seconds on two cores. You need derivatives
# of one variable and Python. Nothing is downloaded.*
#
# **A question first.** A network has a million weights. You want to know, for each weight, how much
# the loss changes if you change that weight a little. One way: change it, run the network, look.
# That takes a million runs. `backward()` takes about as long as *two* runs, for all weights. Where
# does the information come from? Write down a guess before you read on.

# %%
import numpy as np

import minires as mr
from minires import functional as F
from minires import nn, plots
from minires.function import Function, leaf_gradients
from minires.tutorials import check

# %% [markdown]
# ## Change it and look
#
# Take a function of three numbers. The slope in direction `a` is what happens to the result per unit
# of change in `a`. We change `a` a little to both sides and divide.


# %%
def f(a, b, c):
    return (a * b + c) * b


def slope(g, values, i, h=1e-6):
    """How much g changes per unit of values[i]: a central difference."""
    up, down = list(values), list(values)
    up[i] += h
    down[i] -= h
    return (g(*up) - g(*down)) / (2 * h)


point = (2.0, 3.0, 4.0)
[round(slope(f, point, i), 6) for i in range(3)]

# %% [markdown]
# Three inputs, six runs of `f`. With a million weights: two million runs. But the inside of `f` is
# known. We can use it.
#
# ## The chain rule, one step at a time
#
# Write `f` as steps that each do one thing:
#
# $$u = a\,b \qquad v = u + c \qquad y = v\,b$$
#
# Now walk back from $y$. At each step we know $\partial y / \partial(\text{result})$ and want
# $\partial y / \partial(\text{inputs})$. Each step needs only its own rule:
#
# $$\frac{\partial y}{\partial v} = b, \qquad
# \frac{\partial y}{\partial u} = \frac{\partial y}{\partial v}\cdot 1, \qquad
# \frac{\partial y}{\partial a} = \frac{\partial y}{\partial u}\cdot b .$$
#
# And $b$? It is used **twice**: in $u$ and in $y$. A change of $b$ reaches $y$ on two paths, and the
# two changes add up:
#
# $$\frac{\partial y}{\partial b} = \underbrace{v}_{\text{from } y = v b} +
# \underbrace{\frac{\partial y}{\partial u}\cdot a}_{\text{from } u = a b} .$$
#
# This sum over paths is the most important line of this page. A residual network is made of values
# that are used twice.

# %%
a, b, c = point
u = a * b
v = u + c
y = v * b

dv = b
du = dv * 1
da = du * b
dc = dv * 1
db = v + du * a
(da, db, dc)

# %% [markdown]
# The same three numbers, from *one* walk forward and *one* walk back. The walk back has as many steps
# as the walk forward, whatever the number of inputs. This answers the question above: the information
# comes from the values $u$ and $v$ that were kept on the way.
#
# ## A program that does it
#
# We let numbers remember where they come from. A `Node` holds a value, the nodes it was made of, and
# for each of these the local slope. `backward` visits every node **after** all nodes that use it:
# only then is its own gradient complete.


# %%
class Node:
    """A number that remembers where it comes from."""

    def __init__(self, value, parents=(), slopes=()):
        self.value, self.parents, self.slopes = value, parents, slopes
        self.grad = 0.0

    def __add__(self, other):
        return Node(self.value + other.value, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Node(self.value * other.value, (self, other), (other.value, self.value))

    def backward(self):
        self.grad = 1.0
        for node in users_first(self):
            for parent, local in zip(node.parents, node.slopes, strict=True):
                parent.grad += node.grad * local  # += : paths add up


# %% [markdown]
# What is the right order? If we go from a node straight to its parents and on (depth first), we may
# pass on a gradient that is still missing a path. So we make a list in which every node stands behind
# all nodes that were made from it: a *topological order*.


# %%
def users_first(output):
    """All nodes that output was made of, each behind all that use it."""
    order, seen = [], set()

    def visit(node):
        if node in seen:
            return
        seen.add(node)
        for parent in node.parents:
            visit(parent)
        order.append(node)  # all its parents are in the list already

    visit(output)
    return order[::-1]


na, nb, nc = (Node(value) for value in point)
f(na, nb, nc).backward()
(na.grad, nb.grad, nc.grad)

# %% [markdown]
# `f` is the *same* function as before. It does not know that it is being differentiated: the operators
# record. That is all of automatic differentiation; the rest of this course is about which operations
# there are, and how fast they can be.
#
# **Exercise 1.1** (●○○, 5 minutes). Give `Node` a ReLU: $\max(0, x)$. Write a function that takes a Node
# and returns a Node. What is its local slope?
#
# <details><summary>Hint</summary>
#
# To the right of 0 the result moves with x, to the left it does not move at all. At 0 itself there is a
# kink; take 0 there.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def relu(x):
#     return Node(max(0.0, x.value), (x,), (1.0 if x.value > 0 else 0.0,))
# ```
# </details>


# %%
def relu(x):
    return None  # write it here


def relu_and_slope(value):
    """The result for a value, and the gradient that arrives at x."""
    x = Node(value)
    y = relu(x)
    if y is None:
        return None
    (y * Node(3.0)).backward()
    return y.value, x.grad


check("1.1", relu_and_slope)

# %% [markdown]
# **Exercise 1.2** (●●○, 10 minutes). Without a computer: $z = x\,x + x$ at $x = 5$. How large is
# $\partial z/\partial x$? Then: what would `Node` give if `backward` had `=` where it has `+=`?
#
# <details><summary>Hint</summary>
#
# x is used three times. With `=` only the path that is visited last counts. Which one is that? `z`
# is `(x*x) + x`, and the sum is visited first.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# right_gradient = 11.0
# with_equals = 5.0  # the sum writes 1, then x*x writes 5, and 5 again
# ```
# </details>

# %%
right_gradient = None
with_equals = None

check("1.2", right_gradient)

# %%
check("1.3", with_equals)

# %% [markdown]
# ## From numbers to arrays
#
# A network of single numbers would be slow: each number costs a Python object. So real engines record
# operations on whole arrays. The rules become rules for arrays. We call the gradient of the result `dy`
# and the gradient of the input `dx`; a gradient always has the shape of its array.
#
# Take $y = x\,w$, a matrix product, with $x$ of shape (N, K) and $w$ of shape (K, M). One entry is
# $y_{nm} = \sum_k x_{nk} w_{km}$. So $x_{nk}$ appears in $y_{n1}, \dots, y_{nM}$, with slopes
# $w_{k1}, \dots, w_{kM}$, and the paths add up:
#
# $$dx_{nk} = \sum_m dy_{nm} w_{km} \quad\Longleftrightarrow\quad dx = dy\,w^T .$$
#
# You do not have to remember where the transpose stands. The shapes tell: (N, M) times (M, K) is the only
# product that gives (N, K).
#
# **Exercise 1.4** (●●○, 10 minutes). Write the gradient for $w$.
#
# <details><summary>Hint</summary>
#
# dw has the shape (K, M). You have x of shape (N, K) and dy of shape (N, M). Which product gives (K, M)?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def matmul_dw(dy, x):
#     return x.T @ dy
# ```
# </details>


# %%
def matmul_dw(dy, x):
    return None  # write it here


check("1.4", matmul_dw)

# %% [markdown]
# A second rule is the one that most people forget. In $y = x + b$ with $x$ of shape (N, M) and $b$ of shape
# (M,), NumPy *broadcasts* b: each $b_m$ is used N times, once in every row. Used N times means N paths, and
# paths add up.
#
# **Exercise 1.5** (●●○, 10 minutes). Write the gradient for $b$ of shape (M,), and for $b$ of shape (N, 1).
#
# <details><summary>Hint</summary>
#
# Sum over the axis along which b was repeated. The result must have b's own shape.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def bias_gradient(dy, b):
#     if b.ndim == 1:
#         return dy.sum(0)
#     return dy.sum(1, keepdims=True)
# ```
# </details>


# %%
def bias_gradient(dy, b):
    return None  # write it here


check("1.5", bias_gradient)

# %% [markdown]
# ## The engine does the same
#
# A minires `Tensor` holds an array. A `Function` is one operation; it is the record that `Node` held.
# `y.grad_fn` is the Function that made y, its `parents` are who made its inputs.

# %%
rng = np.random.default_rng(0)
x = mr.tensor(rng.standard_normal((4, 3)), requires_grad=True)
w = mr.tensor(rng.standard_normal((3, 2)), requires_grad=True)
b = mr.tensor(np.zeros(2), requires_grad=True)

y = F.relu(x @ w + b)
loss = (y * y).sum() + (w * w).sum()  # w is used twice
plots.show(loss)

# %% [markdown]
# Read the picture from the top. Each box is a Function. The arrows are gradients on their way back, each
# with its length $|g|$. Below the name of a Function stand the leaves that it takes: here `x`, `w` and `b`.
# The leaf of shape 3x2 appears twice, since `w` is used twice. Its `.grad` will be the sum of the two.

# %%
loss.backward()
by_hand = x.data.T @ (2 * y.data * (y.data > 0)) + 2 * w.data
float(np.abs(w.grad - by_hand).max())

# %% [markdown]
# And here is the engine's own walk. Compare it with `Node.backward`: `_outputs_first` is our `users_first`,
# `pending` holds the gradients that are not complete yet, and `add` is our `+=`.

# %%
plots.source(leaf_gradients, start="pending = ", lines=22)

# %% [markdown]
# One difference: minires does not write `.grad` on the way, only at the end. If a rule fails in the middle,
# nothing is half-written.
#
# ## An operation of your own
#
# A Function has two methods. `forward` gets arrays and keeps what backward will need. `backward` gets `dy`
# and returns one gradient for each input. That is the whole contract.


# %%
class Square(Function):
    def forward(self, x):
        self.saved = (x,)
        return x * x

    def backward(self, dy):
        (x,) = self.saved
        return (2 * x * dy,)


x = mr.tensor(np.array([1.0, -2.0, 3.0]), requires_grad=True)
Square()(x).sum().backward()
x.grad

# %% [markdown]
# ## Break it yourself: the cut graph
#
# The commonest bug of beginners makes no noise. Somebody needs "just the numbers" in the middle of a
# network, takes `.data` (or calls NumPy) and makes a new Tensor. The result is the same. **Predict** before you
# run the next cell: which parameters get a gradient? Will the loss fall in training?


# %%
class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 5)
        self.last = nn.Linear(5, 2)

    def forward(self, x):
        self.hidden = F.relu(self.first(x))
        return self.last(mr.tensor(self.hidden.data))  # the bug


mr.seed(0)
net = Cut()
inputs = mr.tensor(rng.standard_normal((4, 3)).astype("float32"))
loss = F.cross_entropy(net(inputs), np.array([0, 1, 1, 0]))
plots.show(loss, net)

# %% [markdown]
# The new Tensor knows nothing of where its numbers came from, so the walk ends there. The last layer still
# learns, so the loss still falls, a little. In a convolutional network this is easy to miss: the last layer
# alone, on random features, can be surprisingly good. `plots.show` marks such places. A quick test without a
# picture: after `backward()`, look for parameters whose `grad` is None.

# %%
loss.backward()
[name for name, p in net.named_parameters() if p.grad is None]

# %% [markdown]
# **Exercise 1.6** (●○○, 5 minutes). Mend `Cut.forward` and run the three cells again: nothing is red any
# more. Then tell `check` the number of Functions that the mended graph has.
#
# <details><summary>Hint</summary>
#
# Give `self.hidden` itself to the last layer. Count the boxes of the picture.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# functions = 4  # linear, relu, linear, cross_entropy
# ```
# </details>

# %%
functions = None

check("1.6", functions)

# %% [markdown]
# ## What to take along
#
# - A gradient needs one walk forward that keeps values, and one walk back.
# - Each operation knows only its own rule. The chain rule multiplies along a path.
# - A value that is used several times gets the **sum** over its paths; broadcasting is using several times.
# - The walk visits a result before what it was made of, and only when its gradient is complete.
# - What is not recorded gets no gradient, and nothing warns you by itself.
#
# Next: [2. Checking gradients](02_checking_gradients.ipynb): how do you know that a backward is right?
