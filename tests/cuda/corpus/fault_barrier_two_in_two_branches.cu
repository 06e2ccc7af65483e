//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault barrier: waits at this barrier while
__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    if (threadIdx.x % 2) {
        s[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
    } else {
        s[threadIdx.x] = -x[threadIdx.x];
        __syncthreads(); // here
    }
    y[threadIdx.x] = s[63 - threadIdx.x];
}
