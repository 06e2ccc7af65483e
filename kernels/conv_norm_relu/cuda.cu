// Convolutions between batch norms: no array is read or written only to be normalised.
//
// convolve       a = conv(x, w), 3x3. Where x is itself a convolution's output, its batch norm and
//                ReLU happen as it is read. The sums for a's own statistics come from the registers
//                that a is stored from
// join           y = relu(batch_norm(b) + residual)
// masked_sums    du = dy where the ReLU let it through; the sums that its batch norm's backward needs
// gradients      da = batch norm's backward of du, as it is read; dx and dw from one copy of it
// sum_parts      dw, out of the parts that the blocks of `gradients` found
//
// A block works on a band: some whole rows of an image, 4096 results (256 pixels of 16 channels, 128
// of 32, 64 of 64). It copies what the band needs to shared memory, once, already normalised and with
// zeros around: all nine taps of the filter read it there. Between blocks only the rows at the edges
// of bands are read twice.
//
// Arrays of images have elements S, which may be half as long as the numbers T that are calculated
// with: `widen` and `narrow` lie between. Sums over the whole batch are made of the bands' sums in
// their order, in double precision, by the block that finishes last: no launch of its own, and the
// same bits every time.
//
// Matrix products are made of 16x8 results, by a warp together: TENSOR on a tensor core, with factors
// rounded to tf32 (which a half-length number survives), else with plain arithmetic, each lane the
// same four results.
#include "minires.cuh"

constexpr int THREADS = 256, WARPS = 8;
constexpr int RESULTS = 4096;   // of a band
constexpr int KERNEL = 3, TAPS = 9, PAD = 1;
constexpr int GAP = 4;          // numbers between pixels in shared memory: lanes in different banks
constexpr int WEIGHTS_GAP = 8;  // the same between rows of weights

// ---- Shared by all kernels -------------------------------------------------------------------------

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

// What a batch norm consists of, per channel, where it is applied: (5, channels) numbers.
enum { MEAN, INV_STD, SCALE, SHIFT };                    // forward: (u - MEAN) SCALE + SHIFT
enum { OF_A = 4, CONSTANT = 5 };                         // backward: da = SCALE du + OF_A (a - MEAN) + CONSTANT

// Writes row `row` of such numbers.
template <typename T>
__device__ __forceinline__ void set(T* numbers, int row, int channels, int c, double value) {
    numbers[row * channels + c] = T(value);
}

// dgamma, dbeta and what `gradients` needs, out of the parts' sums of du and du (a - mean), by the last
// block. One thread per channel writes.
template <typename T, typename Wide>
__device__ __forceinline__ void finish_sums(T* sums, const T* norm, T* dgamma, T* dbeta, T* through,
                                            int parts, int channels, double count, bool training,
                                            Wide wide) {
    const int width = channels, c = threadIdx.x % width;
    const double sum = sum_over_parts(wide, parts, width, [&](int part) {
        return double(load_fresh(&sums[part * width + c]));
    });
    const double product = sum_over_parts(wide, parts, width, [&](int part) {
        return double(load_fresh(&sums[(parts + part) * width + c]));
    });
    if (threadIdx.x >= width) return;
    const double inv_std = norm[INV_STD * width + c], scale = norm[SCALE * width + c];
    dbeta[c] = T(sum);
    dgamma[c] = T(product * inv_std);
    for (int row = MEAN; row <= SHIFT; row++) through[row * width + c] = norm[row * width + c];
    set(through, OF_A, width, c, training ? -scale * inv_std * inv_std * product / count : 0);
    set(through, CONSTANT, width, c, training ? -scale * sum / count : 0);
}

// ---- Forward ---------------------------------------------------------------------------------------

