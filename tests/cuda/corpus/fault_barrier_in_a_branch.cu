//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault barrier: reached by 40 of the block's 64
__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x < 40) __syncthreads(); // here
    y[threadIdx.x] = s[threadIdx.x];
}
