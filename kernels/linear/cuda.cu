// What the affine map needs beside its matrix products, which are the convolution's (1x1, one pixel).
#include "minires.cuh"

template <typename T>
__global__ void __launch_bounds__(256) add_bias(T* __restrict__ y, const T* __restrict__ b,
                                                long long size, int columns) {
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step)
        y[i] += b[i % columns];
}

// db (columns) = the sum of dy's rows, in their order; a thread has a column
template <typename T>
__global__ void __launch_bounds__(256) sum_rows(const T* __restrict__ dy, T* __restrict__ db, int rows,
                                                int columns) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    double sum = 0;  // of up to millions of rows
    for (int row = 0; row < rows; row++) sum += dy[(long long)row * columns + column];
    db[column] = T(sum);
}