// a = conv(x, w); `norm` (6, channels) is applied to x, where `normalized`. With `statistics` also the
// running statistics and `norm_out` (6, WIDTH) for a. Block b has band b % bands of image b / bands.
template <typename S, typename T, int WIDTH, bool TENSOR>
__global__ void __launch_bounds__(256) convolve(
    const S* __restrict__ x, const T* __restrict__ norm, const T* __restrict__ w, S* __restrict__ a,
    T* means, T* squares, unsigned* arrived, const T* __restrict__ gamma, const T* __restrict__ beta,
    T* __restrict__ running_mean, T* __restrict__ running_var, T* __restrict__ norm_out, int height,
    int width, int channels, int rows_out, int columns_out, int stride, int band, int taps,
    bool normalized, bool statistics, double momentum, double eps) {
    DYNAMIC_SHARED(T, memory);
    DYNAMIC_SHARED(double, wide);
    const int padded = (channels + 7) / 8 * 8, pitch = padded + GAP;
    const int bands = (rows_out + band - 1) / band;
    const int image = blockIdx.x / bands, first = blockIdx.x % bands * band;
    const int lines = min(band, rows_out - first), pixels = lines * columns_out;
    const int tile_width = (columns_out - 1) * stride + KERNEL;
    const int tile_pixels = ((band - 1) * stride + KERNEL) * tile_width;
    const auto weights = memory + tile_pixels * pitch;

    {   // The tile. A thread always has the same four channels.
        const int quads = padded / 4, c = threadIdx.x % quads * 4;
        T mean[4], scale[4], shift[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (normalized) {
                mean[i] = norm[MEAN * channels + c + i], scale[i] = norm[SCALE * channels + c + i];
                shift[i] = norm[SHIFT * channels + c + i];
            }
        for (int p = threadIdx.x / quads; p < tile_pixels; p += THREADS / quads) {
            const int h = first * stride - PAD + p / tile_width, v = p % tile_width - PAD;
            Four<T> values = {};
            if (h >= 0 && h < height && v >= 0 && v < width) {
                values = load_some<T>(x + ((long long)(image * height + h) * width + v) * channels + c,
                                      channels - c);
#pragma unroll
                for (int i = 0; i < 4; i++)
                    if (normalized)
                        values.at[i] = rectified((values.at[i] - mean[i]) * scale[i] + shift[i]);
            }
#pragma unroll
            for (int i = 0; i < 4; i++) memory[p * pitch + c + i] = factor<TENSOR>(values.at[i]);
        }
    }

    using Sums = Results<T, WIDTH, TENSOR>;
    Sums results;
    int place[Sums::DOWN][2];
#pragma unroll
    for (int down = 0; down < Sums::DOWN; down++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int p = min(results.pixel(down, half), pixels - 1);
            place[down][half] =
                (p / columns_out * stride * tile_width + p % columns_out * stride) * pitch;
        }
    for (int start = 0; start < TAPS; start += taps) {
        const int size = min(taps, TAPS - start) * padded * WIDTH;
        for (int e = threadIdx.x; e < size; e += THREADS) {
            const int k = e % WIDTH, row = e / WIDTH, c = row % padded, tap = start + row / padded;
            weights[row * (WIDTH + WEIGHTS_GAP) + k] =
                factor<TENSOR>(c < channels ? w[(tap * channels + c) * WIDTH + k] : T(0));
        }
        __syncthreads();  // weights, and the first time the tile, are there
        for (int tap = start; tap < min(start + taps, TAPS); tap++)
            results.add_product(memory, place,
                                (tap / KERNEL * tile_width + tap % KERNEL) * pitch,
                                weights + (tap - start) * padded * (WIDTH + WEIGHTS_GAP), padded);
        __syncthreads();  // all have used them: others may come
    }

    const long long before = (long long)(image * rows_out + first) * columns_out;
    results.for_each(pixels, [&](int down, int across, int half, int p, int c) {
        T* sums = results.sums[down][across] + 2 * half;
        store_two(a + (before + p) * WIDTH + c, sums);
        sums[0] = widen(narrow<S>(sums[0])), sums[1] = widen(narrow<S>(sums[1]));
    });
    if (!statistics) return;

    // The band's mean and sum of squared deviations, from the numbers that were stored.
    T mean = results.sum_over_pixels(pixels, weights, [](T value, int, int) { return value; });
    mean /= T(pixels);
    if (threadIdx.x < WIDTH) weights[threadIdx.x] = mean;
    __syncthreads();  // the means are there
    T centre[Sums::ACROSS][2];
#pragma unroll
    for (int across = 0; across < Sums::ACROSS; across++)
        centre[across][0] = weights[results.channel(across)],
        centre[across][1] = weights[results.channel(across) + 1];
    __syncthreads();  // all have read them
    results.for_each(pixels, [&](int down, int across, int half, int, int) {
        T* sums = results.sums[down][across] + 2 * half;
        sums[0] -= centre[across][0], sums[1] -= centre[across][1];
    });
    const T square =
        results.sum_over_pixels(pixels, weights, [](T value, int, int) { return value * value; });
    if (threadIdx.x < WIDTH) {
        means[blockIdx.x * WIDTH + threadIdx.x] = mean;
        squares[blockIdx.x * WIDTH + threadIdx.x] = square;
    }
    if (!is_last(arrived)) return;

    // All bands together: about the mean of all, the band's deviations and the deviation of its mean.
    const int parts = gridDim.x, c = threadIdx.x % WIDTH;
    const auto count = [&](int part) {
        return double(min(band, rows_out - part % bands * band) * columns_out);
    };
    const double all = double(rows_out) * columns_out * (parts / bands);
    const double total = sum_over_parts(wide, parts, WIDTH, [&](int part) {
        return count(part) * double(load_fresh(&means[part * WIDTH + c]));
    }) / all;
    const double deviations = sum_over_parts(wide, parts, WIDTH, [&](int part) {
        const double difference = double(load_fresh(&means[part * WIDTH + c])) - total;
        return double(load_fresh(&squares[part * WIDTH + c])) + count(part) * difference * difference;
    });
    if (threadIdx.x >= WIDTH) return;
    const double inv_std = 1 / sqrt(deviations / all + eps);
    set(norm_out, MEAN, WIDTH, c, total);
    set(norm_out, INV_STD, WIDTH, c, inv_std);
    set(norm_out, SCALE, WIDTH, c, double(gamma[c]) * inv_std);
    norm_out[SHIFT * WIDTH + c] = beta[c];
    const double old_mean = running_mean[c], old_var = running_var[c];
    running_mean[c] = T(old_mean + momentum * (total - old_mean));
    running_var[c] = T(old_var + momentum * (deviations / (all - 1) - old_var));
}

// norm (6, channels) out of running statistics: evaluation.
template <typename T>
__global__ void __launch_bounds__(256) use_running_statistics(
    const T* __restrict__ running_mean, const T* __restrict__ running_var, const T* __restrict__ gamma,
    const T* __restrict__ beta, T* __restrict__ norm, int channels, double eps) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= channels) return;
    const double inv_std = 1 / sqrt(double(running_var[c]) + eps);
    norm[MEAN * channels + c] = running_mean[c];
    set(norm, INV_STD, channels, c, inv_std);
    set(norm, SCALE, channels, c, double(gamma[c]) * inv_std);
    norm[SHIFT * channels + c] = beta[c];
}

