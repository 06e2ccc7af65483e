// For kernels whose blocks work on bands: some whole rows of an image, RESULTS results of all channels.
// How warps multiply what lies in shared memory, and how sums over bands are finished.
//
// Matrix products are made of 16x8 results, by a warp together: TENSOR on a tensor core, with factors
// rounded to tf32 (which a half-length number survives), else with plain arithmetic, each lane the
// same four results.
#pragma once
#include "minires.cuh"

constexpr int THREADS = 256, WARPS = 8;
constexpr int RESULTS = 4096;   // of a band
constexpr int KERNEL = 3, TAPS = 9, PAD = 1;
constexpr int GAP = 4;          // numbers between pixels in shared memory: lanes in different banks
constexpr int WEIGHTS_GAP = 8;  // the same between rows of weights

template <bool TENSOR, typename T>
__device__ __forceinline__ T factor(T value) {
    if constexpr (TENSOR) return __uint_as_float(to_tf32(value));
    return value;
}

// The 16x8 part of a left factor that a warp multiplies with. a(half, e): row g + 8 half, and the
// lane's e-th term: on a tensor core it has two, t and t + 4, else all eight (g, t: see mma_tf32).
template <typename T, bool TENSOR>
struct Left {
    static constexpr int TERMS = 8;
    T part[2][TERMS];
    static __device__ __forceinline__ int term(int e) { return e; }

    template <typename A>
    __device__ __forceinline__ explicit Left(A a) {
#pragma unroll
        for (int e = 0; e < TERMS; e++) part[0][e] = a(0, e), part[1][e] = a(1, e);
    }

    // sums += left times b(e, column), 8x8
    template <typename B>
    __device__ __forceinline__ void add_product(T (&sums)[4], B b) const {
        const int column = threadIdx.x % 4 * 2;
#pragma unroll
        for (int e = 0; e < TERMS; e++) {
            const T first = b(e, column), second = b(e, column + 1);
            sums[0] += part[0][e] * first, sums[1] += part[0][e] * second;
            sums[2] += part[1][e] * first, sums[3] += part[1][e] * second;
        }
    }
};

template <>
struct Left<float, true> {
    static constexpr int TERMS = 2;
    unsigned part[4];
    static __device__ __forceinline__ int term(int e) { return threadIdx.x % 4 + 4 * e; }

    template <typename A>
    __device__ __forceinline__ explicit Left(A a) {
        part[0] = __float_as_uint(a(0, 0)), part[1] = __float_as_uint(a(1, 0));
        part[2] = __float_as_uint(a(0, 1)), part[3] = __float_as_uint(a(1, 1));
    }

    template <typename B>
    __device__ __forceinline__ void add_product(float (&sums)[4], B b) const {
        const int column = threadIdx.x % 32 / 4;
        const unsigned right[2] = {__float_as_uint(b(0, column)), __float_as_uint(b(1, column))};
        mma_tf32(sums, part, right);
    }
};

// A band's results, pixels x WIDTH channels, in the registers of its block's warps.
template <typename T, int WIDTH, bool TENSOR>
struct Results {
    static constexpr int ROWS = RESULTS / WIDTH;
    static constexpr int WARPS_ACROSS = WIDTH == 64 ? 2 : 1, WARPS_DOWN = WARPS / WARPS_ACROSS;
    static constexpr int DOWN = ROWS / 16 / WARPS_DOWN, ACROSS = WIDTH / 8 / WARPS_ACROSS;
    static constexpr int OWNERS = 8 * WARPS_DOWN;  // threads that share a column
    T sums[DOWN][ACROSS][4] = {};

    // The pixel of the band that the lane has in rows of this half, and its first of two channels.
    __device__ __forceinline__ int pixel(int down, int half) const {
        const int warp = threadIdx.x / 32 / WARPS_ACROSS;
        return (warp * DOWN + down) * 16 + threadIdx.x % 32 / 4 + 8 * half;
    }
    __device__ __forceinline__ int channel(int across) const {
        return first_channel() + across * 8 + threadIdx.x % 4 * 2;
    }
    __device__ __forceinline__ int first_channel() const {
        return threadIdx.x / 32 % WARPS_ACROSS * ACROSS * 8;
    }

    // sums += tile times weights over `channels` terms; the lane's pixels lie at place[down][half].
    template <typename Tile, typename Weights>
    __device__ __forceinline__ void add_product(Tile tile, const int (&place)[DOWN][2], int offset,
                                                Weights weights, int channels) {
        using Factor = Left<T, TENSOR>;
        for (int start = 0; start < channels; start += 8)
#pragma unroll
            for (int down = 0; down < DOWN; down++) {
                const Factor left([&](int half, int e) -> T {
                    return tile[place[down][half] + offset + start + Factor::term(e)];
                });
#pragma unroll
                for (int across = 0; across < ACROSS; across++)
                    left.add_product(sums[down][across], [&](int e, int column) -> T {
                        return weights[(start + Factor::term(e)) * (WIDTH + WEIGHTS_GAP) +
                                       first_channel() + across * 8 + column];
                    });
            }
    }

