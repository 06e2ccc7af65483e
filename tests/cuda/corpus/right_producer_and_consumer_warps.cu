//| grid=1, block=64
//| x=random(128), y=empty(32)
//| expect y=x.reshape(4, 32).sum(0)
__global__ void k(const float* x, float* y) {
    __shared__ float buffer[2][32];
    int lane = threadIdx.x % 32;
    bool produces = threadIdx.x < 32;
    float sum = 0;
    if (produces) buffer[0][lane] = x[lane];
    __syncthreads();
    for (int i = 0; i < 4; i++) {
        if (produces && i < 3) buffer[(i + 1) % 2][lane] = x[(i + 1) * 32 + lane];
        if (!produces) sum += buffer[i % 2][lane];
        __syncthreads();
    }
    if (!produces) y[lane] = sum;
}