// y = relu(batch_norm(b) + residual). The residual is x (rows x stride, columns x stride, narrower):
// itself, or by option A every stride-th pixel, with zero channels on both sides; or none.
template <typename S, typename T>
__global__ void __launch_bounds__(256) join(const S* __restrict__ b, const T* __restrict__ norm,
                                            const S* __restrict__ x, S* __restrict__ y,
                                            long long size, int rows, int columns, int channels,
                                            int height, int width, int narrower, int stride,
                                            bool residual) {
    const int low = (channels - narrower) / 2;
    const long long step = (long long)gridDim.x * blockDim.x * 4;
    for (long long e = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * 4; e < size; e += step) {
        const int c = e % channels;
        Four<T> values = load_four<T>(b + e);
#pragma unroll
        for (int i = 0; i < 4; i++)
            values.at[i] = (values.at[i] - norm[MEAN * channels + c + i]) *
                               norm[SCALE * channels + c + i] + norm[SHIFT * channels + c + i];
        if (residual && c >= low && c < low + narrower) {
            const int q = e / channels % columns, p = e / channels / columns % rows;
            const long long image = e / channels / columns / rows;
            const Four<T> more = load_four<T>(
                x + ((image * height + p * stride) * width + q * stride) * narrower + c - low);
#pragma unroll
            for (int i = 0; i < 4; i++) values.at[i] += more.at[i];
        }
#pragma unroll
        for (int i = 0; i < 4; i++) values.at[i] = rectified(values.at[i]);
        store_four(y + e, values);
    }
}

