# %% [markdown]
# # 12. Going fast: on a CPU, on a GPU, and how to know it
#
# **You will be able to** say what limits a computation, memory or arithmetic; derive Winograd's convolution and count what it
# saves; say what fusion saves; measure two programs so that the result means something.
#
# *Reading and exercises: 60 minutes. The page runs in 15 seconds on two cores. minires compiles its kernels once
# for each machine, so the first run may take longer. You need convolutions and batch norm.*
#
# **A question first.** Your processor does, say, 100 billion additions or multiplications per second. Adding two arrays of 25
# million numbers is 25 million additions. That should take a quarter of a millisecond. It takes many times as
# long. What is the processor doing all that time? Write down a guess.

# %%
import json
import statistics
import time
from pathlib import Path

import numpy as np

import minires as mr
from minires import functional as F
from minires import plots
from minires.benchmarks import machine
from minires.kernels import memory
from minires.kernels.conv2d import numba_cpu, numba_transforms
from minires.tutorials import check

# %% [markdown]
# ## Two limits
#
# A machine has two speeds: how fast it computes (FLOP/s, where a multiply-add counts as two) and how fast its memory
# delivers (bytes/s). We measure both. For the first we take the matrix product of NumPy's library, for the second a copy.


# %%
def median_seconds(function, times=15):
    """The median of some calls, after a pause and one call to warm up."""
    time.sleep(0.3)  # threads of a library that has just worked may still wait, and waiting is busy
    function()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


peak = machine.sgemm_flops_per_second(1024, 5) / 1e9
bandwidth = machine.copied_bytes_per_second(64, 3) / 1e9
a, b = np.ones((2, 16_000_000), "f4")
addition = a.size / median_seconds(lambda: np.add(a, b, out=a)) / 1e9
print(f"matrix product {peak:.0f} GFLOP/s, copy {bandwidth:.0f} GB/s, a + b {addition:.1f} GFLOP/s")

# %% [markdown]
# The addition is far below what the processor can compute. It moves 12 bytes for one addition, so memory decides. What counts
# is the **intensity**: FLOPs per byte that is moved. With intensity $I$ a machine can do at most
#
# $$\min(\text{peak},\ I \cdot \text{bandwidth}) .$$
#
# **Exercise 12.1** (●●○, 10 minutes). Compute the intensity of `y = a + b` on float32, and of a 3x3 convolution, 16 to 16
# channels, stride 1. Count x and y of the convolution once, and leave out the small filter.
#
# <details><summary>Hint</summary>
#
# Per pixel the convolution does $2 \cdot 9 \cdot 16 \cdot 16$ FLOPs, reads 16 numbers and writes 16.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# intensities = 1 / 12, 2 * 9 * 16 * 16 / (4 * (16 + 16))
# ```
# </details>

# %%
intensities = None

check("12.1", intensities)

# %% [markdown]
# ## One convolution, three ways
#
# *Nine products*: shift the image, multiply by one entry of the filter, add. *im2col*: copy all windows into one matrix,
# multiply once. *minires*: its own compiled kernel.

# %%
rng = np.random.default_rng(0)
x = rng.standard_normal((32, 32, 32, 16)).astype("f4")
w = rng.standard_normal((3, 3, 16, 16)).astype("f4")


def nine_products(x, w):
    p = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.zeros_like(x)
    for i in range(3):
        for j in range(3):
            y += p[:, i : i + 32, j : j + 32] @ w[i, j]
    return y


def im2col(x, w):
    p = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(p, (3, 3), (1, 2))
    matrix = np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3)).reshape(-1, 144)
    return (matrix @ w.reshape(144, 16)).reshape(x.shape)


def compiled(x, w):
    return numba_cpu.forward(x, w, (1, 1), (1, 1))[0]


# %%
flops, speeds = 2 * 9 * 16 * x.size, {}
for way in (nine_products, im2col, compiled):
    error = np.abs(way(x, w) - compiled(x, w)).max()
    speeds[way.__name__] = flops / median_seconds(lambda way=way: way(x, w)) / 1e9
    print(f"{way.__name__:<14} {speeds[way.__name__]:6.1f} GFLOP/s, differs by {error:.0e}")
points = {name: (36.0, speed) for name, speed in speeds.items()} | {"a + b": (1 / 12, addition)}
plots.roofline(
    points,
    peak,
    bandwidth,
    f"a + b reaches {addition:.1f} GFLOP/s at 0.08 FLOP per byte; the convolutions, at 36, reach "
    f"{', '.join(f'{s:.0f}' for s in speeds.values())} beside a roof of {peak:.0f}.",
)

