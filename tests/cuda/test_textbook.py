"""CUDA as textbooks write it runs on the emulator; what it lacks has a name and a line."""

import re

import numpy as np
import pytest

from minires import backend, cuda
from minires.cuda import textbook
from minires.cuda.host import KernelError
from minires.cuda.signature import kernels, parse

pytestmark = pytest.mark.emulator
if why := backend.problem("emulator"):
    pytest.skip(f"the emulator does not work here: {why}", allow_module_level=True)

SOURCE = """
#include <cuda_runtime.h>
#include <cassert>
#include <cstdio>
#define TILE 32
typedef float real;

__constant__ float weights[3] = {0.25f, 0.5f, 0.25f};
__device__ int calls;

struct Pair { float value; int index; };

__device__ float square(float x) { return x * x; }

// 0: static tiles of two dimensions, several in a kernel, one padded
__global__ void transpose(const real* __restrict__ in, float *out, int width, int height)
{
    __shared__ float tile[TILE][TILE + 1];
    __shared__ int seen;
    if (threadIdx.x == 0 && threadIdx.y == 0) seen = 0;
    int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
    for (int j = 0; j < TILE; j += 8)
        if (x < width && y + j < height)
            tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * width + x];
    __syncthreads();
    x = blockIdx.y * TILE + threadIdx.x; y = blockIdx.x * TILE + threadIdx.y;
    for (int j = 0; j < TILE; j += 8)
        if (x < height && y + j < width)
            out[(y + j) * height + x] = tile[threadIdx.x][threadIdx.y + j];
    atomicAdd(&seen, 1);
}

// 1: dynamic shared memory, a reduction, an atomic at the end
__global__ void total(const float* x, double* sum, size_t n) {
    extern __shared__ double partial[];
    double mine = 0;
    for (size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        mine += x[i];
    partial[threadIdx.x] = mine;
    __syncthreads();
    for (unsigned int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (threadIdx.x < s) partial[threadIdx.x] += partial[threadIdx.x + s];
        __syncthreads();
    }
    if (threadIdx.x == 0) { atomicAdd(sum, partial[0]); atomicAdd(&calls, 1); }
}

// 2: vector types, a constant array
__global__ void smooth(const float4* x, float4* y, unsigned int n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float4 v = x[i];
    float mean = weights[0] * v.x + weights[1] * v.y + weights[2] * v.z;
    y[i] = make_float4(v.x, mean, square(v.z), v.w);
}

// 3: warps: shuffles, votes, matches
template <typename T, int WIDTH>
__global__ void warps(const T x[], int* out) {
    int lane = threadIdx.x % warpSize;
    T sum = x[threadIdx.x];
    for (int offset = WIDTH / 2; offset > 0; offset /= 2)
        sum += __shfl_down_sync(0xffffffff, sum, offset);
    unsigned even = __ballot_sync(0xffffffff, lane % 2 == 0);
    unsigned same = __match_any_sync(0xffffffffu, lane / 8);
    int most = __reduce_max_sync(0xffffffffu, lane);
    int yes = __syncthreads_count(lane < 3);
    if (lane == 0) {
        int warp = threadIdx.x / 32;
        out[5 * warp] = int(sum), out[5 * warp + 1] = __popc(even), out[5 * warp + 2] = same;
        out[5 * warp + 3] = most, out[5 * warp + 4] = yes;
    }
}

// 4: atomics of every kind
__global__ void atomics(unsigned* u, int* s, unsigned long long* l, float* f) {
    int t = threadIdx.x;
    atomicAdd(&u[0], 1); atomicSub(&u[1], 1); atomicMax(&u[2], (unsigned)t); atomicMin(&u[3], t);
    atomicOr(&u[4], 1u << t); atomicAnd(&u[5], ~(1u << t)); atomicXor(&u[6], 1u << t);
    atomicInc(&u[7], 9); atomicDec(&u[8], 9); atomicExch(&u[9], 5u); atomicCAS(&u[10], 0u, 7u);
    atomicMax(&s[0], -t - 1); atomicAdd(l, 1ull << 33); atomicAdd(f, 0.5f);
}

// 5: intrinsics
__global__ void intrinsics(float* y) {
    assert(blockDim.x == 1);
    y[0] = __expf(1.0f); y[1] = __fmaf_rn(2, 3, 4); y[2] = __int2float_rn(7); y[3] = rsqrtf(4);
    y[4] = __fdividef(1, 4); y[5] = __float2int_rd(-1.5f); y[6] = __clz(1); y[7] = __brev(1u) >> 31;
    y[8] = __umulhi(1u << 31, 4); y[9] = fmaxf(1, 2); y[10] = min(3, 4); y[11] = __saturatef(3);
    y[12] = __int_as_float(0x3f800000); y[13] = __ffs(8); y[14] = __powf(2, 10); y[15] = abs(-2.5f);
}
"""
HALVES = """
#include <cuda_fp16.h>
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
__global__ void dot(const __half2* a, const half2 *b, half* out, int n) {
    cg::thread_block block = cg::this_thread_block();
    auto warp = cg::tiled_partition<32>(block);
    half2 sum = __float2half2_rn(0.0f);
    for (int i = block.thread_rank(); i < n; i += block.size()) sum = __hfma2(a[i], b[i], sum);
    float one = __low2float(sum) + __high2float(sum);
    for (int by = warp.size() / 2; by > 0; by /= 2) one += warp.shfl_down(one, by);
    if (warp.thread_rank() == 0) out[warp.meta_group_rank()] = __float2half(one);
    block.sync();
}
"""
NAMES = ["transpose", "total", "smooth", "warps<float, 32>", "atomics", "intrinsics"]