// ---- Backward --------------------------------------------------------------------------------------

// du = dy where y > 0 (or, without `keeps`, where batch_norm(b) > 0: then du is not written), and of
// it dgamma, dbeta and `through` (6, channels). Block b has part b of all pixels.
template <typename S, typename T>
__global__ void __launch_bounds__(256) masked_sums(
    const S* __restrict__ dy, const S* __restrict__ b, const S* __restrict__ y,
    const T* __restrict__ norm, S* __restrict__ du, T* sums, unsigned* arrived, T* __restrict__ dgamma,
    T* __restrict__ dbeta, T* __restrict__ through, int pixels, int channels, bool keeps,
    bool training) {
    SHARED(T, scratch, 4 * THREADS);
    SHARED(double, wide, THREADS);
    const int quads = channels / 4, c = threadIdx.x % quads * 4, owner = threadIdx.x / quads;
    const int begin = (long long)pixels * blockIdx.x / gridDim.x;
    const int end = (long long)pixels * (blockIdx.x + 1) / gridDim.x;
    T mean[4], scale[4], shift[4], sum[4] = {}, product[4] = {};
#pragma unroll
    for (int i = 0; i < 4; i++)
        mean[i] = norm[MEAN * channels + c + i], scale[i] = norm[SCALE * channels + c + i],
        shift[i] = norm[SHIFT * channels + c + i];
    for (int p = begin + owner; p < end; p += THREADS / quads) {
        const long long e = (long long)p * channels + c;
        Four<T> gradient = load_four<T>(dy + e);
        const Four<T> of_b = load_four<T>(b + e);
        Four<T> u;
        if (keeps)
            u = load_four<T>(y + e);
        else
            for (int i = 0; i < 4; i++) u.at[i] = (of_b.at[i] - mean[i]) * scale[i] + shift[i];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            gradient.at[i] = u.at[i] > T(0) ? gradient.at[i] : T(0);
            sum[i] += gradient.at[i];
            product[i] += gradient.at[i] * (of_b.at[i] - mean[i]);
        }
        if (keeps) store_four(du + e, gradient);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) scratch[owner * channels + c + i] = sum[i];
    T total = sum_over_owners<T>(scratch, THREADS / quads, channels);
    if (threadIdx.x < channels) sums[blockIdx.x * channels + threadIdx.x] = total;
#pragma unroll
    for (int i = 0; i < 4; i++) scratch[owner * channels + c + i] = product[i];
    total = sum_over_owners<T>(scratch, THREADS / quads, channels);
    if (threadIdx.x < channels)
        sums[(gridDim.x + blockIdx.x) * channels + threadIdx.x] = total;
    if (is_last(arrived))
        finish_sums(sums, norm, dgamma, dbeta, through, gridDim.x, channels, double(pixels), training,
                    wide);
}

