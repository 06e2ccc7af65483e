// v1: the formula. A thread for each y; threadIdx.x counts pixels.
//
// The 32 threads of a warp run the same instruction at the same time. Here they read the same channel
// of 16 neighbouring pixels: addresses C numbers apart, each in a sector of 32 bytes of its own, of
// which 4 are used. Writing is the same: one channel of 16 pixels.
//
// Asked for: 2 KH KW C numbers for each y, those of x with 28 bytes each that nobody wants.
#include "minires.cuh"

__global__ void __launch_bounds__(256) conv2d(
    const float* __restrict__ x, const float* __restrict__ w, float* __restrict__ y, int images,
    int height, int width, int channels, int rows_out, int columns_out, int kernel_h,
    int kernel_w, int filters, int stride_h, int stride_w, int pad_h, int pad_w) {
    const int pixel = blockIdx.x * 16 + threadIdx.x, k = blockIdx.y * 16 + threadIdx.y;
    if (pixel >= images * rows_out * columns_out || k >= filters) return;
    const int q = pixel % columns_out, p = pixel / columns_out % rows_out;
    const float* image = x + pixel / columns_out / rows_out * height * width * channels;
    float sum = 0;
    for (int i = 0; i < kernel_h; i++)
        for (int j = 0; j < kernel_w; j++) {
            const int h = p * stride_h + i - pad_h, v = q * stride_w + j - pad_w;
            if (h < 0 || h >= height || v < 0 || v >= width) continue;  // a padded zero
            for (int c = 0; c < channels; c++)
                sum += image[(h * width + v) * channels + c] *
                       w[((i * kernel_w + j) * channels + c) * filters + k];
        }
    y[pixel * filters + k] = sum;
}
