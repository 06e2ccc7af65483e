//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault race: found
__global__ void k(const float* x, float* y) {
    __shared__ int found;
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    if (x[threadIdx.x] > 0.9f) found = threadIdx.x; // here
    __syncthreads();
    y[threadIdx.x] = found;
}