// dx and dw of a = conv(x, w), from du, the gradient behind a's batch norm.
//
// da = SCALE du + OF_A (a - MEAN) + CONSTANT exists in shared memory only, spread out as the stride
// asks for, with zeros around. `masked`: du is to be set to zero where batch_norm(a) is not above it.
//
// with_dx    dx (pixels, C) = da (pixels, 9 K) w', plus an addend of x's shape (`addend_is` 1) or, by
//            option A's adjoint, of a's (2). `normalized`: x was normalised by `norm` (6, C) and
//            clipped as it was read, and so dx is masked, and the sums for the batch norm before are
//            taken: dgamma, dbeta, through_out
// with_dw    partial[block] (9, C, K) = x^T da over the block's bands. A warp has 16 channels of x and
//            8 of da, for all nine taps; where that leaves warps over, they share the pixels
//
// Block bx has bands bx, bx + gridDim.x ...; of dw, block by has the by-th eight pairs of channels.
template <typename S, typename T, int WIDTH, bool TENSOR>
__global__ void __launch_bounds__(256) gradients(
    const S* __restrict__ du, const S* __restrict__ a, const T* __restrict__ through,
    const S* __restrict__ x, const T* __restrict__ norm, const T* __restrict__ w, S* __restrict__ dx,
    const S* __restrict__ addend, T* sums, unsigned* arrived, T* __restrict__ dgamma,
    T* __restrict__ dbeta, T* __restrict__ through_out, T* __restrict__ partial, int images, int height,
    int width, int channels, int rows_out, int columns_out, int outputs, int stride, int band, int taps,
    int addend_is, bool masked, bool normalized, bool with_dx, bool with_dw, bool training) {
    using Sums = Results<T, WIDTH, TENSOR>;
    using Factor = Left<T, TENSOR>;
    DYNAMIC_SHARED(T, memory);
    DYNAMIC_SHARED(double, wide);
    const int pitch = outputs + GAP, x_pitch = WIDTH + GAP;
    const int tile_width = width + KERNEL - 1, tile_pixels = (band + KERNEL - 1) * tile_width;
    const int most_pixels = (band * width + 7) / 8 * 8;
    const auto x_tile = memory + tile_pixels * pitch;
    const auto weights = x_tile + most_pixels * x_pitch;
    const int bands = (height + band - 1) / band, all_bands = images * bands;

    // Of dw: the warp's channels of x and of da, and which of the pixels.
    const int pairs = WIDTH / 16 * (outputs / 8), splits = max(1, WARPS / pairs);
    const int pair = (blockIdx.y * WARPS + threadIdx.x / 32) % pairs;
    const int split = splits > 1 ? threadIdx.x / 32 / pairs : 0;
    const int x_channel = pair / (outputs / 8) * 16, da_channel = pair % (outputs / 8) * 8;
    T products[TAPS][4] = {};

    for (int which = blockIdx.x; which < all_bands; which += gridDim.x) {
        const int image = which / bands, first = which % bands * band;
        const int lines = min(band, height - first), pixels = lines * width;
        const int padded_pixels = (pixels + 7) / 8 * 8;
        {   // da, spread out: row h of the tile is row h + first - PAD of x's grid
            const int quads = outputs / 4, c = threadIdx.x % quads * 4;
            T numbers[6][4];
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int row = 0; row < 6; row++) numbers[row][i] = through[row * outputs + c + i];
            for (int p = threadIdx.x / quads; p < tile_pixels; p += THREADS / quads) {
                const int h = first - PAD + p / tile_width, v = p % tile_width - PAD;
                Four<T> da = {};
                if (h >= 0 && h % stride == 0 && h / stride < rows_out && v >= 0 && v % stride == 0 &&
                    v / stride < columns_out) {
                    const long long e =
                        ((long long)(image * rows_out + h / stride) * columns_out + v / stride) *
                            outputs + c;
                    const Four<T> gradient = load_four<T>(du + e), of_a = load_four<T>(a + e);
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        const T centred = of_a.at[i] - numbers[MEAN][i];
                        const bool through_relu =
                            !masked || centred * numbers[SCALE][i] + numbers[SHIFT][i] > T(0);
                        da.at[i] = (through_relu ? numbers[SCALE][i] * gradient.at[i] : T(0)) +
                                   numbers[OF_A][i] * centred + numbers[CONSTANT][i];
                    }
                }
#pragma unroll
                for (int i = 0; i < 4; i++) memory[p * pitch + c + i] = factor<TENSOR>(da.at[i]);
            }
        }
        const long long before = (long long)(image * height + first) * width;
        if (with_dw) {  // x as the convolution saw it, zero beyond the band
            const int quads = WIDTH / 4, c = threadIdx.x % quads * 4;
            T mean[4], scale[4], shift[4];
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (normalized)
                    mean[i] = norm[MEAN * channels + c + i], scale[i] = norm[SCALE * channels + c + i],
                    shift[i] = norm[SHIFT * channels + c + i];
            for (int p = threadIdx.x / quads; p < padded_pixels; p += THREADS / quads) {
                Four<T> values = {};
                if (p < pixels) {
                    values = load_some<T>(x + (before + p) * channels + c, channels - c);
#pragma unroll
                    for (int i = 0; i < 4; i++)
                        if (normalized)
                            values.at[i] = rectified((values.at[i] - mean[i]) * scale[i] + shift[i]);
                }
#pragma unroll
                for (int i = 0; i < 4; i++) x_tile[p * x_pitch + c + i] = factor<TENSOR>(values.at[i]);
            }
        }
        __syncthreads();  // the tiles are there

        if (with_dw)
            for (int start = split * 8; start < padded_pixels; start += splits * 8) {
                int place[Factor::TERMS];
#pragma unroll
                for (int e = 0; e < Factor::TERMS; e++) {
                    const int p = min(start + Factor::term(e), pixels - 1);
                    place[e] = (p / width * tile_width + p % width) * pitch + da_channel;
                }
                const Factor left([&](int half, int e) -> T {
                    return x_tile[(start + Factor::term(e)) * x_pitch + x_channel +
                                  threadIdx.x % 32 / 4 + 8 * half];
                });
#pragma unroll
                for (int tap = 0; tap < TAPS; tap++) {  // the filter's tap meets da turned around
                    const int i = KERNEL - 1 - tap / KERNEL, j = KERNEL - 1 - tap % KERNEL;
                    left.add_product(products[tap], [&](int e, int column) -> T {
                        return memory[place[e] + (i * tile_width + j) * pitch + column];
                    });
                }
            }

        if (with_dx) {
            Sums results;
            int place[Sums::DOWN][2];
#pragma unroll
            for (int down = 0; down < Sums::DOWN; down++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const int p = min(results.pixel(down, half), pixels - 1);
                    place[down][half] = (p / width * tile_width + p % width) * pitch;
                }
            for (int start = 0; start < TAPS; start += taps) {
                const int size = min(taps, TAPS - start) * WIDTH * outputs;
                for (int e = threadIdx.x; e < size; e += THREADS) {
                    const int k = e % outputs, c = e / outputs % WIDTH, tap = e / outputs / WIDTH;
                    weights[(tap * outputs + k) * (WIDTH + WEIGHTS_GAP) + c] = factor<TENSOR>(
                        c < channels ? w[((start + tap) * channels + c) * outputs + k] : T(0));
                }
                __syncthreads();  // the weights are there
                for (int tap = start; tap < min(start + taps, TAPS); tap++) {
                    const int i = KERNEL - 1 - tap / KERNEL, j = KERNEL - 1 - tap % KERNEL;
                    results.add_product(memory, place, (i * tile_width + j) * pitch,
                                        weights + (tap - start) * outputs * (WIDTH + WEIGHTS_GAP),
                                        outputs);
                }
                __syncthreads();  // all have used them
            }
            // Through shared memory, so that a thread has four neighbours in memory to finish.
            results.for_each(pixels, [&](int down, int across, int half, int p, int c) {
                memory[p * x_pitch + c] = results.sums[down][across][2 * half];
                memory[p * x_pitch + c + 1] = results.sums[down][across][2 * half + 1];
            });
            __syncthreads();  // the results are there
            const int quads = WIDTH / 4, c = threadIdx.x % quads * 4, owner = threadIdx.x / quads;
            T mean[4], scale[4], shift[4], sum[4] = {}, product[4] = {};
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (normalized)
                    mean[i] = norm[MEAN * channels + c + i], scale[i] = norm[SCALE * channels + c + i],
                    shift[i] = norm[SHIFT * channels + c + i];
            for (int p = owner; p < pixels && c < channels; p += THREADS / quads) {
                const long long e = (before + p) * channels + c;
                const int h = first + p / width, v = p % width;
                Four<T> values, more = {};
#pragma unroll
                for (int i = 0; i < 4; i++) values.at[i] = memory[p * x_pitch + c + i];
                if (addend_is == 1) more = load_some<T>(addend + e, channels - c);
                if (addend_is == 2 && h % stride == 0 && v % stride == 0)
                    more = load_four<T>(
                        addend + ((long long)(image * rows_out + h / stride) * columns_out + v / stride) *
                                     outputs + (outputs - channels) / 2 + c);
#pragma unroll
                for (int i = 0; i < 4; i++) values.at[i] += more.at[i];
                if (normalized) {
                    const Four<T> of_x = load_four<T>(x + e);
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        const T centred = of_x.at[i] - mean[i];
                        if (!(centred * scale[i] + shift[i] > T(0))) values.at[i] = T(0);
                        const T stored = widen(narrow<S>(values.at[i]));
                        sum[i] += stored, product[i] += stored * centred;
                    }
                }
                store_some(dx + e, values, channels - c);
            }
            if (normalized) {
#pragma unroll
                for (int i = 0; i < 4; i++) weights[owner * WIDTH + c + i] = sum[i];
                T total = sum_over_owners<T>(weights, THREADS / quads, WIDTH);
                if (threadIdx.x < WIDTH) sums[which * WIDTH + threadIdx.x] = total;
#pragma unroll
                for (int i = 0; i < 4; i++) weights[owner * WIDTH + c + i] = product[i];
                total = sum_over_owners<T>(weights, THREADS / quads, WIDTH);
                if (threadIdx.x < WIDTH) sums[(all_bands + which) * WIDTH + threadIdx.x] = total;
            }
        }
        __syncthreads();  // all have used the tiles
    }

    if (with_dw) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        if (splits > 1) {  // the warps that had other pixels hand their sums over
            if (split > 0)
#pragma unroll
                for (int tap = 0; tap < TAPS; tap++)
                    for (int i = 0; i < 4; i++)
                        memory[((warp - pairs) * TAPS + tap) * 128 + i * 32 + lane] = products[tap][i];
            __syncthreads();  // all sums are there
            if (split == 0)
                for (int other = warp; other < WARPS - pairs; other += pairs)
#pragma unroll
                    for (int tap = 0; tap < TAPS; tap++)
                        for (int i = 0; i < 4; i++)
                            products[tap][i] += memory[(other * TAPS + tap) * 128 + i * 32 + lane];
            __syncthreads();  // all have read them
        }
        T* own = partial + (long long)blockIdx.x * TAPS * channels * outputs;
        if (split == 0)
