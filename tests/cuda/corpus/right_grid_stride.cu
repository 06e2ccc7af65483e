//| grid=2, block=32
//| x=random(256), y=empty(256), n=256
//| expect y=2 * x
__global__ void k(const float* x, float* y, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        y[i] = 2 * x[i];
}
