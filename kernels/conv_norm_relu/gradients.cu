// Convolutions between batch norms, backward; blocks and numbers as in `cuda.cu`.
//
// masked_sums    du = dy where the ReLU let it through; the sums that its batch norm's backward needs
// gradients      da = batch norm's backward of du, as it is read; dx and dw from one copy of it
// sum_parts      dw, out of the parts that the blocks of `gradients` found
#include "bands.cuh"

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

// du = dy where y > 0 (or, without y and du, where batch_norm(b) > 0: then du is not written), and of
// it dgamma, dbeta and `through` (6, channels). Block b has part b of all pixels.
template <typename S, typename T>
__global__ void __launch_bounds__(256) masked_sums(
    const S* __restrict__ dy, const S* __restrict__ b, OPTIONAL const S* __restrict__ y,
    const T* __restrict__ norm, OPTIONAL S* __restrict__ du, T* sums, unsigned* arrived,
    T* __restrict__ dgamma, T* __restrict__ dbeta, T* __restrict__ through, int pixels, int channels,
    bool training) {
    SHARED(T, scratch, 4 * THREADS);
    SHARED(double, wide, THREADS);
    const bool keeps = y != nullptr;
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
            gradient.at[i] = u.at[i] <= T(0) ? T(0) : gradient.at[i];
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
// dx         (pixels, C), if given: da (pixels, 9 K) w', plus an addend of x's shape (`addend_is` 1) or,
//            by option A's adjoint, of a's (2). With `norm` (6, C), x was normalised by it and clipped
//            as it was read, and so dx is masked, and the sums for the batch norm before are taken:
//            dgamma, dbeta, through_out
// partial    (blocks, 9, C, K), if given: partial[block] = x^T da over the block's bands. A warp has 16
//            channels of x and 8 of da, for all nine taps; where that leaves warps over, they share the
//            pixels
//
// Block bx has bands bx, bx + gridDim.x ...; of dw, block by has the by-th eight pairs of channels.
template <typename S, typename T, int WIDTH, bool TENSOR>
__global__ void __launch_bounds__(256) gradients(
    const S* __restrict__ du, const S* __restrict__ a, const T* __restrict__ through,
    const S* __restrict__ x, OPTIONAL const T* __restrict__ norm, const T* __restrict__ w,
    OPTIONAL S* __restrict__ dx, OPTIONAL const S* __restrict__ addend, OPTIONAL T* sums,
    unsigned* arrived, OPTIONAL T* __restrict__ dgamma, OPTIONAL T* __restrict__ dbeta,
    OPTIONAL T* __restrict__ through_out, OPTIONAL T* __restrict__ partial, int images, int height,
    int width, int channels, int rows_out, int columns_out, int outputs, int stride, int band, int taps,
    int addend_is, bool masked, bool training) {
    const bool with_dx = dx != nullptr, with_dw = partial != nullptr, normalized = norm != nullptr;
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

    // The warp's part of dw: its channels of x and of da, and its share of the pixels.
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
                            !(masked && centred * numbers[SCALE][i] + numbers[SHIFT][i] <= T(0));
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
                        if (centred * scale[i] + shift[i] <= T(0)) values.at[i] = T(0);
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

// Two sums over the first axis: of first (parts, size), and, if given, of second, each in its order.
template <typename T>
__global__ void __launch_bounds__(256) sum_parts(const T* __restrict__ first,
                                                 T* __restrict__ first_sum, int first_parts,
                                                 int first_size,
                                                 OPTIONAL const T* __restrict__ second,
                                                 OPTIONAL T* __restrict__ second_sum,
                                                 int second_parts, int second_size) {
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
