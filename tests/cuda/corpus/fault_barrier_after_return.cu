//| grid=2, block=64
//| x=random(100), y=empty(100), n=100
//| fault barrier: reached by 36
__global__ void k(const float* x, float* y, int n) {
    __shared__ float s[64];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    s[threadIdx.x] = x[i];
    __syncthreads(); // here
    y[i] = s[threadIdx.x];
}
