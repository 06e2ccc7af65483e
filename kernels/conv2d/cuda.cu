// Convolution as an implicit matrix product: forward, input gradient and weight gradient.
//
// forward           y (pixels, K)        = X (pixels, KH KW C)       w  (KH KW C, K)
// input gradient    dx (pixels, C)       = D (pixels, KH KW K)       w' (KH KW K, C)
// weight gradient   dw (KH KW C, K)      = X^T (KH KW C, pixels)     dy (pixels, K)
//
// X is the im2col matrix of the contract, D the same of the spread-out dy; neither exists in memory:
// each block copies its part of them, 16 columns at a time, straight from the image to shared memory.
//
// A block computes a tile of 64 x WIDTH results. Per step of 16 columns it reads 16 (64 + WIDTH)
// numbers and does 16 * 64 * WIDTH multiply-adds, in one of two ways:
//
// plain           a thread has 4 x 4 results in registers: every number that it reads from shared
//                 memory is used 4 times. float and double, on any GPU
// TENSOR          a warp has 16 x WIDTH results, spread over its lanes, and multiplies 16 x 8 by 8 x 8
//                 numbers at a time on a tensor core (mma.sync). float with factors rounded to tf32,
//                 sums in float32; from compute capability 8.0 on
//
// See docs/decisions/cuda.md, "No atomics".
#include "minires.cuh"

constexpr int ROWS = 64;    // results of a block's tile, down
constexpr int STEP = 16;    // terms of the sums that are in shared memory at a time
constexpr int PAD = 8;      // rows of shared memory 8 banks apart: the 32 numbers (t, g), 4 rows of 8,
                            // that a warp reads for a tensor core lie in 32 different banks

// 64 x WIDTH sums, in the registers of a block's threads.
template <typename T, int WIDTH, bool TENSOR>
struct Tile;

// Thread t has rows 4 (t / (WIDTH/4)) ... + 3 and columns 4 (t % (WIDTH/4)) ... + 3.
template <typename T, int WIDTH>
struct Tile<T, WIDTH, false> {
    static constexpr int THREADS = ROWS / 4 * (WIDTH / 4);
    T sums[4][4] = {};

    static __device__ __forceinline__ T factor(T value) { return value; }

    // sums += a^T b, a (STEP, ROWS) and b (STEP, WIDTH) in shared memory
    template <typename A, typename B>
    __device__ __forceinline__ void add_product(A a, B b) {
        const int row = threadIdx.x / (WIDTH / 4) * 4, column = threadIdx.x % (WIDTH / 4) * 4;
#pragma unroll
        for (int k = 0; k < STEP; k++) {
            T left[4], right[4];
#pragma unroll
            for (int i = 0; i < 4; i++) left[i] = a[k * (ROWS + PAD) + row + i];
#pragma unroll
            for (int j = 0; j < 4; j++) right[j] = b[k * (WIDTH + PAD) + column + j];
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sums[i][j] += left[i] * right[j];
        }
    }

    // y[first_row + row][first_column + column] = sums, y (rows, columns)
    __device__ __forceinline__ void store(T* y, int first_row, int rows, int first_column,
                                          int columns) {
        const int row = first_row + threadIdx.x / (WIDTH / 4) * 4;
        const int column = first_column + threadIdx.x % (WIDTH / 4) * 4;
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                if (row + i < rows && column + j < columns)
                    y[(long long)(row + i) * columns + column + j] = sums[i][j];
    }
};

// Warp w has rows 16 w ... + 15; what its lanes hold of each 16 x 8 part, `mma_tf32` says.
template <int WIDTH>
struct Tile<float, WIDTH, true> {
    static constexpr int THREADS = ROWS / 16 * 32;
    float sums[WIDTH / 8][4] = {};

    static __device__ __forceinline__ float factor(float value) {
        return __uint_as_float(to_tf32(value));
    }

