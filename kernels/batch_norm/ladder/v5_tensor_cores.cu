// v5: tensor cores can add, too. The sums of 8 columns over 8 rows are the product of a matrix of ones,
// 16 x 8, with the 8 x 8 numbers: one instruction, whose 16 rows of results are all the same.
//
// tf32 keeps 10 bits of mantissa, far too few for a sum over many rows. So each number is taken apart:
// high = the number in tf32, low = what is left, in tf32 again; together they have 21 bits, and ones
// are exact. Two products for the sums, two for the squares.
//
// This is the rung that does not pay: memory was the limit before, and still is. (A product that needs
// its sums anyway, such as a convolution's epilogue, has them for nothing.)
//
// Fetched: every number once; a warp reads 8 channels of 4 rows at a time, whole sectors.
#include "minires.cuh"

// sums += ones (16 x 8) times the lane's two numbers of an 8 x 8 matrix
__device__ __forceinline__ void add_rows(float (&sums)[4], float near, float far) {
    const unsigned one = to_tf32(1.0f), ones[4] = {one, one, one, one};
    const unsigned high[2] = {to_tf32(near), to_tf32(far)};
    const unsigned low[2] = {to_tf32(near - __uint_as_float(high[0])),
                             to_tf32(far - __uint_as_float(high[1]))};
    mma_tf32(sums, ones, high);
    mma_tf32(sums, ones, low);
}

__global__ void __launch_bounds__(256) sums(const float* __restrict__ x, float* __restrict__ partial,
                                            int rows, int channels) {
    const int warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
    const int c = blockIdx.x * 8 + group;  // of the numbers that this lane fetches
    const int first = blockIdx.y * 512 + warp * 64, end = min(first + 64, rows);
    float sums[4] = {}, squares[4] = {};
    for (int start = first; start < end; start += 8) {
        const int near = start + place, far = near + 4;
        const float a = near < end && c < channels ? x[near * channels + c] : 0;
        const float b = far < end && c < channels ? x[far * channels + c] : 0;
        add_rows(sums, a, b);
        add_rows(squares, a * a, b * b);
    }
    const int part = blockIdx.y * 8 + warp;
    for (int i = 0; i < 2; i++) {  // the first row of results: columns 2 place and 2 place + 1
        const int column = blockIdx.x * 8 + 2 * place + i;
        if (group != 0 || column >= channels) continue;
        partial[2 * part * channels + column] = sums[i];
        partial[(2 * part + 1) * channels + column] = squares[i];
    }
}