@pytest.fixture(scope="module")
def textbook_kernels(tmp_path_factory):
    file = tmp_path_factory.mktemp("textbook") / "textbook.cu"
    file.write_text(SOURCE)
    return cuda.Module(file, NAMES)


def test_static_shared_arrays_of_two_dimensions_and_several_in_a_kernel(textbook_kernels):
    x, y = np.random.default_rng(0).random((50, 70), np.float32), np.zeros((70, 50), np.float32)
    arguments = {"in": x, "out": y, "width": 70, "height": 50}
    textbook_kernels.launch("transpose", (3, 2), (32, 8), arguments)
    np.testing.assert_array_equal(y, x.T)


def test_dynamic_shared_arrays_and_atomics_on_doubles(textbook_kernels):
    x, total = np.arange(1000, dtype=np.float32), np.zeros(1)
    textbook_kernels.launch("total", (3,), (64,), dict(x=x, sum=total, n=1000), 8 * 64)
    assert total[0] == x.sum()


def test_vector_types_constants_and_device_functions(textbook_kernels):
    x, y = np.random.default_rng(0).random(40, np.float32), np.zeros(40, np.float32)
    textbook_kernels.launch("smooth", (1,), (32,), dict(x=x, y=y, n=10))
    a, b, c, d = x.reshape(10, 4).T
    np.testing.assert_allclose(y.reshape(10, 4).T, [a, a / 4 + b / 2 + c / 4, c * c, d], rtol=1e-6)


def test_an_array_whose_size_no_vector_divides_is_refused(textbook_kernels):
    x = np.zeros(42, np.float32)
    with pytest.raises(
        cuda.LaunchError, match="x has 42 numbers, but the kernel takes 4 at a time"
    ):
        textbook_kernels.launch("smooth", (1,), (32,), dict(x=x, y=x.copy(), n=10))


def test_shuffles_votes_matches_and_counts(textbook_kernels):
    x, out = np.arange(64, dtype=np.float32), np.zeros(10, np.int32)
    textbook_kernels.launch("warps<float, 32>", (1,), (64,), dict(x=x, out=out))
    assert out.tolist() == [496, 16, 255, 31, 6, 1520, 16, 255, 31, 6]


def test_atomics_of_every_kind(textbook_kernels):
    u = np.array([0, 100, 0, 50, 0, 2**32 - 1, 0, 0, 9, 0, 0], np.uint32)
    s, f = np.full(1, -100, np.int32), np.zeros(1, np.float32)
    long = np.zeros(1, np.uint64)
    textbook_kernels.launch("atomics", (1,), (32,), dict(u=u, s=s, l=long, f=f))
    everyone = 2**32 - 1
    assert u.tolist() == [32, 68, 31, 0, everyone, 0, everyone, 2, 7, 5, 7]
    assert s[0] == -1 and long[0] == 32 << 33 and f[0] == 16


def test_intrinsics(textbook_kernels):
    y = np.zeros(16, np.float32)
    textbook_kernels.launch("intrinsics", (1,), (1,), dict(y=y))
    expected = [np.e, 10, 7, 0.5, 0.25, -2, 31, 1, 2, 2, 3, 1, 1, 4, 1024, 2.5]
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_an_assertion_that_does_not_hold_has_a_line(textbook_kernels):
    with pytest.raises(KernelError, match=r"line 8\d, thread \(0,0,0\).*blockDim.x == 1 does"):
        textbook_kernels.launch("intrinsics", (1,), (2,), dict(y=np.zeros(16, np.float32)))


def test_halves_and_cooperative_groups(tmp_path):
    (tmp_path / "halves.cu").write_text(HALVES)
    a, b = np.arange(64).astype(np.float16), np.full(64, 0.5, np.float16)
    out = np.zeros(2, np.float16)
    arguments = dict(a=a, b=b, out=out, n=32)
    cuda.Module(tmp_path / "halves.cu", ["dot"]).launch("dot", (1,), (64,), arguments)
    assert out.tolist() == [1008, 0]


def test_types_in_every_spelling():
    source = 'typedef unsigned int word; using real = double; extern "C" __global__ '
    source += "__launch_bounds__(128) void f(float const * __restrict__ a, const word n, real *b, "
    source += "unsigned long long int* c, uint8_t d[], std::size_t e, float* const g) {}"
    signature = parse(source, "f", "x.cu")
    assert [str(p) for p in signature.parameters] == [
        *("const float* a", "unsigned n", "double* b", "unsigned long long* c"),
        *("unsigned char* d", "unsigned long e", "float* g"),
    ]
    assert signature.bounds == "128" and kernels(source) == ["f"]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ('asm volatile("bar.sync 0;");', "inline PTX"),
        ("unsigned m = __activemask();", "__activemask()"),
        ("cg::this_grid().sync();", "barriers of the whole grid"),
    ],
)
def test_what_is_not_there_is_refused_with_its_name_and_line(code, name):
    with pytest.raises(textbook.NotThere, match=f"^line 3: .*{re.escape(name)}"):
        textbook.refuse(f'// asm <<< in a comment\n/* asm */ char* s = "asm";\n{code}\n')


def test_lines_stay_where_they_are():
    source = "extern\n__shared__ __align__(16)\n  float s[];\nint after;"
    assert textbook.translate(source).split("\n")[3] == "int after;"