# %% [markdown]
# At intensity 36 a convolution is on the flat part or near it. A point can lie above the roof. The roofs are measured, too, and NumPy's
# product is not the best that a processor can do; and we count the FLOPs of the plain formula, while the compiled kernel does fewer,
# as the next section shows. But im2col writes and reads nine times the image, so its
# *real* intensity is much lower than 36, and the nine products read and write y nine times. The compiled kernel
# copies a few rows into the processor's cache and works there. It splits the work among all cores; where another program takes one of
# them for a while, the others wait, and the number above is many times smaller. Run the cell again and compare.
#
# ## Fewer multiplications: Winograd
#
# Two neighbouring results of a filter of three numbers:
#
# $$y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2, \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2 .$$
#
# These are six multiplications. Winograd (1980) found that four are enough. Take
#
# $$m_1 = (d_0 - d_2)\,g_0, \quad m_2 = (d_1 + d_2)\,\tfrac{g_0 + g_1 + g_2}{2}, \quad
# m_3 = (d_2 - d_1)\,\tfrac{g_0 - g_1 + g_2}{2}, \quad m_4 = (d_1 - d_3)\,g_2 .$$
#
# Then $m_2 + m_3 = d_1 g_1 + d_2 (g_0 + g_2)$ and $m_2 - m_3 = d_1 (g_0 + g_2) + d_2 g_1$. Compare with $y_0$: what is missing is
# $d_0 g_0 - d_2 g_0$, which is $m_1$. So $y_0 = m_1 + m_2 + m_3$, and in the same way $y_1 = m_2 - m_3 - m_4$.
#
# The sums of the filter are computed once for all pixels, so they cost nothing. **Exercise 12.2** (●●○, 15 minutes). Write it.
# Your function gets numbers that count each product of a d with a g; divide by 2 with `/ 2`.
#
# <details><summary>Hint</summary>
#
# `m2 = (d[1] + d[2]) * ((g[0] + g[1] + g[2]) / 2)`: one product.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def winograd(d, g):
#     m1 = (d[0] - d[2]) * g[0]
#     m2 = (d[1] + d[2]) * ((g[0] + g[1] + g[2]) / 2)
#     m3 = (d[2] - d[1]) * ((g[0] - g[1] + g[2]) / 2)
#     m4 = (d[1] - d[3]) * g[2]
#     return m1 + m2 + m3, m2 - m3 - m4
# ```
# </details>


# %%
def winograd(d, g):
    return None  # write it here


class Counting(float):
    """A number that counts the products it takes part in."""

    products = 0
    __add__ = lambda a, b: Counting(float(a) + b)  # noqa: E731
    __sub__ = lambda a, b: Counting(float(a) - b)  # noqa: E731
    __truediv__ = lambda a, b: Counting(float(a) / b)  # noqa: E731

    def __mul__(self, other):
        Counting.products += 1
        return Counting(float(self) * other)


def winograd_and_count(d, g):
    Counting.products = 0
    y = winograd([Counting(n) for n in d], [Counting(n) for n in g])
    return None if y is None else (np.array(y, float), Counting.products)


check("12.2", winograd_and_count)

# %% [markdown]
# In two dimensions the same is done along rows and along columns: F(2x2,3x3) computes a tile of 2 x 2 pixels from a patch of
# 4 x 4, with 4 x 4 products. Larger tiles save more: F(4x4,3x3) takes a patch of 6 x 6.
#
# **Exercise 12.3** (●○○, 5 minutes). How many products does a tile take in F(2x2,3x3) and in F(4x4,3x3)? By which
# factors is that less than 9 for each pixel? Give all four numbers.
#
# <details><summary>Hint</summary>
#
# A product for each number of the patch. A tile of 2 x 2 pixels takes 36 in the plain way.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# counts = 16, 36, 36 / 16, 16 * 9 / 36
# ```
# </details>

# %%
counts = None

check("12.3", counts)

# %% [markdown]
# Why not larger and larger tiles? The transforms get larger factors, and additions of large numbers that cancel lose digits.
# minires uses F(2x2,3x3), whose transforms have only 1 and 1/2. Here is that of the filter, for many
# channels at a time:

# %%
plots.source(numba_transforms.transform_filter, start="half = fill", lines=15)

# %% [markdown]
# ## Fusion
#
# A residual net does convolution, batch norm, ReLU, again and again. Batch norm and ReLU have almost no arithmetic: they read
# and write. **Exercise 12.4** (●●○, 10 minutes). y is the convolution's result. Count how often an array of its size is read
# or written if each operation works on its own, in training: the convolution writes y; batch norm reads it for the mean and variance, reads it again
# and writes; ReLU reads and writes. Then the fused way: the convolution adds up sums for the statistics while it
# stores y; normalisation and ReLU happen where the next operation reads.
#
# <details><summary>Hint</summary>
#
# Convolution 1, statistics 1, normalisation 2, ReLU 2. Fused: one write and one read.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# passes = 6, 2
# ```
# </details>

# %%
passes = None

check("12.4", passes)

# %%
mr.use("numba")
image, filters = mr.tensor(x), mr.tensor(w)
gamma, beta = mr.tensor(np.ones(16, "f4")), mr.tensor(np.zeros(16, "f4"))
running = np.zeros(16, "f4"), np.ones(16, "f4")


def separate():
    y = F.conv2d(image, filters, padding=1)
    return F.relu(F.batch_norm(y, gamma, beta, *running, True))


def fused():
    y = F.conv2d(image, filters, padding=1)
    return F.batch_norm(y, gamma, beta, *running, True, relu=True)


