"""Small CUDA kernels in every idiom, right ones, and the faults that beginners make.

The kernels are written for this table. A fault stands in the line that ends in `// here`; where a
race has two lines, the report may name either first.
"""

from dataclasses import dataclass, field

import numpy as np

from minires.cuda import Empty

RNG = np.random.default_rng(0)
X = RNG.random(256).astype("f4")
M = RNG.random((32, 32)).astype("f4")
I = RNG.integers(0, 16, 256).astype("i4")  # noqa: E741


@dataclass
class Entry:
    """One kernel: how it is launched, what must come out, or which fault must be named."""

    name: str
    source: str
    grid: tuple | int
    block: tuple | int
    args: dict
    expect: dict = field(default_factory=dict)
    kind: str = ""
    words: str = ""
    shared: int = 0

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    @property
    def line(self) -> int | None:
        """The line of the fault, if it has one."""
        lines = self.source.split("\n")
        return next((i for i, text in enumerate(lines, 1) if text.endswith("// here")), None)


RIGHT = [
    Entry(
        "grid stride loop",
        """__global__ void k(const float* x, float* y, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        y[i] = 2 * x[i];
}""",
        2,
        32,
        {"x": X, "y": Empty(256), "n": 256},
        {"y": 2 * X},
    ),
    Entry(
        "two dimensions",
        """__global__ void k(const float* x, float* y, int w, int h) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
    if (i < w && j < h) y[j * w + i] = x[j * w + i] + j;
}""",
        (3, 3),
        (16, 16),
        {"x": M, "y": Empty((32, 32)), "w": 32, "h": 32},
        {"y": M + np.arange(32)[:, None]},
    ),
    Entry(
        "tree reduction",
        """__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    int t = threadIdx.x;
    s[t] = x[blockIdx.x * blockDim.x + t];
    __syncthreads();
    for (int k = blockDim.x / 2; k > 0; k /= 2) {
        if (t < k) s[t] += s[t + k];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = s[0];
}""",
        4,
        64,
        {"x": X, "y": Empty(4)},
        {"y": X.reshape(4, 64).sum(1)},
    ),
    Entry(
        "warp shuffle reduction",
        """__global__ void k(const float* x, float* y) {
    float v = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int k = 16; k > 0; k /= 2) v += __shfl_down_sync(0xffffffffu, v, k);
    if (threadIdx.x % 32 == 0) atomicAdd(y, v);
}""",
        4,
        64,
        {"x": X, "y": np.zeros(1, "f4")},
        {"y": X.sum()},
    ),
    Entry(
        "last block adds up",
        """__device__ unsigned int done = 0;
__global__ void k(const float* x, float* part, float* y) {
    __shared__ bool last;
    float v = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int k = 16; k > 0; k /= 2) v += __shfl_xor_sync(0xffffffffu, v, k);
    if (threadIdx.x == 0) {
        atomicExch(&part[blockIdx.x], v);
        __threadfence();
        last = atomicAdd(&done, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        float sum = 0;
        for (int i = 0; i < gridDim.x; i++) sum += atomicAdd(&part[i], 0.0f);
        y[0] = sum;
    }
}""",
        8,
        32,
        {"x": X, "part": np.zeros(8, "f4"), "y": Empty(1)},
        {"y": X.sum()},
    ),
    Entry(
        "tiled transpose",
        """__global__ void k(const float* x, float* y, int n) {
    __shared__ float tile[16][17];
    int i = blockIdx.x * 16 + threadIdx.x, j = blockIdx.y * 16 + threadIdx.y;
    tile[threadIdx.y][threadIdx.x] = x[j * n + i];
    __syncthreads();
    i = blockIdx.y * 16 + threadIdx.x, j = blockIdx.x * 16 + threadIdx.y;
    y[j * n + i] = tile[threadIdx.x][threadIdx.y];
}""",
        (2, 2),
        (16, 16),
        {"x": M, "y": Empty((32, 32)), "n": 32},
        {"y": M.T},
    ),
    Entry(
        "tiled product",
        """#define T 16
__global__ void k(const float* a, const float* b, float* c, int n) {
    __shared__ float sa[T][T], sb[T][T];
    int i = blockIdx.y * T + threadIdx.y, j = blockIdx.x * T + threadIdx.x;
    float sum = 0;
    for (int t = 0; t < n / T; t++) {
        sa[threadIdx.y][threadIdx.x] = a[i * n + t * T + threadIdx.x];
        sb[threadIdx.y][threadIdx.x] = b[(t * T + threadIdx.y) * n + j];
        __syncthreads();
        for (int k = 0; k < T; k++) sum += sa[threadIdx.y][k] * sb[k][threadIdx.x];
        __syncthreads();
    }
    c[i * n + j] = sum;
}""",
        (2, 2),
        (16, 16),
        {"a": M, "b": M.T.copy(), "c": Empty((32, 32)), "n": 32},
        {"c": M @ M.T},
    ),
    Entry(
        "stencil with a border in shared memory",
        """__global__ void k(const float* x, float* y, int n) {
    __shared__ float s[66];
    int i = blockIdx.x * 64 + threadIdx.x, t = threadIdx.x + 1;
    s[t] = x[i];
    if (threadIdx.x == 0) s[0] = i > 0 ? x[i - 1] : 0;
    if (threadIdx.x == 63) s[65] = i + 1 < n ? x[i + 1] : 0;
    __syncthreads();
    y[i] = s[t - 1] + s[t] + s[t + 1];
}""",
        4,
        64,
        {"x": X, "y": Empty(256), "n": 256},
        {"y": np.convolve(X, np.ones(3, "f4"), "same")},
    ),
    Entry(
        "histogram in shared memory",
        """__global__ void k(const int* x, int* counts, int n) {
    __shared__ int s[16];
    if (threadIdx.x < 16) s[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&s[x[i]], 1);
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&counts[threadIdx.x], s[threadIdx.x]);
}""",
        2,
        64,
        {"x": I, "counts": np.zeros(16, "i4"), "n": 256},
        {"counts": np.bincount(I, minlength=16)},
    ),
    Entry(
        "scan with two buffers",
        """__global__ void k(const float* x, float* y) {
    __shared__ float s[2][64];
    int t = threadIdx.x, from = 0;
    s[0][t] = x[t];
    __syncthreads();
    for (int k = 1; k < 64; k *= 2) {
        s[1 - from][t] = s[from][t] + (t >= k ? s[from][t - k] : 0);
        from = 1 - from;
        __syncthreads();
    }
    y[t] = s[from][t];
}""",
        1,
        64,
        {"x": X[:64].copy(), "y": Empty(64)},
        {"y": np.cumsum(X[:64])},
    ),
    Entry(
        "bitonic sort",
        """__global__ void k(float* y) {
    __shared__ float s[64];
    int t = threadIdx.x;
    s[t] = y[t];
    __syncthreads();
    for (int k = 2; k <= 64; k *= 2)
        for (int j = k / 2; j > 0; j /= 2) {
            int other = t ^ j;
            float a = s[t], b = s[other];
            bool up = (t & k) == 0, low = t < other;
            __syncthreads();
            s[t] = (low == up) ? fminf(a, b) : fmaxf(a, b);
            __syncthreads();
        }
    y[t] = s[t];
}""",
        1,
        64,
        {"y": X[:64].copy()},
        {"y": np.sort(X[:64])},
    ),
    Entry(
        "dynamic shared memory reversed",
        """extern __shared__ float s[];
__global__ void k(const float* x, float* y, int n) {
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[n - 1 - threadIdx.x];
}""",
        1,
        64,
        {"x": X[:64].copy(), "y": Empty(64), "n": 64},
        {"y": X[63::-1]},
        shared=256,
    ),
    Entry(
        "a vector of four",
        """__global__ void k(const float4* x, float4* y) {
    float4 v = x[threadIdx.x];
    y[threadIdx.x] = make_float4(v.w, v.z, v.y, v.x);
}""",
        1,
        64,
        {"x": X, "y": Empty(256)},
        {"y": X.reshape(64, 4)[:, ::-1].reshape(-1)},
    ),
    Entry(
        "a template and a device function",
        """template <typename T> __device__ T square(T v) { return v * v; }
__global__ void k(const float* x, float* y) { y[threadIdx.x] = square(x[threadIdx.x]); }""",
        1,
        256,
        {"x": X, "y": Empty(256)},
        {"y": X * X},
    ),
    Entry(
        "a struct and constants",
        """struct Line { float a, b; };
__constant__ float w[2] = {3, 1};
__device__ float at(Line line, float x) { return line.a * x + line.b; }
__global__ void k(const float* x, float* y) {
    Line line = {w[0], w[1]};
    y[threadIdx.x] = at(line, x[threadIdx.x]);
}""",
        1,
        256,
        {"x": X, "y": Empty(256)},
        {"y": 3 * X + 1},
    ),
    Entry(
        "votes and counts",
        """__global__ void k(const float* x, int* y) {
    unsigned int above = __ballot_sync(0xffffffffu, x[threadIdx.x] > 0.5f);
    if (threadIdx.x % 32 == 0) y[threadIdx.x / 32] = __popc(above);
}""",
        1,
        256,
        {"x": X, "y": Empty(8, "i4")},
        {"y": (X > 0.5).reshape(8, 32).sum(1)},
    ),
    Entry(
        "warp by warp with syncwarp",
        """__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    int t = threadIdx.x, lane = t % 32;
    s[t] = x[t];
    __syncwarp();
    y[t] = s[t - lane + 31 - lane];
}""",
        1,
        64,
        {"x": X[:64].copy(), "y": Empty(64)},
        {"y": X[:64].reshape(2, 32)[:, ::-1].reshape(-1)},
    ),
]

