// v3: fetch once for the whole block. The 16 threads of a block that have the same row all need the
// same numbers of a, those with the same column the same of b. So the block fetches 16 x 16 numbers of
// either to shared memory, a number for each thread, and everybody multiplies from there.
//
// Two barriers: one before the tiles are used (all must be there), one before they are overwritten
// (all must be done).
//
// Fetched: 2 K / 16 numbers for each c.
#include "minires.cuh"

constexpr int TILE = 16;

__global__ void __launch_bounds__(256) matmul(const float* __restrict__ a, const float* __restrict__ b,
                                              float* __restrict__ c, int rows, int columns, int terms) {
    SHARED(float, tile_a, TILE * TILE);
    SHARED(float, tile_b, TILE * TILE);
    const int across = threadIdx.x, down = threadIdx.y;
    const int row = blockIdx.x * TILE + down, column = blockIdx.y * TILE + across;
    float sum = 0;
    for (int start = 0; start < terms; start += TILE) {
        const bool in_a = row < rows && start + across < terms;
        const bool in_b = start + down < terms && column < columns;
        tile_a[down * TILE + across] = in_a ? a[row * terms + start + across] : 0;
        tile_b[down * TILE + across] = in_b ? b[(start + down) * columns + column] : 0;
        __syncthreads();  // both tiles are there
        for (int k = 0; k < TILE; k++) sum += tile_a[down * TILE + k] * tile_b[k * TILE + across];
        __syncthreads();  // everybody has used them
    }
    if (row < rows && column < columns) c[row * columns + column] = sum;
}
