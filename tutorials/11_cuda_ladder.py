# %% [markdown]
# # 11. CUDA C++: from a first kernel to a fast convolution
#
# **You will be able to** write a CUDA kernel and have it checked on a CPU; count what it asks of memory; remove
# uncoalesced accesses and bank conflicts; explain each step from a naive convolution to a fast one.
#
# *Reading and exercises: 75 minutes. The page runs in 15 seconds on two cores; the first run compiles nine
# kernels and takes about half a minute longer. You need [lesson 10](10_threads_and_blocks.ipynb), Linux and `g++`, no GPU.*
#
# **A question first.** Two kernels compute the same convolution with the same additions and multiplications. The second
# has x and y of the thread index exchanged, and nothing else. It asks memory for less than a
# third of the bytes. How can the *name* of a thread decide that? Write down a guess.

# %%
import numpy as np

from minires import cuda, plots
from minires.cuda import host
from minires.kernels import ladders
from minires.tutorials import check
from minires.tutorials.records import kernel_report, numbers

problem = host.problem()
print(f"not here: {problem}; recorded" if problem else "kernels run here, on the emulator")

# %% [markdown]
# minires has an emulator: it compiles a `.cu` file for the CPU, with each CUDA thread as a small thread of its own.
# `cuda.check` runs a kernel there and watches each access. `kernel_report` below does the same; where the
# emulator does not work (the line above says so), it shows what was recorded instead, and the exercises with
# kernels stay unanswered.
#
# ## A first kernel

# %%
ADD = """
__global__ void add(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i] + 1;
}
"""
x = np.random.default_rng(0).standard_normal(150).astype("f4")
kernel_report("add", ADD, grid=3, block=64, args={"x": x, "y": cuda.Empty(150), "n": 150})

# %% [markdown]
# This is lesson 10's `halve`, in C++. `__global__` marks a kernel, arrays are bare pointers: C++ knows no `x.size`, so n
# is an argument. `cuda.Empty` is an array as `cudaMalloc` leaves it; nobody may read it before it is written.
# 3 blocks of 64 are 192 threads for 150 elements. Without an emulator, such a kernel reads the memory of a
# neighbour, and often nothing is noticed.
#
# **Exercise 11.1** (●○○, 5 minutes). Write the right kernel as a string.
#
# <details><summary>Hint</summary>
#
# `if (i < n)`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# add_source = """
# __global__ void add(const float* x, float* y, int n) {
#     int i = blockIdx.x * blockDim.x + threadIdx.x;
#     if (i < n) y[i] = x[i] + 1;
# }
# """
# ```
# </details>


# %%
def outcome(source, result, shape, **launch):
    """The first kind of fault that was found, and the array `result`."""
    if source is None or problem:
        return None
    launch["args"] = {**launch["args"], result: cuda.Empty(shape)}
    report = cuda.check(source, **launch)
    fault = min((f.kind for f in report.faults), default="no fault")
    return fault, report.arrays[result] if fault == "no fault" else np.zeros(shape)


add_source = None  # write it here


def added(x):
    return outcome(add_source, "y", x.size, grid=3, block=64, args={"x": x, "n": x.size})


check("11.1", added)

# %% [markdown]
# ## What a warp asks for
#
# The 32 threads of a warp execute a load together: one **request**. Memory does not move single numbers. It moves
# **sectors** of 32 bytes, 8 floats, aligned to 32 bytes. If the lanes of a warp want 32 neighbouring floats,
# that is 4 sectors. If each wants a float of another sector, that is 32, and 7 of 8 floats are moved for nothing.
#
# **Exercise 11.2** (●●○, 10 minutes). Predict: lane t loads `x[t * stride + offset]`, x begins at a sector. How many sectors
# does a request touch for (stride, offset) = (1, 0), (2, 0), (32, 0) and (1, 4)?
#
# <details><summary>Hint</summary>
#
# Element i lies in sector i // 8. Count different sectors for t = 0 to 31.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# cases = (1, 0), (2, 0), (32, 0), (1, 4)
# sectors = tuple(len({(t * s + o) // 8 for t in range(32)}) for s, o in cases)
# ```
# </details>

# %%
sectors = None

check("11.2", sectors)

# %%
GATHER = """
__global__ void gather(const float* x, float* y, int stride) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i * stride];
}
"""
x, strides, moved = np.zeros(1024, "f4"), (1, 2, 4, 8, 16, 32), []
for stride in strides:
    args = {"x": x, "y": cuda.Empty(32), "stride": stride}
    report = kernel_report(f"gather {stride}", GATHER, grid=1, block=32, args=args)
    moved.append(next(r.moved for r in report.requests if not r.store))
plots.curves(
    {"counted": (strides, moved), "wanted": (strides, [4] * len(strides))},
    "stride (floats)",
    "sectors of 32 bytes moved for a request",
    f"One request moves {moved[0]} sectors at stride 1 and {moved[3]} from stride 8 on.",
    log="x",
    marks="o",
)