FAULTY = [
    Entry(
        "off by one in the guard",
        """__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) y[i] = x[i]; // here
}""",
        3,
        100,
        {"x": X, "y": Empty(256), "n": 256},
        kind="out of bounds",
        words=r"x\[256\], but x has 256 elements",
    ),
    Entry(
        "a negative index",
        """__global__ void k(const float* x, float* y) {
    y[threadIdx.x] = x[threadIdx.x] - x[(int)threadIdx.x - 1]; // here
}""",
        1,
        256,
        {"x": X, "y": Empty(256)},
        kind="out of bounds",
        words=r"reads x\[-1\]",
    ),
    Entry(
        "block index forgotten",
        """__global__ void k(const float* x, float* y) {
    int i = threadIdx.x;
    y[i] = x[i];
}""",
        4,
        64,
        {"x": X, "y": Empty(256)},
        {"y": X},
        kind="never written",
        words="192 of 256 elements of y",
    ),
    Entry(
        "x and y exchanged",
        """__global__ void k(const float* x, float* y, int w, int h) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
    if (i < w && j < h) y[i * h + j] = x[j * w + i];
}""",
        (2, 2),
        (16, 16),
        {"x": M, "y": Empty((32, 32)), "w": 32, "h": 32},
        {"y": M},
        kind="wrong result",
        words="elements of y are wrong",
    ),
    Entry(
        "a wrong stride",
        """__global__ void k(const float* x, float* y, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x)
        y[i] = y[i] + x[i]; // here
}""",
        2,
        64,
        {"x": X, "y": np.zeros(256, "f4"), "n": 256},
        kind="race between blocks",
        words="nothing orders blocks",
    ),
    Entry(
        "no barrier before the sum",
        """__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x]; // here
    float sum = 0;
    for (int i = 0; i < 64; i++) sum += s[i];
    y[threadIdx.x] = sum;
}""",
        1,
        64,
        {"x": X[:64].copy(), "y": Empty(64)},
        kind="race",
        words="barrier between|syncthreads",
    ),
    Entry(
        "no second barrier in a loop over tiles",
        """__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    float sum = 0;
    for (int t = 0; t < 4; t++) {
        s[threadIdx.x] = x[t * 64 + threadIdx.x]; // here
        __syncthreads();
        sum += s[63 - threadIdx.x];
    }
    y[threadIdx.x] = sum;
}""",
        1,
        64,
        {"x": X, "y": Empty(64)},
        kind="race",
        words="s\\[",
    ),
    Entry(
        "a barrier in a branch",
        """__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x < 40) __syncthreads(); // here
    y[threadIdx.x] = s[threadIdx.x];
}""",
        1,
        64,
        {"x": X[:64].copy(), "y": Empty(64)},
        kind="barrier",
        words="reached by 40 of the block's 64",
    ),
    Entry(
        "barriers in a loop of different lengths",
        """__global__ void k(float* y) {
    float v = 0;
    for (int i = 0; i < 1 + threadIdx.x / 32; i++) {
        v += i;
        __syncthreads(); // here
    }
    y[threadIdx.x] = v;
}""",
        1,
        64,
        {"y": Empty(64)},
        kind="barrier",
        words="__syncthreads",
    ),
    Entry(
        "a warp without syncwarp",
        """__global__ void k(const float* x, float* y) {
    __shared__ float s[32];
    int t = threadIdx.x;
    s[t] = x[t];
    __syncwarp();
    if (t < 16) s[t] += s[t + 16];
    if (t < 8) s[t] += s[t + 8]; // here
    y[t] = s[0];
}""",
        1,
        32,
        {"x": X[:32].copy(), "y": Empty(32)},
        kind="race",
        words="__syncwarp",
    ),
    Entry(
        "shared memory too small by one",
        """__global__ void k(const float* x, float* y) {
    __shared__ float s[65];
    int t = threadIdx.x;
    s[t + 1] = x[t];
    if (t == 0) s[0] = 0;
    __syncthreads();
    y[t] = s[t] + s[t + 2]; // here
}""",
        1,
        64,
        {"x": X[:64].copy(), "y": Empty(64)},
        kind="out of bounds",
        words=r"s\[65\]",
    ),
    Entry(
        "reduction of a number that is no power of two",
        """__global__ void k(const float* x, float* y) {
    __shared__ float s[48];
    int t = threadIdx.x;
    s[t] = x[t];
    __syncthreads();
    for (int k = blockDim.x / 2; k > 0; k /= 2) {
        if (t < k) s[t] += s[t + k];
        __syncthreads();
    }
    if (t == 0) y[0] = s[0];
}""",
        1,
        48,
        {"x": X[:48].copy(), "y": Empty(1)},
        {"y": X[:48].sum()},
        kind="wrong result",
        words="1 of 1 elements of y",
    ),
    Entry(
        "histogram without atomics",
        """__global__ void k(const int* x, int* counts) {
    counts[x[threadIdx.x]]++; // here
}""",
        1,
        256,
        {"x": I, "counts": np.zeros(16, "i4")},
        kind="race",
        words="an atomic operation would",
    ),
    Entry(
        "histogram without atomics between blocks",
        """__global__ void k(const int* x, int* counts) {
    if (threadIdx.x == 0) counts[x[blockIdx.x]] += 1; // here
}""",
        64,
        32,
        {"x": I, "counts": np.zeros(16, "i4")},
        kind="race between blocks",
        words="nothing orders blocks",
    ),
    Entry(
        "an accumulator in shared memory that nobody sets to 0",
        """__global__ void k(const float* x, float* y) {
    __shared__ float sum;
    atomicAdd(&sum, x[threadIdx.x]); // here
    __syncthreads();
    if (threadIdx.x == 0) y[0] = sum;
}""",
        1,
        64,
        {"x": X[:64].copy(), "y": Empty(1)},
        kind="uninitialised",
        words="sum.*which nobody has written",
    ),
    Entry(
        "adding to memory as cudaMalloc leaves it",
        """__global__ void k(const float* x, float* y) {
    y[threadIdx.x] += x[threadIdx.x]; // here
}""",
        1,
        64,
        {"x": X[:64].copy(), "y": Empty(64)},
        kind="uninitialised",
        words=r"reads y\[",
    ),
    Entry(
        "a vector at an address between",
        """__global__ void k(const float* x, float* y) {
    float4 v = *(const float4*)(x + 1 + threadIdx.x * 4); // here
    y[threadIdx.x] = v.x;
}""",
        1,
        32,
        {"x": X, "y": Empty(32)},
        kind="misaligned",
        words="no multiple of 16",
    ),
    Entry(
        "an index that overflows",
        """__global__ void k(float* y, int rows) {
    int i = (int)threadIdx.x * rows * 65536; // here
    if (i == 0) y[threadIdx.x] = 1;
}""",
        1,
        64,
        {"y": np.zeros(64, "f4"), "rows": 4096},
        kind="overflow",
        words="overflows its integer",
    ),
    Entry(
        "a loop that does not end",
        """__global__ void k(float* y, int n) {
    for (int i = threadIdx.x; i < n; i *= 2) if (i > 0) y[i] = i; // here
}""",
        1,
        32,
        {"y": np.zeros(64, "f4"), "n": 64},
        kind="endless loop",
        words="still runs",
    ),
    Entry(
        "too few threads",
        """__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i];
}""",
        3,
        64,
        {"x": X, "y": Empty(256), "n": 256},
        {"y": X},
        kind="never written",
        words="64 of 256 elements of y",
    ),
    Entry(
        "a block that is too large",
        "__global__ void k(float* y) { y[threadIdx.x] = 1; }",
        1,
        2048,
        {"y": Empty(2048)},
        kind="launch",
        words="1024",
    ),
    Entry(
        "the last block wins",
        """__global__ void k(float* y) {
    if (threadIdx.x == 0) y[0] = blockIdx.x; // here
}""",
        4,
        32,
        {"y": Empty(1)},
        kind="race between blocks",
        words="nothing orders blocks",
    ),
    Entry(
        "blocks that were not counted up",
        """__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i];
}""",
        256 // 100,
        100,
        {"x": X, "y": Empty(256), "n": 256},
        {"y": X},
        kind="never written",
        words="56 of 256 elements of y",
    ),
    Entry(
        "an assertion",
        """__global__ void k(const float* x, float* y) {
    assert(x[threadIdx.x] < 0.5f); // here
    y[threadIdx.x] = x[threadIdx.x];
}""",
        1,
        64,
        {"x": X[:64].copy(), "y": Empty(64)},
        kind="assertion",
        words="assert",
    ),
    Entry(
        "an integer divided by zero",
        """__global__ void k(const int* x, int* y) {
    y[threadIdx.x] = 100 / x[threadIdx.x]; // here
}""",
        1,
        64,
        {"x": I[:64].copy(), "y": Empty(64, "i4")},
        kind="division",
        words="divides an integer by zero",
    ),
]
SAMPLE = ("tree reduction", "tiled product", "off by one in the guard", "a barrier in a branch")
SAMPLE += ("no second barrier in a loop over tiles", "histogram without atomics")
"""What the default run looks at."""
