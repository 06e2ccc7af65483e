//| grid=8, block=32
//| x=random(256), part=zeros(8), y=empty(1)
//| expect y=x.sum()
__device__ unsigned int done = 0;
__global__ void k(const float* x, volatile float* part, float* y) {
    __shared__ bool last;
    float v = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int k = 16; k > 0; k /= 2) v += __shfl_xor_sync(0xffffffffu, v, k);
    if (threadIdx.x == 0) {
        part[blockIdx.x] = v;
        __threadfence();
        last = atomicInc(&done, gridDim.x) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        float sum = 0;
        for (int i = 0; i < gridDim.x; i++) sum += part[i];
        y[0] = sum;
        done = 0;
    }
}