print(f"they differ by {np.abs(separate().data - fused().data).max():.0e}")
pairs = [(median_seconds(separate, 3), median_seconds(fused, 3)) for _ in range(5)]
print(f"separate / fused: {statistics.median(a / b for a, b in pairs):.2f}")

# %% [markdown]
# This program fuses only ReLU with batch norm: two passes of the six. The ratio of the whole, with its convolution, depends on machine and size.
# On a CPU minires fuses whole residual blocks, `F.basic_block`. On a GPU, where arithmetic is cheaper still, it has `F.conv_norm_relu` as well, and
# a residual block is five kernels. (`F.conv_norm_relu` runs on a CPU, too, but there it is reference code, and slow.)
#
# Two more costs have nothing to do with arithmetic. A fresh array is slow, since the operating system hands out its
# pages one by one, so minires keeps a **pool** and uses memory again. And each launch of a GPU kernel costs the host
# some microseconds. A **CUDA graph** records a whole training step once and replays it by one call.

# %%
plots.source(memory.empty)

# %%
launches, microseconds = 88, 3  # ResNet-20, fused; a usual cost of a launch
print(f"at most {128 / (launches * microseconds * 1e-6):,.0f} images/s, whatever the GPU can do")

# %% [markdown]
# ## Break it yourself: a measurement
#
# Take two *equal* programs. The machine has phases of some half a minute in which all takes 1.15 times as long; benchmarks/README.md
# describes such a machine. You measure ten times A, then ten times B. **Predict** how often you find one of them at least 5 %
# faster. Then: A B A B A B.


# %%
def machine_speed(rng, runs):
    """The slowness of each of these runs: phases of about 12 runs, and a little noise."""
    phase = np.cumsum(rng.random(runs) < 1 / 12) % 2
    return (1 + 0.15 * phase) * (1 + 0.01 * rng.standard_normal(runs))


rng = np.random.default_rng(3)
blocks, turns = [], []
for _ in range(1000):
    times = machine_speed(rng, 20)
    blocks.append(np.median(times[:10]) / np.median(times[10:]))
    turns.append(np.median(times[0::2] / times[1::2]))
off = [100 * np.mean(np.abs(np.array(r) - 1) > 0.05) for r in (blocks, turns)]
figure, axes = plots.canvas(height=2.8)
axes.hist([blocks, turns], bins=40, label=["AAA...BBB...", "ABABAB..."], color=plots.COLORS[:2])
axes.set(xlabel="measured A / B, of equal programs", ylabel="measurements, of 1,000")
axes.legend()
plots.Picture(
    figure,
    f"One after the other, {off[0]:.0f} % of the measurements see a difference of more than 5 % "
    f"between equal programs; by turns, {off[1]:.1f} %.",
)

# %% [markdown]
# So: warm up (the first call compiles, fills caches and the pool), take turns, compare pair by pair, give the median and how much
# it varies. And compare the results first: a wrong program can be very fast.
#
# **Exercise 12.5** (●○○, 5 minutes). Write `ratio(a, b)`, given times that were measured by turns: `a[i]` just before `b[i]`.
#
# <details><summary>Hint</summary>
#
# Which two times were measured in the same phase?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def ratio(a, b):
#     return np.median(a / b)
# ```
# </details>


# %%
def ratio(a, b):
    return None  # write it here


check("12.5", ratio)

# %% [markdown]
# ## A benchmark, read critically
#
# minires records every single time of its races. These are ResNet-20 training steps, batch 128, two cores, recorded on the machine
# that the title names:

# %%
record = json.loads(
    Path(machine.__file__).with_name("results").joinpath("cpu-resnet20.json").read_text()
)
lines = {}
for row in record["results"]:
    if row["engine"] in ("numba", "torch channels_last"):
        lines[row["engine"]] = [float(t) for t in row["all_ms"].split()]
low, high = min(lines["numba"]), max(lines["numba"])
plots.curves(
    lines,
    "step, in order",
    "time of a training step (ms)",
    f"minires' steps take {low:.0f} to {high:.0f} ms, in phases; PyTorch's channels_last "
    f"{min(lines['torch channels_last']):.0f} to {max(lines['torch channels_last']):.0f} ms.",
    title=f"{record['machine']}, {record['date']}",
)

# %% [markdown]
# Look at the lower line: it has two levels. The median falls on one of them by chance, so the ratio of the two
# medians is less certain than its digits look. [The page of results](../benchmarks/README.md) says so, and gives the ratio of several runs. Ask
# of any benchmark: which machine, which versions, how many threads, warmed up, by turns, were the results compared, how much does it vary, and what was
# left out? Here one answer is: networks as small as this, on two cores. It says nothing about a GPU, for which no time is given.
#
# ## What to take along
#
# - Intensity decides: below peak / bandwidth, memory is the limit, and only moving less helps.
# - Winograd's F(2x2,3x3) takes 16 products where the plain way takes 36.
# - Fusion saves passes over memory, not arithmetic.
# - Measure warmed up, by turns, pair by pair; give the median and the spread.
#
# Next: [13. Further](13_further.ipynb).