    template <typename A, typename B>
    __device__ __forceinline__ void add_product(A a, B b) {
        const int group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
        const int row = threadIdx.x / 32 * 16 + group;
#pragma unroll
        for (int k = place; k < STEP; k += 8) {
            const unsigned left[4] = {__float_as_uint(a[k * (ROWS + PAD) + row]),
                                      __float_as_uint(a[k * (ROWS + PAD) + row + 8]),
                                      __float_as_uint(a[(k + 4) * (ROWS + PAD) + row]),
                                      __float_as_uint(a[(k + 4) * (ROWS + PAD) + row + 8])};
#pragma unroll
            for (int j = 0; j < WIDTH / 8; j++) {
                const int column = j * 8 + group;
                const unsigned right[2] = {__float_as_uint(b[k * (WIDTH + PAD) + column]),
                                           __float_as_uint(b[(k + 4) * (WIDTH + PAD) + column])};
                mma_tf32(sums[j], left, right);
            }
        }
    }

    __device__ __forceinline__ void store(float* y, int first_row, int rows, int first_column,
                                          int columns) {
        const int row = first_row + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
#pragma unroll
        for (int j = 0; j < WIDTH / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int r = row + i / 2 * 8, c = first_column + j * 8 + threadIdx.x % 4 * 2 + i % 2;
                if (r < rows && c < columns) y[(long long)r * columns + c] = sums[j][i];
            }
    }
};

// Where a window's pixel lies: output (or, backward, input) pixel `row` of the image, filter (i, j).
struct Window {
    int image, top, left;  // top and left: of the window in the padded image, may be negative
};

// x (n, height, width, channels) seen as the matrix of its windows, or, BACKWARD, dy spread out.
//
// BACKWARD, pixel (h, w) of dx meets dy[(h + ph - i) / sh, (w + pw - j) / sw] wherever that divides.
template <typename T, bool BACKWARD>
struct Windows {
    const T* x;
    int height, width, channels;         // of x
    int rows_out, columns_out;           // pixels of what the windows belong to
    int kernel_w, stride_h, stride_w, pad_h, pad_w;

    __device__ __forceinline__ Window window(int row) const {
        const int column = row % columns_out, rest = row / columns_out;
        const int line = rest % rows_out, image = rest / rows_out;
        if (BACKWARD) return {image, line + pad_h, column + pad_w};
        return {image, line * stride_h - pad_h, column * stride_w - pad_w};
    }

    // element (i, j, c) of a window
    __device__ __forceinline__ T element(Window window, int i, int j, int c) const {
        int h = window.top + i, w = window.left + j;
        if (BACKWARD) {
            h = window.top - i, w = window.left - j;
            if (h % stride_h != 0 || w % stride_w != 0) return T(0);
            h /= stride_h, w /= stride_w;
        }
        if (h < 0 || h >= height || w < 0 || w >= width) return T(0);
        return x[((long long)(window.image * height + h) * width + w) * channels + c];
    }
};

// y (rows, columns) = windows of x times filters: forward, or the input gradient (BACKWARD).
//
// (Two blocks are to fit on a multiprocessor: that leaves each thread enough registers.)
// Block (bx, by) computes rows 64 bx ... and columns WIDTH by ... of y. All threads load, each always
// the same column of the step's 16, so that a column's place (i, j, c) in the window is found once.
template <typename T, int WIDTH, bool TENSOR, bool BACKWARD>
__global__ void __launch_bounds__(Tile<T, WIDTH, TENSOR>::THREADS, 2) correlate(
    const T* __restrict__ x, const T* __restrict__ w, T* __restrict__ y, int rows, int columns,
    int height, int width, int channels, int rows_out, int columns_out, int kernel_h,
    int kernel_w, int stride_h, int stride_w, int pad_h, int pad_w) {
    using Sums = Tile<T, WIDTH, TENSOR>;
    constexpr int THREADS = Sums::THREADS;
    constexpr int LOADS = ROWS * STEP / THREADS;
    SHARED(T, a, STEP * (ROWS + PAD));
    SHARED(T, b, STEP * (WIDTH + PAD));
    const Windows<T, BACKWARD> windows = {x,           height,       width,    channels, rows_out,
                                          columns_out, kernel_w, stride_h, stride_w, pad_h,
                                          pad_w};
    const int terms = kernel_h * kernel_w * channels;
    const int first_row = blockIdx.x * ROWS, first_column = blockIdx.y * WIDTH;
    const int own_term = threadIdx.x % STEP, own_row = threadIdx.x / STEP;
    Window own[LOADS];
#pragma unroll
    for (int s = 0; s < LOADS; s++)
        own[s] = windows.window(min(first_row + own_row + s * (THREADS / STEP), rows - 1));

    Sums tile;
    for (int start = 0; start < terms; start += STEP) {
        const int term = start + own_term;
        const int c = term % channels, j = term / channels % kernel_w;
        const int i = term / channels / kernel_w;
#pragma unroll
        for (int s = 0; s < LOADS; s++)
            a[own_term * (ROWS + PAD) + own_row + s * (THREADS / STEP)] =
                term < terms ? Sums::factor(windows.element(own[s], i, j, c)) : T(0);
        for (int e = threadIdx.x; e < STEP * WIDTH; e += THREADS) {
            const int k = e / WIDTH, column = first_column + e % WIDTH, row = start + k;
            T value = T(0);
            if (row < terms && column < columns) {
                // BACKWARD, w' is w (KH, KW, columns, channels) with its channels exchanged
                value = BACKWARD ? w[((long long)(row / channels) * columns + column) * channels +
                                     row % channels]
                                 : w[(long long)row * columns + column];
            }
            b[k * (WIDTH + PAD) + e % WIDTH] = Sums::factor(value);
        }
        __syncthreads();  // the step's columns are there
        tile.add_product(a, b);
        __syncthreads();  // everybody has used them: the next may come
    }
    tile.store(y, first_row, rows, first_column, columns);
}

