//| grid=2, block=128
//| x=random(512), y=empty(2)
//| expect y=x.reshape(2, 256).sum(1)
template <unsigned SIZE> __device__ void last_warp(volatile float* s, unsigned t) {
    float v = s[t];
    if (SIZE >= 64) v += s[t + 32];
    __syncwarp();
    s[t] = v;
    __syncwarp();
    for (int step = 16; step > 0; step /= 2) {
        if (t < step) v += s[t + step];
        __syncwarp();
        s[t] = v;
        __syncwarp();
    }
}
__global__ void k(const float* x, float* y) {
    __shared__ float s[128];
    unsigned t = threadIdx.x, i = blockIdx.x * (blockDim.x * 2) + t;
    s[t] = x[i] + x[i + blockDim.x];
    __syncthreads();
    if (t < 64) s[t] += s[t + 64];
    __syncthreads();
    if (t < 32) last_warp<128>(s, t);
    if (t == 0) y[blockIdx.x] = s[0];
}
