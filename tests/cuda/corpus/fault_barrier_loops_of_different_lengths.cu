//| grid=1, block=64
//| y=empty(64)
//| fault barrier: __syncthreads
__global__ void k(float* y) {
    float v = 0;
    for (int i = 0; i < 1 + threadIdx.x / 32; i++) {
        v += i;
        __syncthreads(); // here
    }
    y[threadIdx.x] = v;
}
