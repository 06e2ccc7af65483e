// v4: registers, and four numbers at a time. In v3 each product reads two numbers from shared memory,
// which is fast, but not as fast as arithmetic. A thread that has 4 x 4 results needs 4 + 4 numbers for
// 16 products: a quarter as many. And a block of 64 x 64 results fetches a quarter of what v3 did.
//
// Global memory is read by load4: one instruction for 16 bytes. Rows of a matrix whose length is no
// multiple of 4 do not begin at a multiple of 16 bytes; those are read one by one.
//
// Fetched: 2 K / 64 numbers for each c, in a quarter of the instructions.
#include "minires.cuh"

constexpr int TILE = 64, STEP = 16;
constexpr int PAD = 4;  // so that a column of tile_a does not lie in one bank of shared memory

// to[0 ... 3] = row[at ... at + 3], zeros from `end` on
__device__ __forceinline__ void fetch(const float* row, int at, int end, bool inside, float (&to)[4]) {
    if (inside && at + 3 < end && end % 4 == 0) {
        const float4 four = load4(row + at);
        to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
    } else {
        for (int i = 0; i < 4; i++) to[i] = inside && at + i < end ? row[at + i] : 0;
    }
}

__global__ void __launch_bounds__(256) matmul(const float* __restrict__ a, const float* __restrict__ b,
                                              float* __restrict__ c, int rows, int columns, int terms) {
    SHARED(float, tile_a, STEP * (TILE + PAD));  // transposed: a thread reads four rows of a column
    SHARED(float, tile_b, STEP * TILE);
    const int t = threadIdx.x, down = t / 16 * 4, across = t % 16 * 4;
    const int first_row = blockIdx.x * TILE, first_column = blockIdx.y * TILE;
    float sums[4][4] = {}, four[4];
    for (int start = 0; start < terms; start += STEP) {
        const int row = t / 4, term = t % 4 * 4;  // 64 rows of 16 numbers of a
        fetch(a + (first_row + row) * terms, start + term, terms, first_row + row < rows, four);
        for (int i = 0; i < 4; i++) tile_a[(term + i) * (TILE + PAD) + row] = four[i];
        const int k = t / 16;                     // 16 rows of 64 numbers of b
        fetch(b + (start + k) * columns, first_column + across, columns, start + k < terms, four);
        for (int i = 0; i < 4; i++) tile_b[k * TILE + across + i] = four[i];
        __syncthreads();  // both tiles are there
        for (int k = 0; k < STEP; k++)
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++)
                    sums[i][j] += tile_a[k * (TILE + PAD) + down + i] * tile_b[k * TILE + across + j];
        __syncthreads();  // everybody has used them
    }
    for (int i = 0; i < 4; i++) {
        const int row = first_row + down + i, column = first_column + across;
        if (row >= rows) continue;
        if (column + 3 < columns && columns % 4 == 0)
            store4(c + row * columns + column,
                   make_float4(sums[i][0], sums[i][1], sums[i][2], sums[i][3]));
        else
            for (int j = 0; j < 4; j++)
                if (column + j < columns) c[row * columns + column + j] = sums[i][j];
    }
}