// partial[bz] (terms, columns) = X^T dy over the pixels of part bz. `sum_parts` adds the parts: the
// sum over 100,000 pixels has a fixed order, whatever the order of the blocks.
template <typename T, int WIDTH, bool TENSOR>
__global__ void __launch_bounds__(Tile<T, WIDTH, TENSOR>::THREADS, 2) weight_gradient(
    const T* __restrict__ x, const T* __restrict__ dy, T* __restrict__ partial, int pixels,
    int columns, int height, int width, int channels, int rows_out, int columns_out,
    int kernel_h, int kernel_w, int stride_h, int stride_w, int pad_h, int pad_w) {
    using Sums = Tile<T, WIDTH, TENSOR>;
    constexpr int THREADS = Sums::THREADS;
    SHARED(T, a, STEP * (ROWS + PAD));
    SHARED(T, b, STEP * (WIDTH + PAD));
    const Windows<T, false> windows = {x,           height,       width,    channels, rows_out,
                                       columns_out, kernel_w, stride_h, stride_w, pad_h,
                                       pad_w};
    const int terms = kernel_h * kernel_w * channels;
    const int first_term = blockIdx.x * ROWS, first_column = blockIdx.y * WIDTH;
    const int own_row = threadIdx.x % ROWS, term = first_term + own_row;
    const int c = term % channels, j = term / channels % kernel_w;
    const int i = term / channels / kernel_w;
    const int begin = (long long)pixels * blockIdx.z / gridDim.z;
    const int end = (long long)pixels * (blockIdx.z + 1) / gridDim.z;

    Sums tile;
    for (int start = begin; start < end; start += STEP) {
        for (int k = threadIdx.x / ROWS; k < STEP; k += THREADS / ROWS)
            a[k * (ROWS + PAD) + own_row] =
                start + k < end && term < terms
                    ? Sums::factor(windows.element(windows.window(start + k), i, j, c))
                    : T(0);
        for (int e = threadIdx.x; e < STEP * WIDTH; e += THREADS) {
            const int k = e / WIDTH, column = first_column + e % WIDTH;
            b[k * (WIDTH + PAD) + e % WIDTH] =
                start + k < end && column < columns
                    ? Sums::factor(dy[(long long)(start + k) * columns + column])
                    : T(0);
        }
        __syncthreads();  // the step's pixels are there
        tile.add_product(a, b);
        __syncthreads();  // everybody has used them
    }
    tile.store(partial + (long long)blockIdx.z * terms * columns, first_term, terms, first_column, columns);
}

// total (size) = the sum of the rows of partial (parts, size), in their order
template <typename T>
__global__ void __launch_bounds__(256) sum_parts(const T* __restrict__ partial, T* __restrict__ total,
                                                 int parts, int size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    T sum = T(0);
    for (int part = 0; part < parts; part++) sum += partial[(long long)part * size + i];
    total[i] = sum;
}
