//| grid=8, block=32
//| x=random(256), part=zeros(8), y=empty(1)
//| fault race between blocks: part
__device__ unsigned int done = 0;
__global__ void k(const float* x, float* part, float* y) {
    float v = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int d = 16; d; d /= 2) v += __shfl_down_sync(~0u, v, d);
    if (threadIdx.x == 0) {
        part[blockIdx.x] = v;
        if (atomicAdd(&done, 1u) == gridDim.x - 1) {
            float sum = 0;
            for (int i = 0; i < gridDim.x; i++) sum += part[i]; // here
            y[0] = sum;
        }
    }
}
