// v1: a block for each channel. Its 256 threads go down the rows, each has every 256th.
//
// x is stored row by row, the channels of a row side by side. The 32 threads of a warp read the same
// channel of 32 rows: addresses C numbers apart, each in a sector of 32 bytes of its own, of which 4
// are used. The blocks of the next channels will fetch the same sectors again.
//
// Fetched: 32 bytes for every number, eight times what is needed.
#include "minires.cuh"

__global__ void __launch_bounds__(256) sums(const float* __restrict__ x, float* __restrict__ partial,
                                            int rows, int channels) {
    const int c = blockIdx.x, t = threadIdx.x;
    float sum = 0, squares = 0;
    for (int row = t; row < rows; row += 256) {
        const float value = x[row * channels + c];
        sum += value, squares += value * value;
    }
    partial[2 * t * channels + c] = sum;
    partial[(2 * t + 1) * channels + c] = squares;
}
