// v2: neighbours read neighbours. The only change: threadIdx.x counts channels of y.
//
// Now the threads of a warp read 16 neighbouring numbers of the filter, two whole sectors, and two
// numbers of x, one for each half of the warp, which the memory hands to 16 threads at once; they
// write 16 neighbours.
//
// Asked for: still 2 KH KW C numbers for each y, but every byte of the filter's sectors is wanted.
#include "minires.cuh"

__global__ void __launch_bounds__(256) conv2d(
    const float* __restrict__ x, const float* __restrict__ w, float* __restrict__ y, int images,
    int height, int width, int channels, int rows_out, int columns_out, int kernel_h,
    int kernel_w, int filters, int stride_h, int stride_w, int pad_h, int pad_w) {
    const int pixel = blockIdx.x * 16 + threadIdx.y, k = blockIdx.y * 16 + threadIdx.x;
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
