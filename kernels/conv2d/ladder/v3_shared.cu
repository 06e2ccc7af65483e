// v3: fetch once for the whole block. Its 16 threads of one pixel all need that pixel's window, its 16
// threads of one channel all need that channel's filter. So for every 16 terms (i, j, c) of the sums
// the block fetches 16 x 16 numbers of either to shared memory, and everybody multiplies from there.
//
// The matrix of windows exists 16 columns at a time: im2col without its memory.
//
// Fetched: 2 KH KW C / 16 numbers for each y.
#include "minires.cuh"

constexpr int TILE = 16;

__global__ void __launch_bounds__(256) conv2d(
    const float* __restrict__ x, const float* __restrict__ w, float* __restrict__ y, int images,
    int height, int width, int channels, int rows_out, int columns_out, int kernel_h,
    int kernel_w, int filters, int stride_h, int stride_w, int pad_h, int pad_w) {
    SHARED(float, tile_x, TILE * TILE);
    SHARED(float, tile_w, TILE * TILE);
    const int across = threadIdx.x, down = threadIdx.y;
    const int pixel = blockIdx.x * TILE + down, k = blockIdx.y * TILE + across;
    const bool is_pixel = pixel < images * rows_out * columns_out;
    const int q = pixel % columns_out, p = pixel / columns_out % rows_out;
    const int image = pixel / columns_out / rows_out;
    const int terms = kernel_h * kernel_w * channels;
    float sum = 0;
    for (int start = 0; start < terms; start += TILE) {
        const int term = start + across, c = term % channels;
        const int i = term / channels / kernel_w, j = term / channels % kernel_w;
        const int h = p * stride_h + i - pad_h, v = q * stride_w + j - pad_w;
        const bool in_x =
            is_pixel && term < terms && h >= 0 && h < height && v >= 0 && v < width;
        const bool in_w = start + down < terms && k < filters;
        tile_x[down * TILE + across] =
            in_x ? x[((image * height + h) * width + v) * channels + c] : 0;
        tile_w[down * TILE + across] = in_w ? w[(start + down) * filters + k] : 0;
        __syncthreads();  // both tiles are there
        for (int t = 0; t < TILE; t++) sum += tile_x[down * TILE + t] * tile_w[t * TILE + across];
        __syncthreads();  // everybody has used them
    }
    if (is_pixel && k < filters) y[pixel * filters + k] = sum;
}
