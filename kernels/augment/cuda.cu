// Each thread writes elements of the batch a whole grid apart: it knows from the image's offset and flip
// which byte of which stored image is its own. 1 byte read (and a mean, from the cache), 4 or 2 written.
#include "minires.cuh"

template <typename S>
__device__ __forceinline__ void crop(const unsigned char* __restrict__ images,
                                     const long long* __restrict__ chosen,
                                     const long long* __restrict__ offsets,
                                     const bool* __restrict__ flips, const float* __restrict__ mean,
                                     const float* __restrict__ inv_std, S* __restrict__ y,
                                     long long size, int height, int width, int channels, int pad) {
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < size; e += step) {
        const int c = e % channels, q = e / channels % width, p = e / channels / width % height;
        const long long n = e / channels / width / height;
        const int h = p + int(offsets[2 * n]) - pad;
        const int w = (flips[n] ? width - 1 - q : q) + int(offsets[2 * n + 1]) - pad;
        float value = 0;  // a padded pixel is the mean pixel
        if (h >= 0 && h < height && w >= 0 && w < width) {
            const int place = (h * width + w) * channels + c;
            const float stored = images[chosen[n] * height * width * channels + place];
            value = (stored * (1.0f / 255) - mean[place]) * inv_std[place];
        }
        y[e] = narrow<S>(value);
    }
}

template <typename S>
__global__ void __launch_bounds__(256) augment(const unsigned char* __restrict__ images,
                                               const long long* __restrict__ chosen,
                                               const long long* __restrict__ offsets,
                                               const bool* __restrict__ flips,
                                               const float* __restrict__ mean,
                                               const float* __restrict__ inv_std,
                                               S* __restrict__ y, long long size, int height,
                                               int width, int channels, int pad) {
    crop(images, chosen, offsets, flips, mean, inv_std, y, size, height, width, channels, pad);
}

// The same of one batch of an epoch: where it begins in the tables is read from memory. The
// first threads pick the labels, too.
template <typename S>
__global__ void __launch_bounds__(256) augment_at(
    const unsigned char* __restrict__ images, const long long* __restrict__ labels,
    const long long* __restrict__ chosen, const long long* __restrict__ offsets,
    const bool* __restrict__ flips, const float* __restrict__ mean, const float* __restrict__ inv_std,
    const long long* __restrict__ batch, S* __restrict__ y, long long* __restrict__ picked,
    long long size, int height, int width, int channels, int pad, int count) {
    const long long first = batch[0] * count, thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    for (long long n = thread; n < count; n += (long long)gridDim.x * blockDim.x)
        picked[n] = labels[chosen[first + n]];
    crop(images, chosen + first, offsets + 2 * first, flips + first, mean, inv_std, y, size, height,
         width, channels, pad);
}
