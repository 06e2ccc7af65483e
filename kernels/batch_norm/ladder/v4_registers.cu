// v4: four channels a thread. One load4 fetches 16 bytes; the eight sums of a thread stay in registers.
// A quarter of the instructions ask for the same bytes, so more bytes are under way at any time: that,
// not arithmetic, is what a sum over memory is short of.
//
// A block has 64 channels: 16 threads side by side, 16 rows of them. Rows whose length is no multiple
// of 4 do not begin at a multiple of 16 bytes; those are read one by one.
//
// Fetched: every number once, in a quarter of the requests. Written: 2 numbers of 512.
#include "minires.cuh"

__global__ void __launch_bounds__(256) sums(const float* __restrict__ x, float* __restrict__ partial,
                                            int rows, int channels) {
    SHARED(float, shared, 2048);
    const int t = threadIdx.x, c = blockIdx.x * 64 + t % 16 * 4;
    const int first = blockIdx.y * 512, end = min(first + 512, rows);
    float sums[8] = {};
    for (int row = first + t / 16; row < end && c < channels; row += 16) {
        float four[4];
        if (channels % 4 == 0) {
            const float4 all = load4(x + row * channels + c);
            four[0] = all.x, four[1] = all.y, four[2] = all.z, four[3] = all.w;
        } else {
            for (int i = 0; i < 4; i++) four[i] = c + i < channels ? x[row * channels + c + i] : 0;
        }
#pragma unroll
        for (int i = 0; i < 4; i++) sums[i] += four[i], sums[4 + i] += four[i] * four[i];
    }
#pragma unroll
    for (int i = 0; i < 8; i++) shared[i * 256 + t] = sums[i];
    __syncthreads();  // every thread's sums are there
    for (int half = 128; half >= 16; half /= 2) {
        if (t < half)
            for (int i = 0; i < 8; i++)
                shared[i * 256 + t] = shared[i * 256 + t] + shared[i * 256 + t + half];
        __syncthreads();  // this half is added
    }
    if (t >= 16) return;
    for (int i = 0; i < 4; i++) {
        if (c + i >= channels) break;
        partial[2 * blockIdx.y * channels + c + i] = shared[i * 256 + t];
        partial[(2 * blockIdx.y + 1) * channels + c + i] = shared[(4 + i) * 256 + t];
    }
}
