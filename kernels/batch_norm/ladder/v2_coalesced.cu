// v2: neighbours read neighbours. A block has 16 channels and 512 rows; thread t has channel t % 16 and
// every 16th row. The threads of a warp read 16 neighbouring numbers of two rows: whole sectors.
//
// And there are as many blocks as the rows need, not as many as there are channels: with 16 channels
// v1 kept 16 of a GPU's hundred multiprocessors busy.
//
// Fetched: every number once. Written: 2 of 32 numbers (each thread has summed 32).
#include "minires.cuh"

__global__ void __launch_bounds__(256) sums(const float* __restrict__ x, float* __restrict__ partial,
                                            int rows, int channels) {
    const int c = blockIdx.x * 16 + threadIdx.x % 16, own = threadIdx.x / 16;
    const int first = blockIdx.y * 512, end = min(first + 512, rows);
    if (c >= channels) return;
    float sum = 0, squares = 0;
    for (int row = first + own; row < end; row += 16) {
        const float value = x[row * channels + c];
        sum += value, squares += value * value;
    }
    const int part = blockIdx.y * 16 + own;
    partial[2 * part * channels + c] = sum;
    partial[(2 * part + 1) * channels + c] = squares;
}