    // For each of the lane's results within the band, two channels at a time: visit(down, across,
    // half, pixel, channel). sums[down][across][2 half] and [2 half + 1] belong to them.
    template <typename Visit>
    __device__ __forceinline__ void for_each(int pixels, Visit visit) {
#pragma unroll
        for (int down = 0; down < DOWN; down++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int p = pixel(down, half);
                if (p < pixels)
#pragma unroll
                    for (int across = 0; across < ACROSS; across++)
                        visit(down, across, half, p, channel(across));
            }
    }

    // The sum over the band's pixels of value(sum, ...) for each channel, in thread `channel`.
    template <typename Value, typename Scratch>
    __device__ __forceinline__ T sum_over_pixels(int pixels, Scratch scratch, Value value);
};

// scratch (owners, width) summed over its owners, in thread c for column c; 0 in the others. Its first
// 256 numbers are used; all threads of the block come here, and scratch is free when they leave.
template <typename T, typename Scratch>
__device__ __forceinline__ T sum_over_owners(Scratch scratch, int owners, int width) {
    __syncthreads();  // all owners' numbers are there
    const int column = threadIdx.x % width, slice = threadIdx.x / width, slices = THREADS / width;
    T sum = T(0);
    for (int owner = slice; owner < owners; owner += slices) sum += scratch[owner * width + column];
    __syncthreads();  // all have been read
    scratch[threadIdx.x] = sum;
    __syncthreads();  // all slices are there
    sum = T(0);
    if (slice == 0)
        for (int s = 0; s < slices; s++) sum += scratch[s * width + column];
    __syncthreads();  // all have been read
    return sum;
}

template <typename T, int WIDTH, bool TENSOR>
template <typename Value, typename Scratch>
__device__ __forceinline__ T Results<T, WIDTH, TENSOR>::sum_over_pixels(int pixels, Scratch scratch,
                                                                       Value value) {
    T own[ACROSS][2] = {};
    for_each(pixels, [&](int down, int across, int half, int p, int c) {
        own[across][0] += value(sums[down][across][2 * half], p, c);
        own[across][1] += value(sums[down][across][2 * half + 1], p, c + 1);
    });
    const int owner = threadIdx.x / 32 / WARPS_ACROSS * 8 + threadIdx.x % 32 / 4;
#pragma unroll
    for (int across = 0; across < ACROSS; across++) {
        scratch[owner * WIDTH + channel(across)] = own[across][0];
        scratch[owner * WIDTH + channel(across) + 1] = own[across][1];
    }
    return sum_over_owners<T>(scratch, OWNERS, WIDTH);
}

// Whether the block is the last of the grid that comes here: what all the others have written before
// is then to be seen. `arrived` is zero before and after.
// See docs/decisions/cuda.md, "The last block finishes".
__device__ __forceinline__ bool is_last(unsigned* arrived) {
    SHARED(unsigned, place, 1);
    __threadfence();  // what this thread wrote comes before what follows
    __syncthreads();  // what all threads wrote does
    if (threadIdx.x == 0) place[0] = atomicAdd(arrived, 1u);
    __syncthreads();  // place is there
    const bool last = place[0] == gridDim.x - 1;
    if (last && threadIdx.x == 0) *arrived = 0;
    __threadfence();
    return last;
}

// The sum over all parts of value(part), in double precision, for channel threadIdx.x % width, in
// every thread. Threads of one channel share the parts, always in the same way.
template <typename Wide, typename Value>
__device__ __forceinline__ double sum_over_parts(Wide wide, int parts, int width, Value value) {
    const int slices = THREADS / width, slice = threadIdx.x / width;
    double sum = 0;
    for (int part = slice; part < parts; part += slices) sum += value(part);
    __syncthreads();  // whoever used `wide` before is done
    wide[threadIdx.x] = sum;
    __syncthreads();  // all slices are there
    sum = 0;
    for (int s = 0; s < slices; s++) sum += wide[s * width + threadIdx.x % width];
    return sum;
}

// What a batch norm consists of, per channel, where it is applied: (6, channels) numbers.
enum { MEAN, INV_STD, SCALE, SHIFT };                    // forward: (u - MEAN) SCALE + SHIFT
enum { OF_A = 4, CONSTANT = 5 };                         // backward: da = SCALE du + OF_A (a - MEAN) + CONSTANT

// Writes row `row` of such numbers.
template <typename T>
__device__ __forceinline__ void set(T* numbers, int row, int channels, int c, double value) {
    numbers[row * channels + c] = T(value);
}
