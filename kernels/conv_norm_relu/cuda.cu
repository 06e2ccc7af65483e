// Convolutions between batch norms, forward: no array is read or written only to be normalised.
//
// convolve       a = conv(x, w), 3x3. Where x is itself a convolution's output, its batch norm and
//                ReLU happen as it is read. The sums for a's own statistics come from the registers
//                that a is stored from
// join           y = relu(batch_norm(b) + residual)
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
#include "bands.cuh"

// a = conv(x, w); `norm` (6, channels) is applied to x, where `normalized`. With `statistics` also the
// running statistics and `norm_out` (6, WIDTH) for a, by way of `means` and `squares`. (Flags: asking
// for the pointers instead costs registers, and double precision then spills on sm_90.) Block b has
// band b % bands of image b / bands.
template <typename S, typename T, int WIDTH, bool TENSOR>
__global__ void __launch_bounds__(256) convolve(
    const S* __restrict__ x, OPTIONAL const T* __restrict__ norm, const T* __restrict__ w,
    S* __restrict__ a, OPTIONAL T* means, OPTIONAL T* squares, unsigned* arrived,
    const T* __restrict__ gamma, const T* __restrict__ beta, T* __restrict__ running_mean,
    T* __restrict__ running_var, T* __restrict__ norm_out, int height, int width, int channels,
    int rows_out, int columns_out, int stride, int band, int taps, bool normalized,
    bool statistics, double momentum, double eps) {
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
                                            OPTIONAL const S* __restrict__ x, S* __restrict__ y,
                                            long long size, int rows, int columns, int channels,
                                            int height, int width, int narrower, int stride) {
    const int low = (channels - narrower) / 2;
    const long long step = (long long)gridDim.x * blockDim.x * 4;
    for (long long e = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * 4; e < size; e += step) {
        const int c = e % channels;
        Four<T> values = load_four<T>(b + e);
#pragma unroll
        for (int i = 0; i < 4; i++)
            values.at[i] = (values.at[i] - norm[MEAN * channels + c + i]) *
                               norm[SCALE * channels + c + i] + norm[SHIFT * channels + c + i];
        if (x != nullptr && c >= low && c < low + narrower) {
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
