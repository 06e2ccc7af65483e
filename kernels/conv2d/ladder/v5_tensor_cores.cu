// v5: tensor cores. From v4 on, the arithmetic is the limit: a multiply-add for one result per thread
// and instruction. A tensor core multiplies matrices: one instruction of a whole warp is 16 x 8 by
// 8 x 8, 1,024 multiply-adds, on numbers with 10 bits of mantissa (tf32), summed in float32. The
// fragments that each lane holds are drawn at `mma_tf32` in minires.cuh.
//
// A block has four warps with 16 pixels x 32 channels each: four of these products side by side.
//
// Fetched: KH KW C (1/64 + 1/32) numbers for each y, one by one, to keep the story short. What changes
// is the rate of arithmetic, and the error: 2^-11 of each factor.
#include "minires.cuh"

constexpr int ROWS = 64, WIDTH = 32, STEP = 16;
constexpr int PAD = 8;  // the 32 numbers that a warp reads at once lie in 32 banks

__global__ void __launch_bounds__(128) conv2d(
    const float* __restrict__ x, const float* __restrict__ w, float* __restrict__ y, int images,
    int height, int width, int channels, int rows_out, int columns_out, int kernel_h,
    int kernel_w, int filters, int stride_h, int stride_w, int pad_h, int pad_w) {
    SHARED(float, tile_x, STEP * (ROWS + PAD));
    SHARED(float, tile_w, STEP * (WIDTH + PAD));
    const int pixels = images * rows_out * columns_out;
    const int terms = kernel_h * kernel_w * channels;
    const int first_pixel = blockIdx.x * ROWS, first_filter = blockIdx.y * WIDTH;
    const int warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
    float sums[WIDTH / 8][4] = {};
    for (int start = 0; start < terms; start += STEP) {
        const int term = start + threadIdx.x % STEP, c = term % channels;
        const int i = term / channels / kernel_w, j = term / channels % kernel_w;
        for (int row = threadIdx.x / STEP; row < ROWS; row += 128 / STEP) {
            const int pixel = first_pixel + row, image = pixel / columns_out / rows_out;
            const int h = pixel / columns_out % rows_out * stride_h + i - pad_h;
            const int v = pixel % columns_out * stride_w + j - pad_w;
            const bool inside = pixel < pixels && term < terms && h >= 0 && h < height && v >= 0 &&
                                v < width;
            tile_x[threadIdx.x % STEP * (ROWS + PAD) + row] =
                inside ? x[((image * height + h) * width + v) * channels + c] : 0;
        }
        for (int e = threadIdx.x; e < STEP * WIDTH; e += 128) {
            const int row = start + e / WIDTH, k = first_filter + e % WIDTH;
            tile_w[e / WIDTH * (WIDTH + PAD) + e % WIDTH] =
                row < terms && k < filters ? w[row * filters + k] : 0;
        }
        __syncthreads();  // both tiles are there
        for (int s = place; s < STEP; s += 8) {
            const int row = warp * 16 + group;
            const unsigned left[4] = {to_tf32(tile_x[s * (ROWS + PAD) + row]),
                                      to_tf32(tile_x[s * (ROWS + PAD) + row + 8]),
                                      to_tf32(tile_x[(s + 4) * (ROWS + PAD) + row]),
                                      to_tf32(tile_x[(s + 4) * (ROWS + PAD) + row + 8])};
#pragma unroll
            for (int n = 0; n < WIDTH / 8; n++) {
                const int k = n * 8 + group;
                const unsigned right[2] = {to_tf32(tile_w[s * (WIDTH + PAD) + k]),
                                           to_tf32(tile_w[(s + 4) * (WIDTH + PAD) + k])};
                mma_tf32(sums[n], left, right);
            }
        }
        __syncthreads();  // everybody has used them
    }
#pragma unroll
    for (int n = 0; n < WIDTH / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int pixel = first_pixel + warp * 16 + group + e / 2 * 8;
            const int k = first_filter + n * 8 + place * 2 + e % 2;
            if (pixel < pixels && k < filters) y[pixel * filters + k] = sums[n][e];
        }
}
