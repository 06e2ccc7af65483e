// v4: registers, and four numbers at a time. In v3 each product reads two numbers from shared memory. A
// thread that has 4 pixels x 4 channels of y needs 4 + 4 numbers for 16 products: a quarter as many.
// And a block of 64 x 64 results fetches a quarter of what v3 did.
//
// Four neighbouring terms are four channels of one pixel, if C is a multiple of 4: load4 reads them
// with one instruction. Otherwise they are read one by one; so are filters, if K is none.
//
// Fetched: 2 KH KW C / 64 numbers for each y, in a quarter of the instructions.
#include "minires.cuh"

constexpr int TILE = 64, STEP = 16;
constexpr int PAD = 4;  // so that a column of tile_x does not lie in one bank of shared memory

__global__ void __launch_bounds__(256) conv2d(
    const float* __restrict__ x, const float* __restrict__ w, float* __restrict__ y, int images,
    int height, int width, int channels, int rows_out, int columns_out, int kernel_h,
    int kernel_w, int filters, int stride_h, int stride_w, int pad_h, int pad_w) {
    SHARED(float, tile_x, STEP * (TILE + PAD));  // transposed: a thread reads four pixels of a term
    SHARED(float, tile_w, STEP * TILE);
    const int pixels = images * rows_out * columns_out;
    const int terms = kernel_h * kernel_w * channels;
    const int t = threadIdx.x, down = t / 16 * 4, across = t % 16 * 4;
    const int first_pixel = blockIdx.x * TILE, first_filter = blockIdx.y * TILE;
    const int own = t / 4, pixel = first_pixel + own;  // whose window this thread fetches
    const int top = pixel / columns_out % rows_out * stride_h - pad_h;
    const int left = pixel % columns_out * stride_w - pad_w;
    const float* image = x + pixel / columns_out / rows_out * height * width * channels;
    float sums[4][4] = {};
    for (int start = 0; start < terms; start += STEP) {
        float four[4] = {};
        const int first = t % 4 * 4;
        for (int s = 0; s < 4; s++) {
            const int term = start + first + s, c = term % channels;
            const int h = top + term / channels / kernel_w;
            const int v = left + term / channels % kernel_w;
            const bool inside = pixel < pixels && term < terms && h >= 0 && h < height && v >= 0 &&
                                v < width;
            const float* place = image + (h * width + v) * channels + c;
            if (channels % 4 != 0) {
                four[s] = inside ? *place : 0;
            } else if (s == 0 && inside) {
                const float4 all = load4(place);
                four[0] = all.x, four[1] = all.y, four[2] = all.z, four[3] = all.w;
            }
        }
        for (int s = 0; s < 4; s++) tile_x[(first + s) * (TILE + PAD) + own] = four[s];
        const int term = start + t / 16, k = first_filter + across;
        if (term < terms && k + 3 < filters && filters % 4 == 0) {
            const float4 all = load4(w + term * filters + k);
            four[0] = all.x, four[1] = all.y, four[2] = all.z, four[3] = all.w;
        } else {
            for (int s = 0; s < 4; s++)
                four[s] = term < terms && k + s < filters ? w[term * filters + k + s] : 0;
        }
        for (int s = 0; s < 4; s++) tile_w[t / 16 * TILE + across + s] = four[s];
        __syncthreads();  // both tiles are there
        for (int s = 0; s < STEP; s++)
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++)
                    sums[i][j] += tile_x[s * (TILE + PAD) + down + i] * tile_w[s * TILE + across + j];
        __syncthreads();  // everybody has used them
    }
    for (int i = 0; i < 4; i++) {
        const int row = first_pixel + down + i, k = first_filter + across;
        if (row >= pixels) continue;
        if (k + 3 < filters && filters % 4 == 0)
            store4(y + row * filters + k, make_float4(sums[i][0], sums[i][1], sums[i][2], sums[i][3]));
        else
            for (int j = 0; j < 4; j++)
                if (k + j < filters) y[row * filters + k + j] = sums[i][j];
    }
}