#pragma unroll
            for (int tap = 0; tap < TAPS; tap++)
                for (int i = 0; i < 4; i++) {
                    const int c = x_channel + lane / 4 + i / 2 * 8, k = da_channel + lane % 4 * 2 + i % 2;
                    if (c < channels) own[(tap * channels + c) * outputs + k] = products[tap][i];
                }
    }
    if (with_dx && normalized && is_last(arrived))
        finish_sums(sums, norm, dgamma, dbeta, through_out, all_bands, WIDTH,
                    double(images) * height * width, training, wide);
}

// Two sums over the first axis: of first (parts, size), and of second, each in its order.
template <typename T>
__global__ void __launch_bounds__(256) sum_parts(const T* __restrict__ first,
                                                 T* __restrict__ first_sum, int first_parts,
                                                 int first_size, const T* __restrict__ second,
                                                 T* __restrict__ second_sum, int second_parts,
                                                 int second_size) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    const bool of_first = i < first_size;
    if (!of_first) i -= first_size;
    const T* from = of_first ? first : second;
    const int parts = of_first ? first_parts : second_parts, size = of_first ? first_size : second_size;
    if (i >= size) return;
    T sum = T(0);
    for (int part = 0; part < parts; part++) sum += from[(long long)part * size + i];
    (of_first ? first_sum : second_sum)[i] = sum;
}
