//| grid=2, block=64
//| x=random(160), y=empty(160), n=160
//| fault barrier: __syncthreads
__global__ void k(const float* x, float* y, int n) {
    __shared__ float s[64];
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        s[threadIdx.x] = x[i];
        __syncthreads(); // here
        y[i] = s[threadIdx.x];
        __syncthreads();
    }
}
