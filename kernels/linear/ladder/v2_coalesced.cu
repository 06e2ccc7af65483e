// v2: neighbours read neighbours. The only change: threadIdx.x counts columns.
//
// Now the threads of a warp read 16 neighbouring numbers of b, two whole sectors, and all the same
// number of a, which the memory hands to everybody at once. "Coalesced" is what NVIDIA calls it.
//
// Fetched: still 2 K numbers for each c, but every byte of every sector is wanted by somebody.
#include "minires.cuh"

__global__ void __launch_bounds__(256) matmul(const float* __restrict__ a, const float* __restrict__ b,
                                              float* __restrict__ c, int rows, int columns, int terms) {
    const int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
    if (row >= rows || column >= columns) return;
    float sum = 0;
    for (int k = 0; k < terms; k++) sum += a[row * terms + k] * b[k * columns + column];
    c[row * columns + column] = sum;
}