# %% [markdown]
# From stride 8 on it cannot get worse: every lane has a sector of its own. Loads of neighbours by neighbours are
# called **coalesced**. Which lanes are neighbours? Those whose `threadIdx.x` differs by one. This answers the question
# above: the name of a thread decides with whom it shares a request.
#
# ## A reduction with two faults
#
# This kernel adds up 64 numbers in a block. **Predict** before you look: there are 150 numbers and 3 blocks. What is
# wrong, and in which block?

# %%
SUM = """
__global__ void sum(const float* x, float* y, int n) {
    __shared__ float s[64];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    if (i < n) s[t] = x[i];
    for (int k = 32; k > 0; k /= 2) {
        if (t < k) s[t] += s[t + k];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = s[0];
}
"""
x = np.random.default_rng(1).standard_normal(150).astype("f4")
report = kernel_report("sum", SUM, grid=3, block=64, args={"x": x, "y": cuda.Empty(3), "n": 150})
print(*report.faults, sep="\n")

# %% [markdown]
# There are two warps in a block. When the first one adds, the second may not have filled its half of `s` yet. And in the
# last block 22 numbers are left; the other places of `s` hold whatever was there before. On a GPU that is often zero, or the
# numbers of the block before. The test passes on one day and fails on another.
#
# **Exercise 11.3** (●●○, 10 minutes). Mend both.
#
# <details><summary>Hint</summary>
#
# Every thread fills its place, behind the end with 0. A barrier follows, outside of any `if`.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# sum_source = SUM.replace(
#     "if (i < n) s[t] = x[i];", "s[t] = i < n ? x[i] : 0; __syncthreads();"
# )
# ```
# </details>

# %%
sum_source = None  # write it here


def summed(x):
    return outcome(sum_source, "y", 3, grid=3, block=64, args={"x": x, "n": x.size})


check("11.3", summed)

# %% [markdown]
# ## Banks
#
# Shared memory has no sectors. It has 32 **banks**: the float at place i lies in bank i % 32, and a bank serves one place at a
# time. If the lanes of a warp want different places of one bank, they take turns: a **bank conflict**.
#
# The classic case is a transposition. A block copies 32 x 32 numbers to shared memory row by row and reads them column by
# column, so that both sides of global memory are coalesced. In a column, places are `pitch` apart, where
# `pitch` is the length of a row in shared memory.
#
# **Exercise 11.4** (●●○, 10 minutes). Lane t reads `tile[t * pitch]`. How many turns does it take for pitch = 32, 33, 34, 36?
#
# <details><summary>Hint</summary>
#
# Count how many lanes fall on the bank that most of them want: (t * pitch) % 32.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def turns_of(pitch):
#     banks = [t * pitch % 32 for t in range(32)]
#     return max(banks.count(bank) for bank in banks)
#
#
# turns = tuple(map(turns_of, (32, 33, 34, 36)))
# ```
# </details>

# %%
turns = None

check("11.4", turns)

# %%
TRANSPOSE = """
__global__ void transpose(const float* x, float* y, int pitch) {
    __shared__ float tile[32 * 40];
    int across = threadIdx.x, down = threadIdx.y;
    for (int k = down; k < 32; k += 8)
        tile[k * pitch + across] = x[k * 32 + across];
    __syncthreads();
    for (int k = down; k < 32; k += 8)
        y[k * 32 + across] = tile[across * pitch + k];
}
"""
x, per_request = np.random.default_rng(2).standard_normal((32, 32)).astype("f4"), {}
for pitch in (32, 33, 34, 36, 40):
    args = {"x": x, "y": cuda.Empty((32, 32)), "pitch": pitch}
    report = kernel_report(f"pitch {pitch}", TRANSPOSE, grid=1, block=(32, 8), args=args)
    row = next(r for r in report.requests if r.array == "tile" and not r.store)
    per_request[pitch] = row.moved / row.requests
print(per_request)
report

# %% [markdown]
# One float of **padding** in each row, and 32 turns become one. Nothing is computed differently. With 40 there are 8 turns:
# the greatest common divisor of the pitch and 32.
#
# ## Matrix product by tiles
#
# In $c = a\,b$ each number of $a$ is used once for every column of $c$. The naive kernel fetches it anew each
# time. A block of 16 x 16 threads can fetch a tile of $a$ and a tile of $b$ to shared memory, use each number 16 times
# and go on to the next tiles.
#
# **Exercise 11.5** (●●●, 20 minutes). Write it: `matmul(a, b, c, n, m, terms)`, blocks of 16 x 16, for sizes that are no
# multiples of 16. Here a is 20 x 24 and b is 24 x 17.
#
# <details><summary>Hint</summary>
#
# For each `start` in steps of 16: fill `ta[down][across]` and `tb[down][across]`, 0 outside; barrier; add 16 products;
# barrier. Guard only the store at the end: nobody may leave before.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# matmul_source = """
# __global__ void matmul(const float* a, const float* b, float* c, int n, int m, int terms) {
#     __shared__ float ta[16][16], tb[16][16];
#     int across = threadIdx.x, down = threadIdx.y;
#     int j = blockIdx.x * 16 + across, i = blockIdx.y * 16 + down;
#     float sum = 0;
#     for (int start = 0; start < terms; start += 16) {
#         int k = start + across, l = start + down;
#         ta[down][across] = i < n && k < terms ? a[i * terms + k] : 0;
#         tb[down][across] = l < terms && j < m ? b[l * m + j] : 0;
#         __syncthreads();
#         for (int t = 0; t < 16; t++) sum += ta[down][t] * tb[t][across];
#         __syncthreads();
#     }
#     if (i < n && j < m) c[i * m + j] = sum;
# }
# """
# ```
# </details>

