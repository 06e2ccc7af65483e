//| grid=4, block=64
//| x=random(256), y=empty(4)
//| expect y=x.reshape(4, 64).sum(1)
__global__ void k(const float* x, float* y) {
    __shared__ float t_sums[64];
    unsigned t = threadIdx.x;
    t_sums[t] = x[blockIdx.x * blockDim.x + t];
    __syncthreads();
    for (unsigned step = 1; step < blockDim.x; step *= 2) {
        if (t % (2 * step) == 0) t_sums[t] += t_sums[t + step];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = t_sums[0];
}
