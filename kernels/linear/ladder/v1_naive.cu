// v1: the formula. A thread for each c, as one would write it first: threadIdx.x counts rows.
//
// The 32 threads of a warp run the same instruction at the same time. Here, they read 16 different
// rows of a at the same column: addresses K numbers apart, each in a sector of 32 bytes of its own, of
// which 4 are used. Two columns of c are written in the same way.
//
// Asked for: 2 K numbers for each c, those of a with 28 bytes each that nobody wants.
#include "minires.cuh"

__global__ void __launch_bounds__(256) matmul(const float* __restrict__ a, const float* __restrict__ b,
                                              float* __restrict__ c, int rows, int columns, int terms) {
    const int row = blockIdx.x * 16 + threadIdx.x, column = blockIdx.y * 16 + threadIdx.y;
    if (row >= rows || column >= columns) return;
    float sum = 0;
    for (int k = 0; k < terms; k++) sum += a[row * terms + k] * b[k * columns + column];
    c[row * columns + column] = sum;
}
