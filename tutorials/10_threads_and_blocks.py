# %% [markdown]
# # 10. Threads and blocks: how a GPU is programmed
#
# **You will be able to** write a kernel for a thread of its own; choose a grid and guard its end; share
# numbers within a block by shared memory and barriers; find a race that no result shows.
#
# *Reading and exercises: 60 minutes. The page runs in 15 seconds on two cores. You need Python and
# NumPy. No GPU is needed: Numba's simulator runs the kernels, one thread of Python for each thread.*
#
# **A question first.** To add 1 to a million numbers, let a million threads each add 1 to one number. To
# *sum up* a million numbers, let a million threads each execute `total += x[i]`. The first works. The
# second gives a wrong sum, and another one each time. Why? Write down a guess.

# %%
import random

import numpy as np
from numba import cuda, float32

from minires import plots
from minires.cuda import check as look
from minires.kernels.relu import numba_cuda as relu_kernels
from minires.tutorials import check

# %% [markdown]
# ## A program for one thread
#
# A loop says: do this for i = 0, then for i = 1, and so on. A *kernel* says only what happens for one i.
# Who calls it for which i, and in which order, is not its business. We build such a machine by hand. A
# kernel is a generator here: at each `yield` the machine may stop it and let another thread go on.


# %%
def run(kernel, threads, *arrays, seed=0):
    """Run a kernel in some threads, which take turns in a random order."""
    chance = random.Random(seed)
    alive = [kernel(i, *arrays) for i in range(threads)]
    while alive:
        thread = chance.choice(alive)
        if next(thread, "end") == "end":
            alive.remove(thread)


def add_one(i, x):
    seen = x[i]  # load
    yield
    x[i] = seen + 1  # store


x = np.arange(8.0)
run(add_one, 8, x)
x

# %% [markdown]
# The order was random and the result is right: each thread has an element of its own. This is a *map*. Now
# the sum. `total += x[i]` is a load, an addition and a store, too.


# %%
def add_to_total(i, x, total):
    seen = total[0]
    yield
    total[0] = seen + x[i]


def wrong_sum(seed):
    total = np.zeros(1)
    run(add_to_total, 32, np.ones(32), total, seed=seed)
    return int(total[0])


sums = [wrong_sum(seed) for seed in range(300)]
figure, axes = plots.canvas()
axes.hist(sums, bins=np.arange(0.5, 33.5), color=plots.COLORS[0])
axes.axvline(32, color=plots.COLORS[1])
axes.set(xlabel="sum that comes out (32 is right)", ylabel="runs, of 300")
plots.Picture(
    figure,
    f"The sums of 32 ones in 300 random orders lie between {min(sums)} and {max(sums)}; "
    f"{sums.count(32)} of them are 32.",
)

# %% [markdown]
# Two threads load the same total, both add, both store. The second store overwrites the first, and one
# addition is lost. This is a *race*: two threads use one place, at least one of them writes, and nothing
# says who is first. It answers the question above. Note what the picture says about testing: a program
# with a race has many results, and one run shows one of them.
#
# ## The same in Numba-CUDA
#
# On a GPU threads come in **blocks** of up to 1,024, and the blocks form a **grid**. You choose both sizes at
# the launch. `cuda.threadIdx.x` counts within the block, `cuda.blockIdx.x` counts blocks, and
#
# $$i = \texttt{blockIdx.x} \cdot \texttt{blockDim.x} + \texttt{threadIdx.x}$$
#
# counts through all of them. Numba calls it `cuda.grid(1)`. Below is a kernel for 50 elements. We give it
# to `minires.cuda.check`, called `look` here. That function runs it in Numba's simulator, in a process of its
# own, and watches every access.


# %%
@cuda.jit
def halve(x, y):
    i = cuda.grid(1)
    y[i] = x[i] / 2


x = np.random.default_rng(0).standard_normal(50).astype("f4")
look(halve, grid=4, block=16, args={"x": x, "y": np.zeros(50, "f4")})

# %% [markdown]
# 4 blocks of 16 are 64 threads, and there are 50 elements. A grid has whole blocks only, so some threads
# are too many. On a GPU nobody stops them: they read and write memory that belongs to something else. Each
# kernel needs a **guard**: `if i < x.size`.

