// v2: neighbours read neighbours. The only change: threadIdx.x counts columns.
//
// Now the threads of a warp read 16 neighbouring numbers of b, two whole sectors, and two numbers of a,
// one for each half of the warp, which the memory hands to 16 threads at once; they write 16
// neighbours of c. "Coalesced" is what NVIDIA calls it.
//
// Asked for: still 2 K numbers for each c, but every byte of b's sectors is wanted by somebody.
#include "minires.cuh"

__global__ void __launch_bounds__(256) matmul(const float* __restrict__ a, const float* __restrict__ b,
                                              float* __restrict__ c, int rows, int columns, int terms) {
    const int row = blockIdx.x * 16 + threadIdx.y, column = blockIdx.y * 16 + threadIdx.x;
    if (row >= rows || column >= columns) return;
    float sum = 0;
    for (int k = 0; k < terms; k++) sum += a[row * terms + k] * b[k * columns + column];
    c[row * columns + column] = sum;
}
