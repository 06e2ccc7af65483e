//| grid=1, block=128
//| x=random(128), y=empty(128)
//| expect y=np.cumsum(x)
__global__ void k(const float* x, float* y) {
    __shared__ float sums[4];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    float v = x[threadIdx.x];
    for (int d = 1; d < 32; d <<= 1) {
        float other = __shfl_up_sync(~0u, v, d);
        if (lane >= d) v += other;
    }
    if (lane == 31) sums[warp] = v;
    __syncthreads();
    for (int w = 0; w < warp; w++) v += sums[w];
    y[threadIdx.x] = v;
}
