// v5: tensor cores. From v4 on, the arithmetic is the limit: a multiply-add for one result per thread
// and instruction. A tensor core multiplies matrices: one instruction of a whole warp is 16 x 8 by
// 8 x 8, 1,024 multiply-adds, on numbers with 10 bits of mantissa (tf32), summed in float32. The
// fragments that each lane holds are drawn at `mma_tf32` in minires.cuh.
//
// A block has four warps with 16 x 64 results each: eight of these products side by side.
//
// Fetched: the numbers of v4, but one by one, to keep the story short: four times the requests. What
// changes is the rate of arithmetic, and the error: 2^-11 of each factor.
#include "minires.cuh"

constexpr int TILE = 64, STEP = 16;
constexpr int PAD = 8;  // the 32 numbers that a warp reads at once lie in 32 banks

__global__ void __launch_bounds__(128) matmul(const float* __restrict__ a, const float* __restrict__ b,
                                              float* __restrict__ c, int rows, int columns, int terms) {
    SHARED(float, tile_a, STEP * (TILE + PAD));
    SHARED(float, tile_b, STEP * (TILE + PAD));
    const int first_row = blockIdx.x * TILE, first_column = blockIdx.y * TILE;
    const int warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
    float sums[TILE / 8][4] = {};
    for (int start = 0; start < terms; start += STEP) {
        for (int e = threadIdx.x; e < TILE * STEP; e += 128) {
            const int row = first_row + e / STEP, term = start + e % STEP;
            const bool inside = row < rows && term < terms;
            tile_a[e % STEP * (TILE + PAD) + e / STEP] = inside ? a[row * terms + term] : 0;
        }
        for (int e = threadIdx.x; e < STEP * TILE; e += 128) {
            const int term = start + e / TILE, column = first_column + e % TILE;
            const bool inside = term < terms && column < columns;
            tile_b[e / TILE * (TILE + PAD) + e % TILE] = inside ? b[term * columns + column] : 0;
        }
        __syncthreads();  // both tiles are there
        for (int k = 0; k < STEP; k += 8) {
            const int row = warp * 16 + group, near = (k + place) * (TILE + PAD);
            const int far = near + 4 * (TILE + PAD);
            const unsigned left[4] = {to_tf32(tile_a[near + row]), to_tf32(tile_a[near + row + 8]),
                                      to_tf32(tile_a[far + row]), to_tf32(tile_a[far + row + 8])};
#pragma unroll
            for (int j = 0; j < TILE / 8; j++) {
                const unsigned right[2] = {to_tf32(tile_b[near + j * 8 + group]),
                                           to_tf32(tile_b[far + j * 8 + group])};
                mma_tf32(sums[j], left, right);
            }
        }
        __syncthreads();  // everybody has used them
    }
#pragma unroll
    for (int j = 0; j < TILE / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = first_row + warp * 16 + group + i / 2 * 8;
            const int column = first_column + j * 8 + place * 2 + i % 2;
            if (row < rows && column < columns) c[row * columns + column] = sums[j][i];
        }
}