# %%
matmul_source = None  # write it here


def product(a, b):
    (n, terms), m = a.shape, b.shape[1]
    args = {"a": a, "b": b, "n": n, "m": m, "terms": terms}
    return outcome(matmul_source, "c", (n, m), grid=(2, 2), block=(16, 16), args=args)


check("11.5", product)

# %% [markdown]
# ## The convolution, step by step
#
# A convolution is a product of windows and a filter, so the same ideas apply. minires keeps five versions beside each
# other, each with its story. This is the inner part of the first:

# %%
ladder = ladders.load("conv2d")
rungs = [rung for rung in ladders.rungs("conv2d") if rung.language == "CUDA C++"]
plots.source(rungs[0].path, start="const int pixel", lines=14)

# %% [markdown]
# `threadIdx.x` counts pixels here. Neighbours in a warp read the same channel of neighbouring pixels, which lie C floats
# apart: stride C. The second version exchanges x and y in the first line, and that is all.

# %%
plots.source(rungs[1].path, lines=7)

# %% [markdown]
# The third is the tiled product of exercise 11.5: a tile of windows, a tile of the filter, two barriers. The matrix of
# windows never exists as a whole; this is im2col without its memory. In the fourth a thread computes 4 x 4 results, so
# each number that it reads from shared memory is used four times. The fifth uses tensor cores: one instruction of a
# warp multiplies 16 x 8 by 8 x 8 numbers.
#
# We run all five on the emulator and count.


# %%
def climb():
    """[title, kB that loads move, error] of each rung."""
    arrays = ladder.inputs(np.random.default_rng(0), ((1, 8, 8, 16), (3, 3), 32, (1, 1), (1, 1)))
    rows, exact = [], ladder.reference(*arrays)
    for rung in rungs:
        with cuda.count() as counts:
            y = rung.run(*arrays)
        rows.append([rung.title, counts.sectors_loaded * 32 / 1000, float(np.abs(y - exact).max())])
    return rows


rows = numbers("climb", climb)
for title, kilobytes, error in rows:
    print(f"{title:<18} {kilobytes:8.0f} kB   largest error {error:.0e}")

# %%
names, kilobytes, _ = zip(*rows, strict=True)
figure, axes = plots.canvas(height=2.8)
axes.barh(names, kilobytes, color=plots.COLORS[0])
axes.set(xscale="log", xlabel="moved by loads (kB, sectors of 32 bytes)")
axes.invert_yaxis()
plots.Picture(
    figure,
    f"From v1 to v2 the loads move {kilobytes[0] / kilobytes[1]:.1f} times less, from v2 to v3 "
    f"{kilobytes[1] / kilobytes[2]:.1f} times, from v3 to v4 {kilobytes[2] / kilobytes[3]:.1f}.",
)

# %% [markdown]
# All five compute the same; the fifth has a larger error, since tensor cores keep 10 bits of each factor's mantissa. What
# falls is what is moved. Three ideas did it: neighbours read neighbours (v2), a block reads for all its threads (v3), a
# thread reads for several results (v4). The fifth moves no less. It does the arithmetic faster, which is worth something only
# when memory is no longer the limit.
#
# The emulator counts; it does not tell time. A count is exact and the same on every machine, but how much faster a version
# is on a GPU, only a GPU can say.
#
# ## Break it yourself
#
# Take `TRANSPOSE` and leave out `__syncthreads();`. **Predict**: every row of the tile is written by some warp. Is that
# enough? Run it: `kernel_report("mine", TRANSPOSE.replace("__syncthreads();", ""), ...)`. Each warp writes 4 rows and reads
# 4 columns, and a column crosses all rows. So a warp reads what 7 others write, and the report names a race.
#
# Now let one warp do all: blocks of 32 x 1 threads, and `k += 1` instead of `k += 8`. **Predict** again: is the barrier
# needed? The report still names a race, for since 2017 (the Volta generation) the lanes of a warp need not run in step. `__syncwarp();`,
# a barrier for one warp, is enough, and costs less.
#
# ## What to take along
#
# - C++ checks nothing. A guard, a barrier, a first write: each is your own business, and a checker sees what results hide.
# - Global memory moves sectors of 32 bytes. Neighbouring lanes should read neighbouring numbers.
# - Shared memory has 32 banks. A padding float per row can remove a conflict.
# - Fast kernels fetch a number once for many uses: for a block, then for a thread.
# - Count first. What is moved needlessly is the first thing to remove.
#
# Next: [12. Going fast](12_going_fast.ipynb).