# %%
BLOCK, SIZE = 16, 50
figure, axes = plots.canvas(height=1.9)
for i in range(4 * BLOCK):
    color = plots.COLORS[i // BLOCK]
    axes.bar(i, 1, color=color if i < SIZE else "none", edgecolor=color)
axes.set(yticks=[], xlabel="i = cuda.grid(1); a colour is a block, empty: no element")
plots.Picture(
    figure,
    f"{4 * BLOCK} threads in 4 blocks of {BLOCK}; the last {4 * BLOCK - SIZE} have no element.",
)

# %% [markdown]
# How many blocks? As many as are needed, rounded **up**: `(n + block - 1) // block`.
#
# **Exercise 10.1** (●○○, 5 minutes). 1,000 elements, blocks of 128 threads: how many blocks do you launch, and
# how many of their threads have nothing to do?
#
# <details><summary>Hint</summary>
#
# 7 blocks are 896 threads.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# blocks_and_idle = 8, 24  # 8 * 128 = 1024
# ```
# </details>

# %%
blocks_and_idle = None

check("10.1", blocks_and_idle)

# %% [markdown]
# **Exercise 10.2** (●○○, 10 minutes). Write a kernel `scale` that computes $y_i = 2 x_i + 1$, with its guard.
# Replace `None` by a function under `@cuda.jit`. The judge compares two things: the fault that was found, and
# the numbers (zeros if there was a fault). A run in the simulator takes some seconds.
#
# <details><summary>Hint</summary>
#
# It is `halve` with another formula. Only threads whose i is an index of x may touch the arrays.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# @cuda.jit
# def scale(x, y):
#     i = cuda.grid(1)
#     if i < x.size:
#         y[i] = 2 * x[i] + 1
# ```
# </details>


# %%
def outcome(kernel, grid, block, shape, **arrays):
    """What the simulator found, and y."""
    y = np.zeros(shape, "f4")
    report = look(kernel, grid=grid, block=block, args={**arrays, "y": y})
    fault = min((f.kind for f in report.faults), default="no fault")
    return fault, report.arrays["y"] * (fault == "no fault")


scale = None  # write it here


def scaled(x):
    return scale and outcome(scale, 4, 16, 50, x=x)


check("10.2", scaled)

# %% [markdown]
# ## Two dimensions
#
# Images have rows and columns, and so may grids and blocks: `cuda.grid(2)` gives two numbers. The **first** is x,
# and x counts *columns*. This is more than a habit. The hardware executes 32 threads at a time, a
# **warp**, in the same instruction; neighbours in a warp are neighbours in `threadIdx.x`. Neighbouring
# columns lie side by side in memory, so a warp can fetch them together. Lesson 11 counts what that is worth.
#
# **Exercise 10.3** (●●○, 10 minutes). Write a kernel `add_row`: $y_{ij} = x_{ij} + b_j$ for x of shape (5, 9). Blocks
# have 4 x 4 threads; the grid has 3 blocks along x, for the 9 columns, and 2 along y, for the 5 rows.
#
# <details><summary>Hint</summary>
#
# `j, i = cuda.grid(2)`: the first number is the column. Both need a guard.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# @cuda.jit
# def add_row(x, b, y):
#     j, i = cuda.grid(2)
#     if i < x.shape[0] and j < x.shape[1]:
#         y[i, j] = x[i, j] + b[j]
# ```
# </details>

# %%
add_row = None  # write it here


def added(x, b):
    return add_row and outcome(add_row, (3, 2), (4, 4), (5, 9), x=x, b=b)


check("10.3", added)

# %% [markdown]
# ## Threads that share
#
# Back to the sum. The threads of one block can share memory (`cuda.shared.array`), which is small and fast, and
# they can wait for each other: `cuda.syncthreads()` is a **barrier**. No thread goes past it before all threads
# of the block have arrived. Blocks cannot wait for each other.
#
# With both, a block can add 16 numbers in 4 steps instead of 16. In the first step, thread 0 adds the number of
# thread 8 to its own, thread 1 that of thread 9, and so on. Then 4 threads do the same, then 2, then 1.

# %%
figure, axes = plots.canvas(height=3.2)
step, k, busy = 0, 8, []
while k > 0:
    for t in range(16):
        axes.plot(t, -step, "o", color=plots.COLORS[0] if t < 2 * k else "#a0a0a0")
    for t in range(k):
        axes.plot([t + k, t], [-step, -step - 0.9], color=plots.COLORS[1], linewidth=1)
    busy.append(k)
    step, k = step + 1, k // 2
axes.plot(0, -step, "o", color=plots.COLORS[2])
axes.set(xlabel="place in shared memory", ylabel="step", yticks=[-i for i in range(step + 1)])
axes.set_yticklabels(range(step + 1))
plots.Picture(
    figure,
    f"Sixteen numbers become one in {step} steps; in these {', '.join(map(str, busy))} "
    "threads add.",
)

# %% [markdown]
# Between two steps stands a barrier, since the next step reads what this step wrote. What if it is left
# out? **Predict** before you look at the report: which line, and between which threads?


# %%
@cuda.jit
def hasty_sum(x, y):
    s = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    s[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    k = 8
    while k > 0:
        if t < k:
            s[t] += s[t + k]
        k //= 2  # no barrier before the next step
    if t == 0:
        y[cuda.blockIdx.x] = s[0]


x = np.random.default_rng(1).standard_normal(32).astype("f4")
report = look(hasty_sum, grid=2, block=16, args={"x": x, "y": np.zeros(2, "f4")})
report

# %% [markdown]
# The report names the line and two threads. It did not look at the numbers. For each element the checker keeps
# who wrote it last, who read it, and how many barriers each had passed. So it would find the race in a
# run whose sum is right, too. These are the sums of this run, and the right ones:

# %%
report.arrays["y"], x.reshape(2, 16).sum(1)

# %% [markdown]
# **Exercise 10.4** (●●●, 15 minutes). Write the right kernel, `block_sum`, for x of **any** length: 40 elements and 3 blocks
# of 16. The last block has 8 elements only. All its 16 threads must still arrive at each barrier.
#
# <details><summary>Hint</summary>
#
# No `return`, and no barrier inside an `if`. A thread behind the end writes 0 to its place in shared memory:
# `s[t] = x[i] if i < x.size else 0`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# @cuda.jit
# def block_sum(x, y):
#     s = cuda.shared.array(16, float32)
#     t, i = cuda.threadIdx.x, cuda.grid(1)
#     s[t] = x[i] if i < x.size else 0
#     cuda.syncthreads()
#     k = 8
#     while k > 0:
#         if t < k:
#             s[t] += s[t + k]
#         cuda.syncthreads()
#         k //= 2
#     if t == 0:
#         y[cuda.blockIdx.x] = s[0]
# ```
# </details>

# %%
block_sum = None  # write it here


def summed(x):
    return block_sum and outcome(block_sum, 3, 16, 3, x=x)


check("10.4", summed)

# %% [markdown]
# Three sums are left, one for each block. Blocks cannot wait for each other, so a second launch adds them.
# Another way is `cuda.atomic.add(y, 0, s[0])`, an addition that nobody can interrupt. It makes the sum right, but
# the order of the additions, and so the last bits of a float, change from run to run. minires uses no
# atomic additions of floats, so that a training run can be repeated to the bit.
#
# ## The engine's own kernels
#
# Each operation of minires has a Numba-CUDA version, to be read beside the C++ one. This is ReLU:

# %%
plots.source(relu_kernels._forward)

# %% [markdown]
# It has no guard, and it is right. Its loop starts at the thread's own number and goes on by the number of all
# threads, `cuda.gridsize(1)`. So one launch of any size does all elements; the loop's end is the guard. This is a
# *grid-stride loop*. `y[i] = 0 if x[i] <= 0 else x[i]` instead of `max` lets a NaN through: an error should
# be seen.
#
# ## Bug hunt
#
# This kernel computes $y_i = x_{i+1} - x_i$. Each block fetches its 16 numbers once, and one more, so that
# neighbours can share. The person who wrote it tested it with 64 elements and four blocks: all right.
# **Predict** what happens with 40.


# %%
@cuda.jit
def differences(x, y):
    s = cuda.shared.array(17, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    if i < x.size:
        s[t] = x[i]
        if t == 15 and i + 1 < x.size:
            s[16] = x[i + 1]
        cuda.syncthreads()
        if i + 1 < x.size:
            y[i] = s[t + 1] - s[t]


x = np.random.default_rng(2).standard_normal(40).astype("f4")
report = look(differences, grid=3, block=16, args={"x": x, "y": np.zeros(40, "f4")})
print(*report.faults, sep="\n")

# %% [markdown]
# With 64 elements every thread enters the `if`. With 40, half of the last block does not, and the other half
# waits at a barrier that not all reach. CUDA does not define what happens then: on some GPUs the program hangs, on
# others it goes on. The simulator goes on.
#
# **Exercise 10.5** (●●○, 10 minutes). Mend it: copy the kernel under the name `mended` and move what must be moved.
#
# <details><summary>Hint</summary>
#
# End the first `if` before the barrier. The barrier stands at the kernel's own level.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# @cuda.jit
# def mended(x, y):
#     s = cuda.shared.array(17, float32)
#     t, i = cuda.threadIdx.x, cuda.grid(1)
#     if i < x.size:
#         s[t] = x[i]
#         if t == 15 and i + 1 < x.size:
#             s[16] = x[i + 1]
#     cuda.syncthreads()
#     if i + 1 < x.size:
#         y[i] = s[t + 1] - s[t]
# ```
# </details>

# %%
mended = None  # write it here


def differences_of(x):
    return mended and outcome(mended, 3, 16, 40, x=x)


check("10.5", differences_of)

# %% [markdown]
# ## What to take along
#
# - A kernel is the program of one thread. The order of threads is not defined.
# - A grid has whole blocks, rounded up; every kernel needs a guard, or a loop whose end is one.
# - x counts columns: neighbours in a warp should have neighbours in memory.
# - A race is two accesses without an order. A right result does not show that there is none.
# - A block shares memory and waits at barriers, which **all** its threads must reach. Blocks do not wait for
#   each other.
#
# Next: [11. CUDA C++](11_cuda_ladder.ipynb).
