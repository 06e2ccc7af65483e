// v3: add before writing. The 16 threads of a channel put their sums into shared memory; then 8 of them
// add the sums of the other 8 to their own, then 4, 2, 1: four steps with a barrier after each.
//
// Fetched: every number once. Written: 2 numbers of 512.
#include "minires.cuh"

__global__ void __launch_bounds__(256) sums(const float* __restrict__ x, float* __restrict__ partial,
                                            int rows, int channels) {
    SHARED(float, shared, 512);
    const int t = threadIdx.x, c = blockIdx.x * 16 + t % 16;
    const int first = blockIdx.y * 512, end = min(first + 512, rows);
    float sum = 0, squares = 0;
    for (int row = first + t / 16; row < end && c < channels; row += 16) {
        const float value = x[row * channels + c];
        sum += value, squares += value * value;
    }
    shared[t] = sum, shared[256 + t] = squares;
    __syncthreads();  // every thread's sums are there
    for (int half = 128; half >= 16; half /= 2) {
        if (t < half) {
            shared[t] = shared[t] + shared[t + half];
            shared[256 + t] = shared[256 + t] + shared[256 + t + half];
        }
        __syncthreads();  // this half is added
    }
    if (t >= 16 || c >= channels) return;
    partial[2 * blockIdx.y * channels + c] = shared[t];
    partial[(2 * blockIdx.y + 1) * channels + c] = shared[256 + t];
}
